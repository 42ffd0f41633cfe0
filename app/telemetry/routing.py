"""Tells why no handler took an update: one event in the update's trace, whatever the number of routers and filters.

The instrumentation of aiogram knows it; this is its hook. It holds names of the code alone.
"""

from __future__ import annotations

from typing import Protocol

from opentelemetry.instrumentation.aiogram import Routing
from opentelemetry.trace import Span

from app.errors import Reason
from app.telemetry.catalogue import UPDATE_TYPES
from app.telemetry.contract import Event
from app.telemetry.events import emit

_TEXTS = {
    "filters": "the filters of every handler said no",
    "declined": "a handler was called and declined",
    "no_handlers": "no router has a handler for this type of update",
    "unknown_type": "the type of the update is newer than this version",
}


class _Numbered(Protocol):
    update_id: int


def tell_unrouted(span: Span, update: _Numbered, routing: Routing) -> None:
    """Emit `UPDATE_UNROUTED`. A middleware that stopped the update has told why itself."""
    text = _TEXTS.get(routing.reason)
    if text is None:
        return
    kind = routing.update_type if routing.update_type in UPDATE_TYPES else "other"
    reason = Reason.UNKNOWN_CALLBACK if kind == "callback_query" else Reason.NOOP
    emit(
        Event.UPDATE_UNROUTED,
        update_id=update.update_id,
        update_type=kind,
        reason_code=reason.value,
        reason_text=text,
        tried="; ".join(routing.texts()),
    )
