"""A recorded trace in words: how it ended and why, for updates that were tried again, sent twice, or turned away."""

from __future__ import annotations

from typing import Any

import pytest

from app.telemetry.recorder import EventRecord, SpanRecord, Status, TraceRecord
from app.telemetry.story import chain, is_bad, job_numbers, jobs_created, outcome, title, update_number

DOOR: dict[str, Any] = {"messaging.system": "telegram", "messaging.message.id": "900000001"}


def span(
    name: str, end: int, kind: str = "consumer", status: Status = "unset", **attributes: Any
) -> SpanRecord:
    return SpanRecord("aa", f"{name}{end}", None, name, kind, end - 1, end, status, attributes)


def event(name: str, at_ms: float = 0, **fields: Any) -> EventRecord:
    return EventRecord(int(at_ms * 1e6), name, fields)


def trace(*parts: SpanRecord | EventRecord) -> TraceRecord:
    spans = [part for part in parts if isinstance(part, SpanRecord)]
    return TraceRecord("aa", spans, [part for part in parts if isinstance(part, EventRecord)])


RECEIVED = span("receive message", 1, "server", **DOOR)
HANDLED = span("process message", 9, **DOOR, **dict[str, Any]({"telegram.update.outcome": "handled"}))
FAILED = span(
    "process message",
    5,
    status="error",
    **DOOR,
    **{"telegram.update.outcome": "error", "error.type": "ValueError"},
)
LATER = span("process message", 8, status="error", **FAILED.attributes)
REJECTED = event("CALLBACK_REJECTED", reason_code="STATE_MISMATCH", reason_text="x")
BROKEN = event("DISPATCH_FAIL", at_ms=0.000006, reason_code="DB_ERROR")
MARKED = span(
    "process message", 5, status="error", **{**FAILED.attributes, "reason_code": "VALIDATION_FAILED"}
)
ASIDE = span(
    "set aside message", 9, status="error", **DOOR, **dict[str, Any]({"telegram.update.outcome": "set_aside"})
)
AGAIN = event("DISPATCH_OK", reason_code="DUPLICATE_UPDATE", outcome="duplicate")


@pytest.mark.parametrize(
    ("parts", "ended", "bad"),
    [
        ([RECEIVED], "under way", False),
        ([RECEIVED, HANDLED], "handled", False),
        ([RECEIVED, HANDLED, event("CALLBACK_ACCEPTED", reason_code="SUCCESS")], "handled", False),
        ([RECEIVED, FAILED], "error, ValueError", True),
        ([RECEIVED, FAILED, event("DISPATCH_FAIL", reason_code="DB_ERROR")], "error, DB_ERROR", True),
        ([RECEIVED, FAILED, HANDLED], "handled", False),
        ([HANDLED, RECEIVED, FAILED], "handled", False),
        ([RECEIVED, FAILED, LATER], "error, ValueError", True),
        ([RECEIVED, HANDLED, REJECTED], "rejected, STATE_MISMATCH", True),
        ([RECEIVED, HANDLED, REJECTED, AGAIN], "rejected, STATE_MISMATCH", True),
        ([RECEIVED, HANDLED, AGAIN], "handled, DUPLICATE_UPDATE", False),
        ([RECEIVED, FAILED, BROKEN, HANDLED, event("DISPATCH_OK")], "handled", False),
        ([RECEIVED, FAILED, BROKEN, AGAIN], "error, DB_ERROR", True),
        ([RECEIVED, MARKED, AGAIN], "error, VALIDATION_FAILED", True),
        ([RECEIVED, MARKED, BROKEN, HANDLED, event("DISPATCH_OK")], "handled", False),
        ([RECEIVED, ASIDE, event("UPDATE_SET_ASIDE", reason_code="INTERNAL_ERROR")], "set_aside, INTERNAL_ERROR", True),
        ([span("receive message", 1, "server", **DOOR, reason_code="PASSIVE_REJECT")], "rejected, PASSIVE_REJECT", True),
        ([span("lease takeover", 1, "internal")], "done", False),
    ],
    ids=[
        "only received", "handled", "success", "failed", "failed with a reason", "failed, then handled",
        "in another order", "failed twice", "rejected", "rejected, sent twice", "sent twice",
        "failed with a reason, then handled", "failed, sent twice", "unreadable, sent twice",
        "marked, then handled", "set aside", "passive", "no update",
    ],
)  # fmt: skip
def test_how_it_ended(parts: list[SpanRecord | EventRecord], ended: str, bad: bool) -> None:
    assert (outcome(trace(*parts)), is_bad(trace(*parts))) == (ended, bad)


def test_what_it_is_about() -> None:
    queued: dict[str, Any] = {"messaging.system": "tracegram", "messaging.message.id": "17"}
    job = trace(
        span("send jobs.download", 1, "producer", **queued), span("process jobs.download", 9, **queued)
    )
    update = trace(RECEIVED, HANDLED, event("TASK_CREATED", job_id=17), event("TASK_CREATED", job_id=18))
    other = trace(span("lease takeover", 1, "internal"))
    assert [title(t) for t in (job, update, other)] == ["jobs.download", "message", "lease takeover"]
    assert [update_number(t) for t in (job, update, other)] == [None, 900000001, None]
    assert [job_numbers(t) for t in (job, update, other)] == [[17], [], []]
    assert [jobs_created(t) for t in (job, update, other)] == [[], [17, 18], []]


def test_a_damaged_number_is_none() -> None:
    assert update_number(trace(span("receive message", 1, **{**DOOR, "messaging.message.id": "x"}))) is None
    assert job_numbers(trace(span("send", 1, **dict[str, Any]({"messaging.system": "tracegram"})))) == []


def test_the_chain_of_events() -> None:
    told = chain(
        trace(
            RECEIVED, event("UPDATE_RECEIVED", 5), event("CALLBACK_REJECTED", 17.4, reason_text="x\n" * 500)
        )
    )
    assert told[0] == "+0 ms UPDATE_RECEIVED"
    assert told[1].startswith("+12 ms CALLBACK_REJECTED x x x")
    assert len(told[1]) < 200
    assert chain(trace(RECEIVED)) == []
