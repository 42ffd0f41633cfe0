"""The flight recorder: the last traces, kept by the bot itself for `/debug`, with or without a Collector.

Bounded by traces and by spans a trace; the oldest trace goes first. What this process did not do is not in it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class TraceRecord:
    """The finished spans of one trace, in the order in which they ended."""

    trace_id: str
    spans: list[SpanRecord] = field(default_factory=list)
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
        self._lock = Lock()

    def add(self, span: SpanRecord) -> None:
        """Keep one finished span."""
        with self._lock:
            trace = self._traces.get(span.trace_id)
            if trace is None:
                trace = self._traces[span.trace_id] = TraceRecord(span.trace_id)
                if len(self._traces) > self._max_traces:
                    self._traces.popitem(last=False)
            if len(trace.spans) < self._max_spans:
                trace.spans.append(span)
            else:
                trace.dropped_spans += 1

    def find(self, start: str) -> list[TraceRecord]:
        """The traces whose id begins with `start`, newest first: a whole trace ID finds one or none."""
        with self._lock:
            return [trace for trace in reversed(self._traces.values()) if trace.trace_id.startswith(start)]

    def recent(self, limit: int) -> list[TraceRecord]:
        """The newest traces, newest first."""
        with self._lock:
            return list(reversed(self._traces.values()))[:limit]
