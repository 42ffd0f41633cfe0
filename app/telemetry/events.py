"""Emits the events of the contract: one JSON line and one OTel log record each, in the trace of the current span."""

from __future__ import annotations

import logging

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
    _log.log(CONTRACT[event].level, event.value, extra={"event_name": event.value, "fields": fields})
