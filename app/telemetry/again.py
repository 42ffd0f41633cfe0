"""Sends a recorded trace to the Collector once more, marked so that it passes by the tail sampling.

The Collector decides on a trace some seconds after its start; that somebody needs it may turn out later. Links, events
and scopes are not in the recorder, so a trace that went out only this way comes without them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from app.telemetry.otlp.queues import Queue
from app.telemetry.recorder import SpanRecord, TraceRecord
from app.telemetry.weight import SPAN, weight

#: An admin asked for it, a failed or rejected trace links to it, or it ended after the Collector had decided on it.
Why = Literal["debug", "linked", "late"]
#: Sends one trace. What is in the queue already goes first; nothing waits.
SendAgain = Callable[[TraceRecord, Why], None]

#: The attribute by which `otel/collector.yaml` tells these spans from others.
KEEP = "tracegram.keep"
#: Where the tail sampling notes its policy, which here is the reason itself.
_POLICY = "tailsampling.policy"
_SCOPES: dict[Why, InstrumentationScope] = {
    why: InstrumentationScope("tracegram.again", attributes={_POLICY: why}) for why in get_args(Why)
}


def sending_again(queue: Queue[ReadableSpan]) -> SendAgain:
    """What puts traces into the queue of the OTLP export."""

    def send(trace: TraceRecord, why: Why) -> None:
        for record in trace.spans:
            queue.put(_span(record, why), SPAN + weight(record.attributes))

    return send


def _span(record: SpanRecord, why: Why) -> ReadableSpan:
    trace_id = int(record.trace_id, 16)
    return ReadableSpan(
        name=record.name,
        context=_context(trace_id, record.span_id),
        parent=_context(trace_id, record.parent_id) if record.parent_id else None,
        attributes={**record.attributes, KEEP: why},
        kind=SpanKind[record.kind.upper()],
        status=Status(StatusCode[record.status.upper()]),
        start_time=record.start_ns,
        end_time=record.end_ns,
        instrumentation_scope=_SCOPES[why],
    )


def _context(trace_id: int, span_id: str) -> SpanContext:
    return SpanContext(
        trace_id, int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
