"""How often an update is tried, and how long the pause between two tries is. Pure."""

from __future__ import annotations

import random

#: Failures of an update in ways that nobody foresaw, or that showed a message already.
FAILURES = 3
#: Processes that an update may end with: another may have killed the first ones.
DEATHS = 10
#: What passes by itself (Telegram is down, or asks for patience) is tried for an hour, since an outage is nobody's fault;
#: but its chat waits behind it, so not for ever. One that waited an hour for its first try gets ten all the same.
_PASSING_S = 3600.0
_PASSING = 10
#: Longer than a day no update waits, whatever Telegram asks for: Telegram itself has forgotten it by then, and a number that
#: no database's clock can hold would stop all the others.
LONGEST_ASKED_S = 86400.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.3, 30.0


def goes_on(attempt: int, waited_s: float) -> bool:
    """Whether an update is tried again after a fault that passes, at this attempt and so long after its receipt."""
    return attempt < _PASSING or waited_s < _PASSING_S


def pause_s(tries: int) -> float:
    """Seconds to wait after so many tries: growing, bounded, and never the same for two updates."""
    pause = min(_FIRST_PAUSE_S * 3.0 ** (min(tries, 10) - 1), _LONGEST_PAUSE_S)
    return pause * random.uniform(0.8, 1.2)  # noqa: S311  # jitter


def pause_after_death_s(deaths: int) -> float:
    """The same after its leader was gone: whoever is killed with it by chance goes on at once."""
    return pause_s(deaths) if deaths >= FAILURES else 0.0
