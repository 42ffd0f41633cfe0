"""The index of traces, on both databases: written in the background, found again, removed when too old."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import text

from app.db.session import Database
from app.telemetry.again import SendAgain
from app.telemetry.recorder import EventRecord, Recorder, SpanRecord, TraceRecord
from app.telemetry.redaction import MASK, Scrubber
from app.telemetry.spans import Spans
from app.traces import index
from app.traces.index import TraceIndex

NOW_NS = 1_795_000_000_000_000_000
HOUR_NS = 3_600_000_000_000
MS_NS = 1_000_000


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_WRITE_EVERY_S", 0.02)
    monkeypatch.setattr(index, "_PRUNE_EVERY_S", 0.0)


def span(trace_id: str, start_ns: int = NOW_NS, /, **attributes: Any) -> SpanRecord:
    return SpanRecord(
        trace_id,
        "aa" * 8,
        None,
        "sendMessage",
        "client",
        start_ns,
        start_ns + 5,
        "ok",
        attributes,
        ("ee" * 16,),
    )


@asynccontextmanager
async def running(
    database: Database, recorder: Recorder, retention_h: float = 1e6, again: SendAgain | None = None
) -> AsyncIterator[TraceIndex]:
    traces = TraceIndex(database, recorder, retention_h, again)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(traces.run())
        await asyncio.sleep(0)  # it has begun
        yield traces
        loop.cancel()


async def test_a_trace_is_found_again_as_it_was(database: Database) -> None:
    recorder = Recorder()
    made = span("0a" * 16, **{"telegram.message.id": 7, "rpc.method": "sendMessage"})
    door = span(
        "0a" * 16,
        NOW_NS - 9,
        **{"messaging.system": "telegram", "messaging.message.id": "900000001"},
    )
    event = EventRecord(NOW_NS, "UPDATE_RECEIVED", {"update_id": 900000001, "door": "webhook"})
    recorder.add(made)
    recorder.add(door)
    recorder.add_event("0a" * 16, event)
    recorder.add(span("0b" * 16))
    async with running(database, recorder):
        pass  # a stop writes what is left
    whole = TraceRecord("0a" * 16, [made, door], [event])
    async with running(database, Recorder()) as later:
        assert await later.by_id("0a" * 16) == [whole]
        assert await later.by_id("0a0a0a") == [whole]
        assert await later.by_update(900000001) == [whole]
        assert await later.by_message(7) == [whole]
        assert await later.by_id("ff") == await later.by_update(1) == await later.by_message(8) == []
        assert {trace.trace_id for trace in await later.by_id("0")} == {"0a" * 16, "0b" * 16}
        # A prefix is no pattern.
        assert await later.by_id("%") == await later.by_id("0_") == []


async def test_what_comes_later_is_added(database: Database) -> None:
    recorder = Recorder()
    async with running(database, recorder) as traces:
        recorder.add(span("0a" * 16, **{"telegram.message.id": 1}))
        while not await traces.by_message(1):
            await asyncio.sleep(0.01)
        recorder.add(span("0a" * 16, **{"telegram.message.id": 2}))
        while not await traces.by_message(2):
            await asyncio.sleep(0.01)
        (trace,) = await traces.by_message(1)
    assert [s.attributes for s in trace.spans] == [{"telegram.message.id": 1}, {"telegram.message.id": 2}]


async def test_old_traces_go(database: Database) -> None:
    import time

    recorder = Recorder()
    now = time.time_ns()
    recorder.add(span("0a" * 16, now - 3 * HOUR_NS, **{"telegram.message.id": 1}))
    recorder.add(span("0b" * 16, now - 1 * HOUR_NS, **{"telegram.message.id": 2}))
    async with running(database, recorder, retention_h=2) as traces:
        while not await traces.by_message(2) or await traces.by_id("0a"):
            await asyncio.sleep(0.01)
    async with database.transaction() as session:
        left = (await session.execute(text("SELECT message_id, trace_id FROM trace_messages"))).all()
    assert [tuple(row) for row in left] == [(2, "0b" * 16)]


async def test_a_trace_that_the_database_refuses_keeps_no_other_out(database: Database) -> None:
    recorder = Recorder()
    for number in range(3):
        recorder.add(span(f"0{number}" * 16, **{"telegram.message.id": 2**70 if number == 1 else number}))
    async with running(database, recorder):
        pass
    async with running(database, Recorder()) as later:
        assert sorted(trace.trace_id for trace in await later.newest()) == ["00" * 16, "02" * 16]


async def test_a_database_that_fails_ends_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    async with running(database, recorder) as traces:
        real = database.transaction
        monkeypatch.setattr(database, "transaction", lambda: 1 / 0)
        recorder.add(span("0a" * 16))
        await asyncio.sleep(0.1)
        monkeypatch.setattr(database, "transaction", real)
        recorder.add(span("0b" * 16))
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while not await traces.by_id("0b"):
                    await asyncio.sleep(0.01)
        assert len(await traces.by_id("0b")) == 1
        # What could not be written at first is written, too.
        assert len(await traces.by_id("0a")) == 1


async def test_a_trace_that_cannot_be_read_ends_nothing(database: Database) -> None:
    def unreadable() -> SpanRecord:
        raise ValueError

    recorder = Recorder()
    async with running(database, recorder) as traces:
        recorder.keep("0a" * 16, unreadable, 1)
        await asyncio.sleep(0.1)
        recorder.add(span("0b" * 16))
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while not await traces.by_id("0b"):
                    await asyncio.sleep(0.01)
        assert len(await traces.by_id("0b")) == 1


async def test_a_stop_in_the_midst_of_writing_loses_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    recorder.add(span("0a" * 16))
    begun, go_on = threading.Event(), threading.Event()
    take = recorder.take_changed

    def slow() -> list[TraceRecord]:
        taken = take()
        begun.set()
        assert go_on.wait(30)
        return taken

    monkeypatch.setattr(recorder, "take_changed", slow)
    async with running(database, recorder):
        while not begun.is_set():
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.05, go_on.set)  # the stop comes first
    async with running(database, Recorder()) as later:
        assert len(await later.by_id("0a")) == 1


async def test_what_is_written_is_scrubbed(database: Database) -> None:
    secret = "hunter2-hunter2"
    recorder = Recorder()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Spans(recorder, Scrubber([secret]), lambda: None))
    with provider.get_tracer("test").start_as_current_span(f"ask {secret}", attributes={"key": [secret]}):
        pass
    async with running(database, recorder):
        pass
    async with database.transaction() as session:
        (story,) = (await session.scalars(text("SELECT story FROM traces"))).all()
    assert secret not in story
    assert story.count(MASK) == 2


def attempt(number: int, status: Literal["unset", "error"], start_ns: int, ms: int = 1) -> SpanRecord:
    """An attempt at the update of this number."""
    attributes = {"messaging.system": "telegram", "messaging.message.id": str(number)}
    end_ns = start_ns + ms * MS_NS
    kind, trace_id = "consumer", f"{number:032x}"
    return SpanRecord(
        trace_id, f"{start_ns:016x}", None, "process", kind, start_ns, end_ns, status, attributes
    )


async def test_errors_are_found_behind_any_number_of_good_traces(database: Database) -> None:
    recorder, elsewhere = Recorder(), Recorder()
    recorder.add(attempt(1, "error", NOW_NS))
    elsewhere.add(attempt(2, "error", NOW_NS + MS_NS))
    for number in range(3, 600):
        recorder.add(attempt(number, "unset", NOW_NS + number * MS_NS))
    async with running(database, elsewhere), running(database, recorder) as traces:
        while not await traces.by_id(f"{2:032x}"):
            await asyncio.sleep(0.01)
        assert [int(trace.trace_id, 16) for trace in await traces.bad()] == [2, 1]


async def test_what_a_later_attempt_elsewhere_mended_is_no_error(database: Database) -> None:
    recorder, elsewhere = Recorder(), Recorder()
    recorder.add(attempt(1, "error", NOW_NS))
    recorder.add(attempt(2, "error", NOW_NS))
    elsewhere.add(attempt(1, "unset", NOW_NS + HOUR_NS))
    async with running(database, elsewhere):
        pass
    async with running(database, recorder) as traces:
        assert [int(trace.trace_id, 16) for trace in await traces.bad()] == [2]


async def test_the_slowest_are_those_of_every_process_since_then(database: Database) -> None:
    recorder, elsewhere = Recorder(), Recorder()
    recorder.add(attempt(1, "unset", NOW_NS - HOUR_NS, 9000))
    recorder.add(attempt(2, "unset", NOW_NS, 20))
    elsewhere.add(attempt(3, "unset", NOW_NS, 500))
    recorder.add(attempt(4, "unset", NOW_NS + MS_NS, 40))
    async with running(database, elsewhere):
        pass
    async with running(database, recorder) as traces:
        slowest = await traces.slowest(datetime.fromtimestamp(NOW_NS / 1e9, UTC))
    assert [(int(trace.trace_id, 16), trace.duration_ms) for trace in slowest] == [
        (3, 500.0),
        (4, 40.0),
        (2, 20.0),
    ]


async def test_the_trace_that_touched_a_message_last_is_the_first(database: Database) -> None:
    """A job that began earlier may edit the message after the update that began later did."""
    recorder, worker = Recorder(), Recorder()
    recorder.add(span("0a" * 16, NOW_NS + HOUR_NS, **{"telegram.message.id": 7}))
    worker.add(span("0b" * 16, NOW_NS, **{"telegram.message.id": 7}))
    worker.add(span("0b" * 16, NOW_NS + 2 * HOUR_NS, **{"telegram.message.id": 7}))
    worker.add(span("0a" * 16, NOW_NS + 3 * HOUR_NS, **{"telegram.message.id": 8}))
    async with running(database, worker):
        pass
    async with running(database, recorder) as traces:
        assert [trace.trace_id for trace in await traces.by_message(7)] == ["0b" * 16, "0a" * 16]


async def test_a_list_has_what_happened_just_now(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_WRITE_EVERY_S", 3600)
    recorder = Recorder()
    async with running(database, recorder) as traces:
        recorder.add(attempt(1, "error", NOW_NS))
        assert [trace.trace_id for trace in await traces.newest()] == [f"{1:032x}"]
        recorder.add(attempt(2, "error", NOW_NS + MS_NS))
        assert [int(trace.trace_id, 16) for trace in await traces.bad()] == [2, 1]


def part(number: int, parent_id: str | None, start_ns: int, /, **marks: Any) -> SpanRecord:
    """What one process did of the update of this number, in 5 ns."""
    attributes = {"messaging.system": "telegram", "messaging.message.id": str(number), **marks}
    kind, trace_id = "consumer" if parent_id else "client", f"{number:032x}"
    status = "error" if "error.type" in marks else "unset"
    return SpanRecord(
        trace_id,
        f"{start_ns:016x}",
        parent_id,
        "process" if parent_id else "receive",
        kind,
        start_ns,
        start_ns + 5,
        status,  # type: ignore[arg-type]  # one of the three names
        attributes,
    )


async def test_what_another_process_received_long_before_is_sent_again(database: Database) -> None:
    """The Collector had decided on an update by its receipt alone: its failure, or the trace of a dot, was nowhere."""
    receiver, recorder = Recorder(), Recorder()
    marks: dict[int, dict[str, Any]] = {
        1: {"error.type": "TelegramBadRequest"},
        2: {"tracegram.exemplar": True},
        3: {},
        4: {"tracegram.exemplar": True},
    }
    for number, marked in marks.items():
        received_ns = NOW_NS + number
        receiver.add(part(number, None, received_ns))
        waited_ns = 4_000 * MS_NS if number == 4 else 6_000 * MS_NS
        recorder.add(part(number, f"{received_ns:016x}", received_ns + waited_ns, **marked))
    sent: list[tuple[int, list[str], str]] = []

    def again(trace: TraceRecord, why: str) -> None:
        sent.append((int(trace.trace_id, 16), [span.name for span in trace.spans], why))

    async with running(database, receiver):
        pass
    async with running(database, recorder, again=again):
        pass
    assert sent == [(1, ["receive", "process"], "late"), (2, ["receive", "process"], "late")]


async def test_a_message_of_a_supergroup_stands_for_no_other_of_its_number(database: Database) -> None:
    recorder = Recorder()
    for at, kind in enumerate(("private", "supergroup", "channel")):
        told = {"telegram.message.id": 57, "telegram.chat.type": kind}
        recorder.add(span(f"0{at}" * 16, **told))
    traces = TraceIndex(database, recorder, 24)
    assert [found.trace_id for found in await traces.by_message(57)] == ["00" * 16]
