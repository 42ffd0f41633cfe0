"""Traces and their log lines, bounded, and which message each of them belongs to.

A trace belongs to a message when a span of it sent or edited that message, or worked on the update that the user
made with it; traces linked to it, in either direction, belong to the message too.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from app.sandbox.state import Json

TRACES_LIMIT: Final = 500
SPANS_LIMIT: Final = 400
LOGS_LIMIT: Final = 400
UPDATES_LIMIT: Final = 10_000

MessageKey = tuple[int, int]


@dataclass(slots=True)
class Trace:
    """All that arrived of one trace, in whatever order."""

    trace_id: str
    spans: dict[str, Json] = field(default_factory=dict)
    logs: deque[Json] = field(default_factory=lambda: deque(maxlen=LOGS_LIMIT))
    messages: dict[MessageKey, None] = field(default_factory=dict)
    links: dict[str, None] = field(default_factory=dict)

    def root(self) -> Json:
        """Give the span that has no parent here, the earliest of them."""
        return min(
            self.spans.values(), key=lambda span: (span["parent_span_id"] in self.spans, span["start_ms"])
        )

    def summary(self) -> Json:
        """Show the trace in one line."""
        root = self.root()
        start_ms = min(span["start_ms"] for span in self.spans.values())
        end_ms = max(span["start_ms"] + span["duration_ms"] for span in self.spans.values())
        return {
            "trace_id": self.trace_id,
            "root": root["name"],
            "service": root["service"],
            "start_ms": start_ms,
            "duration_ms": round(end_ms - start_ms, 3),
            "status": root["status"],
            "failed": sum(self._is_failure(span, root) for span in self.spans.values()),
            "running": self._is_running(),
            "span_count": len(self.spans),
        }

    @staticmethod
    def _is_failure(span: Json, root: Json) -> bool:
        return span["status"] == "error" and (span is root or span["kind"] in ("server", "consumer"))

    def _is_running(self) -> bool:
        # A parent ends, and so arrives, after its children; in a full trace it finds no room.
        parents = {span["parent_span_id"] for span in self.spans.values()} - {None}
        return len(self.spans) < SPANS_LIMIT and not parents <= self.spans.keys()


class TraceStore:
    """The last 500 traces; what is older is forgotten whole."""

    def __init__(self) -> None:
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._of_message: dict[MessageKey, dict[str, None]] = {}
        self._updates: OrderedDict[int, MessageKey] = OrderedDict()

    def clear(self) -> None:
        """Forget everything."""
        self._traces.clear()
        self._of_message.clear()
        self._updates.clear()

    def note_update(self, update_id: int, message: MessageKey) -> None:
        """Remember which message an update came from."""
        self._updates[update_id] = message
        while len(self._updates) > UPDATES_LIMIT:
            self._updates.popitem(last=False)

    def message_of_update(self, update_id: int) -> MessageKey | None:
        """Give the message that the update came from, None when nobody knows."""
        return self._updates.get(update_id)

    def attach(self, trace_id: str, message: MessageKey) -> None:
        """Say that the trace made, changed or handled the message."""
        self._trace(trace_id).messages[message] = None
        self._of_message.setdefault(message, {})[trace_id] = None

    def add_span(self, trace_id: str, span: Json) -> None:
        """Take a span; beyond 400 of one trace it is dropped."""
        trace = self._trace(trace_id)
        if len(trace.spans) < SPANS_LIMIT or span["span_id"] in trace.spans:
            trace.spans[span["span_id"]] = span
            for link in span["links"]:
                if link["trace_id"] != trace_id:
                    trace.links[link["trace_id"]] = None

    def add_log(self, trace_id: str, line: Json) -> None:
        """Take a log line; beyond 400 of one trace the oldest goes."""
        self._trace(trace_id).logs.append(line)

    def message_ids(self, trace_id: str) -> list[int]:
        """Give the messages that the trace belongs to, by itself or by a link."""
        family = [trace_id, *self._linked(trace_id)]
        keys = dict.fromkeys(
            key for member in family if member in self._traces for key in self._traces[member].messages
        )
        return [message_id for _, message_id in keys]

    def ids_of(self, message: MessageKey) -> list[str]:
        """Give the traces of a message: its own first, then the linked ones."""
        own = [trace_id for trace_id in self._of_message.get(message, {}) if self._is_known(trace_id)]
        linked = (other for trace_id in own for other in self._linked(trace_id))
        return list(dict.fromkeys([*own, *linked]))

    def view(self, trace_id: str) -> Json | None:
        """Show a whole trace, None when it is unknown."""
        if not self._is_known(trace_id):
            return None
        trace = self._traces[trace_id]
        whole = trace.summary()
        del whole["service"], whole["span_count"]
        spans = sorted(trace.spans.values(), key=lambda span: span["start_ms"])
        logs = sorted(trace.logs, key=lambda line: line["at_ms"])
        return {**whole, "spans": spans, "logs": logs, "linked_trace_ids": self._linked(trace_id)}

    def views(self, trace_ids: Iterable[str]) -> list[Json]:
        """Show several traces."""
        return [view for trace_id in trace_ids if (view := self.view(trace_id)) is not None]

    def newest(self, limit: int) -> list[Json]:
        """Show the newest traces, one line each."""
        lines = [trace.summary() for trace in self._traces.values() if trace.spans]
        return sorted(lines, key=lambda line: float(line["start_ms"]), reverse=True)[:limit]

    def _is_known(self, trace_id: str) -> bool:
        return trace_id in self._traces and bool(self._traces[trace_id].spans)

    def _linked(self, trace_id: str) -> list[str]:
        outward = self._traces[trace_id].links if trace_id in self._traces else {}
        inward = (other.trace_id for other in self._traces.values() if trace_id in other.links)
        return [other for other in dict.fromkeys([*outward, *inward]) if self._is_known(other)]

    def _trace(self, trace_id: str) -> Trace:
        trace = self._traces.get(trace_id)
        if trace is None:
            trace = self._traces[trace_id] = Trace(trace_id)
            while len(self._traces) > TRACES_LIMIT:
                self._forget(self._traces.popitem(last=False)[1])
        return trace

    def _forget(self, trace: Trace) -> None:
        for message in trace.messages:
            known = self._of_message.get(message, {})
            known.pop(trace.trace_id, None)
            if not known:
                self._of_message.pop(message, None)
