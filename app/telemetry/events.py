"""Emits the events of the contract: one JSON line and one OTel log record each, in the trace of the current span."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from app.telemetry.contract import CONTRACT, ContractBroken, Event, breach

_log = logging.getLogger("app.events")

_strict = False


def use_strict(strict: bool) -> None:
    """Whether a broken contract raises (in tests) or is mended and logged (in production)."""
    global _strict
    _strict = strict


def emit(event: Event, **fields: str | int | float) -> None:
    """Tell that `event` happened. Raises `ContractBroken` only when strict."""
    wrong = breach(event, fields)
    if wrong:
        if _strict:
            raise ContractBroken(wrong)
        _log.error("an event broke its contract: %s", wrong)
        terms = CONTRACT[event]
        fields = {key: value for key, value in fields.items() if key in terms.required + terms.optional}
    tell(event.value, CONTRACT[event].level, fields)


class _Record(logging.LogRecord):
    """A log record of an event. `logging` would look for the caller's place in the code, and no line says that."""

    def __init__(self, name: str, level: int, fields: Mapping[str, str | int | float]) -> None:
        self.__dict__ |= _common(level)
        self.created = created = time.time()
        self.msecs = int(created % 1 * 1000)
        self.msg = self.event_name = name
        self.fields = fields


@lru_cache(maxsize=8)
def _common(level: int) -> dict[str, Any]:
    """What all records of events of one level have in common: every attribute that a formatter may ask for."""
    return vars(logging.LogRecord(_log.name, level, "", 0, "", None, None))


def tell(name: str, level: int, fields: Mapping[str, str | int | float]) -> None:
    """Log one event, whose contract was kept."""
    if _log.isEnabledFor(level):
        _log.handle(_Record(name, level, fields))
