"""W3C trace context in and out of a database row, and links between traces.

Only what the bot itself stored is read back: a `traceparent` that comes from outside is never trusted.
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()

#: Digits of the trace ID that a person reads out to support; /debug takes them in place of the whole ID.
SUPPORT_CODE_LENGTH = 8


def traceparent(span: Span) -> str:
    """The `traceparent` of a span, to be stored with the work that goes on in its trace."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    ids = f"{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}"
    return f"00-{ids}-{context.trace_flags:02x}"


def continued(stored: str) -> Context:
    """A context whose spans go on in the stored trace; an empty or damaged value begins a new one."""
    return _PROPAGATOR.extract({"traceparent": stored}, Context())


def link_to(stored: str) -> list[Link]:
    """A link to the stored span, or none when nothing usable is stored."""
    context = trace.get_current_span(continued(stored)).get_span_context()
    return [Link(context)] if context.is_valid else []


def correlation_id(context: SpanContext | None = None) -> str:
    """The `cid`: the trace ID of the current span as 32 hexadecimal digits, or of the given context."""
    context = context or trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def support_code(cid: str) -> str:
    """The short form of a `cid` for people, such as `4BF9-2F35`."""
    half = SUPPORT_CODE_LENGTH // 2
    return f"{cid[:half]}-{cid[half:SUPPORT_CODE_LENGTH]}".upper()
