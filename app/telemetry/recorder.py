"""The flight recorder: the last traces, kept by the bot itself for `/debug`, with or without a Collector.

Bounded by traces and by spans a trace; the oldest trace goes first. What this process did not do is not in it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal

Status = Literal["unset", "ok", "error"]


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One finished span. Times are nanoseconds since the epoch; ids are hexadecimal."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: Status
    attributes: dict[str, Any]
    linked_traces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event of the contract. `at_ns` is nanoseconds since the epoch."""

    at_ns: int
    name: str
    fields: dict[str, Any]


@dataclass(slots=True)
class TraceRecord:
    """The finished spans of one trace, in the order in which they ended, and its events."""

    trace_id: str
    spans: list[SpanRecord] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    dropped_spans: int = 0

    @property
    def root(self) -> SpanRecord:
        """The span that started first."""
        return min(self.spans, key=lambda span: span.start_ns)

    @property
    def duration_ms(self) -> float:
        """Milliseconds from the first start to the last end."""
        return (max(span.end_ns for span in self.spans) - self.root.start_ns) / 1e6

    @property
    def failed(self) -> bool:
        """Whether the work itself failed: a call that failed and was tried again does not count."""
        return any(span.status == "error" for span in self.spans if span.kind == "consumer")

    @property
    def reason(self) -> str:
        """The last reason code that an event or a span of it gave, or an empty text."""
        told = [event.fields["reason_code"] for event in self.events if "reason_code" in event.fields]
        marked = [span.attributes["reason_code"] for span in self.spans if "reason_code" in span.attributes]
        return str((told or marked or [""])[-1])

    def has(self, key: str, value: object) -> bool:
        """Whether a span of it has this attribute."""
        return any(span.attributes.get(key) == value for span in self.spans)

    @property
    def linked_traces(self) -> tuple[str, ...]:
        """The other traces that spans of this one link to."""
        linked = dict.fromkeys(other for span in self.spans for other in span.linked_traces)
        return tuple(other for other in linked if other != self.trace_id)


class Recorder:
    """Keeps the last `max_traces` traces of at most `max_spans` spans each. Safe to use from any thread."""

    def __init__(self, max_traces: int = 300, max_spans: int = 200) -> None:
        self._max_traces = max_traces
        self._max_spans = max_spans
        self._traces: OrderedDict[str, TraceRecord] = OrderedDict()
        self._changed: set[str] = set()
        self._lock = Lock()

    def add(self, span: SpanRecord) -> None:
        """Keep one finished span."""
        with self._lock:
            trace = self._trace(span.trace_id)
            if len(trace.spans) < self._max_spans:
                trace.spans.append(span)
            else:
                trace.dropped_spans += 1

    def add_event(self, trace_id: str, event: EventRecord) -> None:
        """Keep one event; as many a trace as spans."""
        with self._lock:
            events = self._trace(trace_id).events
            if len(events) < self._max_spans:
                events.append(event)

    def take_changed(self) -> list[TraceRecord]:
        """Copies of the traces that changed since the last call and have an ended span; oldest first."""
        with self._lock:
            ready = [self._traces[i] for i in self._changed if i in self._traces and self._traces[i].spans]
            self._changed -= {trace.trace_id for trace in ready}
            self._changed &= self._traces.keys()
            return [replace(t, spans=t.spans[:], events=t.events[:]) for t in ready]

    def _trace(self, trace_id: str) -> TraceRecord:
        self._changed.add(trace_id)
        trace = self._traces.get(trace_id)
        if trace is None:
            trace = self._traces[trace_id] = TraceRecord(trace_id)
            if len(self._traces) > self._max_traces:
                self._traces.popitem(last=False)
        return trace

    def find(self, start: str) -> list[TraceRecord]:
        """The traces whose id begins with `start`, newest first: a whole trace ID finds one or none."""
        return self.select(lambda trace: trace.trace_id.startswith(start))

    def recent(self, limit: int) -> list[TraceRecord]:
        """The newest traces, newest first."""
        return self.select(lambda trace: True)[:limit]

    def select(self, wanted: Callable[[TraceRecord], bool]) -> list[TraceRecord]:
        """The traces that are wanted, newest first. One whose first span has not ended yet is not among them."""
        with self._lock:
            return [trace for trace in reversed(self._traces.values()) if trace.spans and wanted(trace)]
