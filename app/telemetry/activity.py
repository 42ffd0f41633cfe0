"""Who was seen since somebody last asked. Raw ids, for some seconds and in memory only; at most `_MOST` of them.

Hashing and counting are done off the path of the updates, by `app/updates/people.py`. For the event loop's thread only.
"""

from __future__ import annotations

_MOST = 100_000

_seen: set[int] = set()


def seen(user_id: int) -> None:
    """Note that a user did something now."""
    if len(_seen) < _MOST:
        _seen.add(user_id)


def take() -> set[int]:
    """Those who were seen since the last call."""
    global _seen  # it is handed over whole
    taken, _seen = _seen, set()
    return taken
