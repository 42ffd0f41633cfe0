"""The named events of an update's or job's life: one JSON line and one OTel log record each.

Fields are ids, codes and numbers only; a person's words never go in.
"""

from __future__ import annotations

import logging
from enum import StrEnum

_log = logging.getLogger("app.events")


class Event(StrEnum):
    """What happened. The name is the message, the rest are fields."""

    UPDATE_RECEIVED = "UPDATE_RECEIVED"
    DISPATCH_OK = "DISPATCH_OK"
    DISPATCH_FAIL = "DISPATCH_FAIL"
    TASK_CREATED = "TASK_CREATED"
    TASK_COMPLETED = "TASK_COMPLETED"
    TASK_FAILED = "TASK_FAILED"


def emit(event: Event, level: int = logging.INFO, **fields: str | int | float) -> None:
    """Tell that `event` happened, in the trace of the current span."""
    _log.log(level, event.value, extra={"event_name": event.value, "fields": fields})
