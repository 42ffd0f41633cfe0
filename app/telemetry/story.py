"""A recorded trace in words: how it ended, and its events as lines. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.telemetry.recorder import EventRecord, SpanRecord, TraceRecord

#: What is worth a place in a line of an event, besides its name.
_TELLING = ("reason_code", "reason_text", "screen_id", "button_id", "command", "error_type", "outcome")
_EVENTS = 10
#: A PASSIVE instance that is told to turn updates away.
_REJECTED = "PASSIVE_REJECT"
_LONGEST_LINE = 160


def outcome(trace: TraceRecord) -> str:
    """How the trace ended, with the reason or error when there is one; `under way` while it has not."""
    last = _last_attempt(trace).attributes
    ended = last.get("telegram.update.outcome") or last.get("job.outcome")
    if _is_rejected(trace):
        ended = "rejected"
    elif ended is None:
        # What no queue brought ends with its span; an update or a job has only been received so far.
        ended = "under way" if "messaging.system" in trace.root.attributes else "done"
    reason = trace.reason or last.get("error.type", "")
    return f"{ended}, {reason}" if reason and reason != "SUCCESS" else str(ended)


def is_bad(trace: TraceRecord) -> bool:
    """Whether its last attempt failed, or it was rejected."""
    return trace.failed or _is_rejected(trace)


def _last_attempt(trace: TraceRecord) -> SpanRecord:
    attempts = [span for span in trace.spans if span.kind == "consumer"]
    return max(attempts, key=lambda span: span.end_ns) if attempts else trace.root


def _is_rejected(trace: TraceRecord) -> bool:
    return trace.reason == _REJECTED or any(event.name == "CALLBACK_REJECTED" for event in trace.events)


def title(trace: TraceRecord) -> str:
    """What the trace is about: a kind of update, or a queue."""
    return trace.root.name.removeprefix("receive ").removeprefix("send ")


def update_number(trace: TraceRecord) -> int | None:
    """The `update_id` that the trace is about, or None when it is about something else."""
    for span in trace.spans:
        if span.attributes.get("messaging.system") == "telegram":
            number = str(span.attributes.get("messaging.message.id", ""))
            return int(number) if number.isdecimal() else None
    return None


def job_numbers(trace: TraceRecord) -> list[int]:
    """The jobs that the trace is about; none for the trace of an update."""
    queued = [
        span.attributes for span in trace.spans if span.attributes.get("messaging.system") == "tracegram"
    ]
    numbers = dict.fromkeys(str(attributes.get("messaging.message.id", "")) for attributes in queued)
    return [int(number) for number in numbers if number.isdecimal()]


def jobs_created(trace: TraceRecord) -> list[int]:
    """The jobs that were queued in the trace."""
    return [int(event.fields["job_id"]) for event in trace.events if event.name == "TASK_CREATED"]


def chain(trace: TraceRecord) -> list[str]:
    """Its events, a line each, with milliseconds since the first."""
    start = trace.events[0].at_ns if trace.events else 0
    return [f"+{(event.at_ns - start) / 1e6:.0f} ms {_told(event)}" for event in trace.events]


def last_events(traces: Sequence[TraceRecord]) -> list[str]:
    """The last ten events of all of them, newest first, with the time of day (UTC)."""
    newest = sorted((event for trace in traces for event in trace.events), key=lambda event: -event.at_ns)
    return [
        f"{time.strftime('%H:%M:%S', time.gmtime(event.at_ns / 1e9))} {_told(event)}"
        for event in newest[:_EVENTS]
    ]


def _told(event: EventRecord) -> str:
    words = [event.name, *(str(event.fields[name]) for name in _TELLING if name in event.fields)]
    return " ".join(" ".join(words).split())[:_LONGEST_LINE]
