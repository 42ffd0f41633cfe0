"""Where updates come in, by webhook or polling: the trace begins here, and the update is in the inbox when it ends.

A second delivery joins the trace of the first. Whatever a `traceparent` from outside says is ignored.
"""

from __future__ import annotations

import time

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from app.bot.middlewares.measure import known_type
from app.bot.reject import Reject
from app.errors import InboxFull, InboxUnavailable, Reason
from app.telemetry import tracer
from app.telemetry.catalogue import DUPLICATES, RECEIVE_LAG
from app.telemetry.context import continued, traceparent
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.instruments import count, record
from app.updates.door import Door
from app.updates.envelope import Envelope
from app.updates.inbox import Arrival
from app.updates.lease import Lease
from app.updates.ports import DoorName, Received

_REFUSED = {InboxFull: Reason.RATE_LIMIT, InboxUnavailable: Reason.DB_ERROR}


class Intake:
    """Stores updates, each with a trace of its own. `reject` is there when a PASSIVE instance turns updates away."""

    def __init__(self, door: Door, lease: Lease, reject: Reject | None = None) -> None:
        self._door = door
        self._lease = lease
        self._reject = reject

    async def receive(self, envelope: Envelope, door: DoorName) -> Received:
        """Store one update; it is committed when this returns. Raises `InboxFull` and `InboxUnavailable`."""
        kind = known_type(envelope.kind)
        state = self._lease.state
        span = _begin(envelope, kind, door)
        started = time.perf_counter()
        rejecting = self._reject if state == "PASSIVE" else None
        try:
            stored = await self._door.put(Arrival(envelope, traceparent(span), refused=rejecting is not None))
        except (InboxFull, InboxUnavailable) as error:
            # It may be in the database all the same: then what follows is told in this trace.
            span.set_attributes(
                {"reason_code": _REFUSED[type(error)], "error.type": type(error).__qualname__}
            )
            span.set_status(StatusCode.ERROR)
            span.end()
            raise
        if stored.first is not None:
            _tell_duplicate(envelope, kind, door, state, stored.first, started)
            return "duplicate"
        if envelope.sent_at is not None:
            record(RECEIVE_LAG, max(time.time() - envelope.sent_at, 0.0), update_type=kind)
        token = attach(trace.set_span_in_context(span, Context()))
        try:
            _tell_received(envelope, kind, door, state)
            if rejecting is not None:
                await rejecting(envelope)
                _tell_done(envelope, kind, "rejected", Reason.PASSIVE_REJECT, started)
                return "rejected"
        finally:
            span.end()
            detach(token)
        return "stored"


def _begin(
    envelope: Envelope,
    kind: str,
    door: DoorName,
    context: Context | None = None,
    links: list[Link] | None = None,
) -> Span:
    return tracer.start_span(
        f"receive {kind}",
        context=context or Context(),  # a traceparent from outside is never the parent
        kind=SpanKind.SERVER if door == "webhook" else SpanKind.CLIENT,
        links=links,
        attributes={
            "messaging.system": "telegram",
            "messaging.operation.name": "receive",
            "messaging.operation.type": "receive",
            "messaging.destination.name": kind,
            "messaging.message.id": str(envelope.update_id),
            "telegram.door": door,
        },
    )


def _tell_received(envelope: Envelope, kind: str, door: str, state: str) -> None:
    emit(Event.UPDATE_RECEIVED, update_id=envelope.update_id, update_type=kind, door=door, bot_state=state)


def _tell_duplicate(
    envelope: Envelope, kind: str, door: DoorName, state: str, first: str, started: float
) -> None:
    """The span that was begun for it is let go: the story of this update is told in the first one's trace."""
    count(DUPLICATES, update_type=kind)
    parent = continued(first)
    first_span = trace.get_current_span(parent).get_span_context()
    links = [Link(first_span)] if first_span.is_valid else []
    again = _begin(envelope, kind, door, parent, links)
    again.set_attribute("reason_code", Reason.DUPLICATE_UPDATE)
    token = attach(trace.set_span_in_context(again, Context()))
    try:
        _tell_received(envelope, kind, door, state)
        _tell_done(envelope, kind, "duplicate", Reason.DUPLICATE_UPDATE, started)
    finally:
        again.end()
        detach(token)


def _tell_done(envelope: Envelope, kind: str, outcome: str, reason: Reason, started: float) -> None:
    emit(
        Event.DISPATCH_OK,
        update_id=envelope.update_id,
        update_type=kind,
        outcome=outcome,
        reason_code=reason.value,
        latency_ms=round((time.perf_counter() - started) * 1000, 1),
    )
