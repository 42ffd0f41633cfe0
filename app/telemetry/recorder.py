"""The flight recorder: the last traces, kept by the bot itself for `/debug`, with or without a Collector.

Bounded by bytes, by traces and by spans a trace; the oldest trace goes first. What this process did not do is not in it.
A span is kept as it ended, and turned into a record, scrubbed, when somebody reads it: few are ever read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, Literal

from opentelemetry.trace import format_trace_id

from app.telemetry.weight import EVENT, SPAN, weight

Status = Literal["unset", "ok", "error"]
_DUPLICATE = "DUPLICATE_UPDATE"


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
        """Whether the last attempt at the work failed: a call, or an attempt, that was tried again does not count."""
        attempts = [span for span in self.spans if span.kind == "consumer"]
        return bool(attempts) and max(attempts, key=lambda span: span.end_ns).status == "error"

    @property
    def reason(self) -> str:
        """The last reason code that an event, or else a span, of it gave, or an empty text.

        What failed before an attempt that did not fail is no reason any more, and a duplicate is one only alone.
        """
        events, since_ns = self._since_failure()
        spans = [span for span in self.spans if span.start_ns > since_ns]
        told = [event.fields["reason_code"] for event in events if "reason_code" in event.fields]
        marked = [span.attributes["reason_code"] for span in spans if "reason_code" in span.attributes]
        own = [[code for code in codes if code != _DUPLICATE] for codes in (told, marked)]
        return str(next((codes[-1] for codes in (*own, told, marked) if codes), ""))

    def _since_failure(self) -> tuple[list[EventRecord], int]:
        """The events after the last failed attempt, and its end, when an attempt after it did not fail; else all."""
        failures = [at for at, event in enumerate(self.events) if event.name == "DISPATCH_FAIL"]
        if not failures:
            return self.events, -1
        after = self.events[failures[-1] + 1 :]
        done = [event for event in after if event.name == "DISPATCH_OK"]
        if all(event.fields.get("reason_code") == _DUPLICATE for event in done):
            return self.events, -1
        return after, self.events[failures[-1]].at_ns

    def has(self, key: str, value: object) -> bool:
        """Whether a span of it has this attribute."""
        return any(span.attributes.get(key) == value for span in self.spans)

    @property
    def linked_traces(self) -> tuple[str, ...]:
        """The other traces that spans of this one link to."""
        linked = dict.fromkeys(other for span in self.spans for other in span.linked_traces)
        return tuple(other for other in linked if other != self.trace_id)


@dataclass(slots=True)
class _Kept:
    """One trace in memory: its spans are records, or functions that make one."""

    trace_id: str
    spans: list[SpanRecord | Callable[[], SpanRecord]] = field(default_factory=list)
    events: list[EventRecord | Callable[[], EventRecord]] = field(default_factory=list)
    dropped_spans: int = 0
    bytes: int = 0

    def read(self) -> TraceRecord:
        """The trace as a record. What was made for it is kept in place of what it was made of.

        Runs without the lock, lest an update wait for it: lists only ever grow, at their ends.
        """
        spans = [span if isinstance(span, SpanRecord) else span() for span in self.spans[:]]
        events = [event if isinstance(event, EventRecord) else event() for event in self.events[:]]
        self.spans[: len(spans)] = spans
        self.events[: len(events)] = events
        return TraceRecord(self.trace_id, spans, events, self.dropped_spans)


class Recorder:
    """Keeps the last `max_traces` traces of at most `max_spans` spans each, in about `max_bytes` of memory.

    A single trace may take an eighth of that. Safe to use from any thread.
    """

    def __init__(
        self, max_traces: int = 2000, max_spans: int = 200, max_bytes: int = 32 * 1024 * 1024
    ) -> None:
        self._max_traces = max_traces
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._max_trace_bytes = max_bytes // 8
        self._traces: OrderedDict[str, _Kept] = OrderedDict()
        self._changed: set[str] = set()
        self._lock = Lock()
        #: Estimated bytes of all that is kept.
        self.bytes = 0

    def add(self, span: SpanRecord) -> None:
        """Keep one finished span."""
        self.keep(span.trace_id, span, SPAN + weight(span.attributes))

    def keep(self, trace_id: str, span: SpanRecord | Callable[[], SpanRecord], size: int) -> None:
        """Keep one finished span of about so many bytes, or what makes its record when it is read."""
        with self._lock:
            trace = self._traces.get(trace_id) or self._new(trace_id)
            self._changed.add(trace_id)
            if len(trace.spans) < self._max_spans and trace.bytes + size <= self._max_trace_bytes:
                trace.spans.append(span)
                self._grow(trace, size)
            else:
                trace.dropped_spans += 1

    def add_event(self, trace_id: str, event: EventRecord) -> None:
        """Keep one event; as many a trace as spans."""
        self.keep_event(trace_id, event, EVENT + weight(event.fields))

    def keep_event(self, trace_id: str, event: EventRecord | Callable[[], EventRecord], size: int) -> None:
        """Keep one event of about so many bytes, or what makes its record when it is read."""
        with self._lock:
            trace = self._traces.get(trace_id) or self._new(trace_id)
            self._changed.add(trace_id)
            if len(trace.events) < self._max_spans and trace.bytes + size <= self._max_trace_bytes:
                trace.events.append(event)
                self._grow(trace, size)

    def take_changed(self) -> list[TraceRecord]:
        """Copies of the traces that changed since the last call and have an ended span; oldest first."""
        with self._lock:
            ready = [trace for i, trace in self._traces.items() if i in self._changed and trace.spans]
            self._changed.difference_update([trace.trace_id for trace in ready])
        return [trace.read() for trace in ready]

    def put_back(self, trace_ids: Iterable[str]) -> None:
        """Let these count as changed again, as far as they are still kept: what took them could not use them."""
        with self._lock:
            self._changed |= self._traces.keys() & set(trace_ids)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._traces.clear()
            self._changed.clear()
            self.bytes = 0

    def _new(self, trace_id: str) -> _Kept:
        trace = self._traces[trace_id] = _Kept(trace_id)
        if len(self._traces) > self._max_traces:
            self._forget_oldest()
        return trace

    def _grow(self, trace: _Kept, size: int) -> None:
        """Count what a trace grew by; the oldest go for it."""
        trace.bytes += size
        self.bytes += size
        while self.bytes > self._max_bytes:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        trace_id, trace = self._traces.popitem(last=False)
        self.bytes -= trace.bytes
        self._changed.discard(trace_id)

    def find(self, start: str) -> list[TraceRecord]:
        """The traces whose id begins with `start`, newest first: a whole trace ID finds one or none."""
        return self._read(lambda trace: trace.trace_id.startswith(start))

    def recent(self, limit: int) -> list[TraceRecord]:
        """The newest traces, newest first."""
        return self._read(lambda trace: True, limit)

    def _read(self, wanted: Callable[[_Kept], bool], limit: int | None = None) -> list[TraceRecord]:
        with self._lock:
            kept = [trace for trace in reversed(self._traces.values()) if trace.spans and wanted(trace)]
        return [trace.read() for trace in kept[:limit]]


#: The hexadecimal form of a trace ID, which every span, event and log line of the trace asks for.
hexadecimal = lru_cache(maxsize=4096)(format_trace_id)
