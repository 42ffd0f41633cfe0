"""A recorded trace in words: how it ended, and its events as lines. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.telemetry.recorder import EventRecord, TraceRecord

#: What is worth a place in a line of an event, besides its name.
_TELLING = ("reason_code", "reason_text", "screen_id", "button_id", "command", "error_type", "outcome")
_EVENTS = 10


def outcome(trace: TraceRecord) -> str:
    """How the trace ended, with the reason or error when there is one; `under way` while it has not."""
    last = next((span for span in reversed(trace.spans) if span.kind == "consumer"), trace.root)
    ended = (
        last.attributes.get("telegram.update.outcome") or last.attributes.get("job.outcome") or "under way"
    )
    reason = trace.reason or last.attributes.get("error.type", "")
    return f"{ended}, {reason}" if reason and reason != "SUCCESS" else str(ended)


def chain(trace: TraceRecord) -> str:
    """Its events, a line each, with milliseconds since the first."""
    if not trace.events:
        return ""
    start = trace.events[0].at_ns
    return "\n".join(f"+{(event.at_ns - start) / 1e6:.0f} ms {_told(event)}" for event in trace.events)


def last_events(traces: Sequence[TraceRecord]) -> list[str]:
    """The last ten events of all of them, newest first, with the time of day (UTC)."""
    newest = sorted((event for trace in traces for event in trace.events), key=lambda event: -event.at_ns)
    return [
        f"{time.strftime('%H:%M:%S', time.gmtime(event.at_ns / 1e9))} {_told(event)}"
        for event in newest[:_EVENTS]
    ]


def _told(event: EventRecord) -> str:
    return " ".join([event.name, *(str(event.fields[name]) for name in _TELLING if name in event.fields)])
