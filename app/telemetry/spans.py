"""What becomes of a span: on its end it is put into the recorder and the queues as it is, and nothing else is done.

Names of database spans are mended here, since the instrumentation adds the database, for SQLite its path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, Status, TraceState, format_span_id
from opentelemetry.util.types import Attributes

from app.telemetry.otlp.queues import Queue
from app.telemetry.otlp.spans import plain
from app.telemetry.recorder import Recorder, SpanRecord, hexadecimal
from app.telemetry.redaction import Scrubber
from app.telemetry.weight import SPAN, weight

_SQLALCHEMY = "opentelemetry.instrumentation.sqlalchemy"
#: Bytes of a link or an event of a span without its attributes.
_PART = 1024


class _Kept:
    """What the sampler says of a span: to keep it, with these attributes. `SamplingResult` would wrap them."""

    __slots__ = ("attributes",)

    decision = Decision.RECORD_AND_SAMPLE
    #: What vendors add to a `traceparent`; none is ever taken from outside.
    trace_state = None

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes


class Everything(Sampler):
    """Keeps every span, without a look at its parent: the Collector samples, when it knows how a trace ended."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Keep one span."""
        return _Kept(attributes)  # type: ignore[return-value]  # the same three fields

    def get_description(self) -> str:
        """The name of the sampler."""
        return "Everything"


class Spans(SpanProcessor):
    """The one span processor. `flush` exports what waits."""

    def __init__(self, recorder: Recorder, scrubber: Scrubber, flush: Callable[[], None]) -> None:
        self._recorder = recorder
        self._scrubber = scrubber
        self._flush = flush
        self.queues: list[Queue[ReadableSpan]] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Name a database span by its statement alone."""
        scope = span._instrumentation_scope
        if scope is not None and scope.name == _SQLALCHEMY:
            span.update_name(span.name.split(" ", 1)[0])

    def on_end(self, span: ReadableSpan) -> None:
        """Keep one finished span, and let it wait for its export."""
        context = span._context
        if context is None:
            return
        size = SPAN + weight(plain(span._attributes))
        if span._links or span._events:
            size += sum(_PART + weight(plain(link.attributes)) for link in span._links)
            size += sum(_PART + weight(plain(event.attributes)) for event in span._events)
        self._recorder.keep(hexadecimal(context.trace_id), partial(read, span, self._scrubber), size)
        for queue in self.queues:
            queue.put(span, size)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what waits now."""
        self._flush()
        return True


def read(span: ReadableSpan, scrubber: Scrubber) -> SpanRecord:
    """A finished span as the recorder has it: scrubbed, without events and the texts of its status."""
    context, parent = span._context, span._parent
    if context is None:
        raise ValueError("a span without a context")  # none that the SDK ends
    return SpanRecord(
        trace_id=hexadecimal(context.trace_id),
        span_id=format_span_id(context.span_id),
        parent_id=format_span_id(parent.span_id) if parent else None,
        name=scrubber.text(span.name),
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name.lower(),  # type: ignore[arg-type]  # the enum's three names
        attributes=scrubber.attributes(plain(span._attributes)),
        linked_traces=tuple(hexadecimal(link.context.trace_id) for link in span.links),
    )


def clean(span: ReadableSpan, scrubber: Scrubber) -> ReadableSpan:
    """A copy as it may leave the process by an exporter of the SDK: the same as what goes out by OTLP."""
    return ReadableSpan(
        name=scrubber.text(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=scrubber.attributes(plain(span._attributes)),
        events=(),
        links=[Link(link.context, scrubber.attributes(link.attributes or {})) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class Cleaned:
    """A place for spans that is an exporter of the SDK."""

    def __init__(self, exporter: SpanExporter, scrubber: Scrubber) -> None:
        self._exporter = exporter
        self._scrubber = scrubber

    def __call__(self, spans: Sequence[ReadableSpan], /) -> None:
        """Export scrubbed copies; the spans themselves stay as they are."""
        self._exporter.export([clean(span, self._scrubber) for span in spans])

    def close(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()
