"""The index of traces, on both databases: written in the background, found again, removed when too old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import text

from app.db.session import Database
from app.telemetry.recorder import EventRecord, Recorder, SpanRecord, TraceRecord
from app.traces import index
from app.traces.index import TraceIndex

NOW_NS = 1_795_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


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
    database: Database, recorder: Recorder, retention_h: float = 1e6
) -> AsyncIterator[TraceIndex]:
    traces = TraceIndex(database, recorder, retention_h)
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
