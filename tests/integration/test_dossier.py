"""The dossier of an update or job, on both databases: put together from memory, traces and rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.bot.desk import Desk
from app.bot.dossier import Archive
from app.bot.locales import LANGUAGES
from app.bot.registry import ButtonId, Press, ScreenId
from app.bot.telling import story_of
from app.db.models import JobRow, UpdateRow
from app.db.session import Database
from app.telemetry.logs import Verbosity
from app.telemetry.recorder import EventRecord, Recorder, SpanRecord
from app.traces import index
from app.traces.index import TraceIndex
from app.traces.rows import JobFacts, UpdateFacts
from app.traces.verbosity import SharedVerbosity

UPDATE, JOB, OTHER = "0a" * 16, "0b" * 16, "0c" * 16
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
START_NS = int(NOW.timestamp() * 1e9)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_WRITE_EVERY_S", 0.02)


def span(cid: str, name: str, at: int = 0, **attributes: Any) -> SpanRecord:
    start = START_NS + at * 1_000_000
    return SpanRecord(cid, name[:16], None, name, "consumer", start, start + 1_000_000, "unset", attributes)


def of_update(number: int = 900000001) -> dict[str, Any]:
    return {"messaging.system": "telegram", "messaging.message.id": str(number)}


OF_JOB: dict[str, Any] = {"messaging.system": "tracegram", "messaging.message.id": "1"}


async def fill(database: Database) -> None:
    """One update, and the job that it asked for, which has failed."""
    async with database.transaction() as session:
        session.add(
            UpdateRow(
                update_id=900000001, kind="message", lane=None, body=None, traceparent=f"00-{UPDATE}-{'1' * 16}-01",
                state="done", epoch=1, attempts=2, hurried=False, received_at=NOW, available_at=NOW,
                finished_at=NOW, handler="app.bot.handlers.link.link_received", outcome="handled", reason="",
                duration_ms=47,
            )
        )  # fmt: skip
        session.add(
            JobRow(
                id=1, state="failed", chat_id=1, reply_to_message_id=1, progress_message_id=2, language="en",
                url="https://secret.example/", bitrate=192, traceparent=f"00-{JOB}-{'2' * 16}-01",
                created_by=f"00-{UPDATE}-{'3' * 16}-01", attempts=3, available_at=NOW, created_at=NOW,
                finished_at=NOW + timedelta(seconds=12), reason="DOWNSTREAM_TIMEOUT",
            )
        )  # fmt: skip


UPDATE_FACTS = UpdateFacts(
    900000001, "message", UPDATE, "done", 2, NOW, "app.bot.handlers.link.link_received", "handled", "", 47
)
JOB_FACTS = JobFacts(1, JOB, UPDATE, "failed", 3, NOW, NOW + timedelta(seconds=12), "DOWNSTREAM_TIMEOUT")


@asynccontextmanager
async def archive(database: Database, recorder: Recorder | None = None) -> AsyncIterator[Archive]:
    recorder = recorder or Recorder()
    traces = TraceIndex(database, recorder, 1e6)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(traces.run())
        await asyncio.sleep(0)  # it has begun
        yield Archive.of(database, recorder, traces, "")
        loop.cancel()


async def test_an_update_with_its_job(database: Database) -> None:
    await fill(database)
    recorder = Recorder()
    recorder.add(span(UPDATE, "process message", **of_update()))
    recorder.add_event(UPDATE, EventRecord(START_NS, "TASK_CREATED", {"job_id": 1, "job_cid": JOB}))
    recorder.add(span(JOB, "process jobs.download", **OF_JOB))
    async with archive(database, recorder) as here:
        update, job = await here.open(UPDATE), await here.open(JOB)
    assert (update.update, update.jobs) == (UPDATE_FACTS, (JOB_FACTS,))
    assert [trace.trace_id for trace in update.related] == [JOB]
    assert (job.update, job.jobs) == (None, (JOB_FACTS,))
    assert [trace.trace_id for trace in job.related] == [UPDATE]


async def test_rows_alone(database: Database) -> None:
    await fill(database)
    async with archive(database) as here:
        # The last is how Tempo's search writes it.
        for query in ("900000001", UPDATE, "0A0A-0A0A", UPDATE.lstrip("0")):
            assert await here.find(query) == [UPDATE]
        assert await here.find("0b0b0b") == [JOB]
        update, job = await here.open(UPDATE), await here.open(JOB)
        nothing = await here.open(OTHER)
    assert (update.trace, update.update, update.jobs, update.related) == (
        None,
        UPDATE_FACTS,
        (JOB_FACTS,),
        (),
    )
    assert (job.trace, job.update, job.jobs, job.related) == (None, None, (JOB_FACTS,), ())
    for language in LANGUAGES:
        assert story_of(language, update, "", "tracegram") is not None
        assert story_of(language, job, "", "tracegram") is not None
        assert story_of(language, nothing, "", "tracegram") is None


@pytest.mark.parametrize("query", ["", "-", "zz", "%", "0_", "0a" * 17, "9" * 40])
async def test_what_is_no_query_finds_nothing(database: Database, query: str) -> None:
    await fill(database)
    async with archive(database) as here:
        assert await here.find(query) == []


async def test_a_trace_of_two_processes_and_the_last_second_is_one(database: Database) -> None:
    """One instance received the update, another processes it: what either has not written yet is not missing."""
    door, first = Recorder(), Recorder()
    door.add(span(UPDATE, "receive message", 0, **of_update()))
    door.add_event(UPDATE, EventRecord(START_NS, "UPDATE_RECEIVED", {"door": "webhook"}))
    first.add(span(UPDATE, "sendMessage", 5))
    first.add_event(UPDATE, EventRecord(START_NS + 5, "UI_RENDER", {"screen_id": "HELP"}))
    async with archive(database, door), archive(database, first):
        pass  # a stop writes what is left
    late = Recorder()
    late.add(span(UPDATE, "sendMessage", 5))
    late.add(span(UPDATE, "process message", 9, **of_update()))
    late.add_event(UPDATE, EventRecord(START_NS + 5, "UI_RENDER", {"screen_id": "HELP"}))
    late.add_event(UPDATE, EventRecord(START_NS + 9, "DISPATCH_OK", {"outcome": "handled"}))
    async with archive(database, late) as here:
        whole = (await here.open(UPDATE)).trace
    assert whole is not None
    assert sorted(span.name for span in whole.spans) == ["process message", "receive message", "sendMessage"]
    assert [event.name for event in whole.events] == ["UPDATE_RECEIVED", "UI_RENDER", "DISPATCH_OK"]


async def test_errors_and_slow_tell_of_other_processes_too(database: Database) -> None:
    now_ns = time.time_ns()
    here, elsewhere = Recorder(), Recorder()
    for number in range(12):  # more than a page of good ones
        here.add(span(f"{number:032x}", "process message", number, **of_update(number)))
    failed = SpanRecord(
        JOB, "b" * 16, None, "process jobs.download", "consumer", now_ns, now_ns + 10**10, "error", OF_JOB
    )
    elsewhere.add(failed)
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(TraceIndex(database, elsewhere, 1e6).run())
        await asyncio.sleep(0.3)
        worker.cancel()
    archive = Archive.of(database, here, TraceIndex(database, here, 1e6), "")
    desk = Desk(archive, SharedVerbosity(database, Verbosity("INFO")), lambda: "ACTIVE")
    for button in (ButtonId.SHOW_ERRORS, ButtonId.SHOW_SLOW):
        screen = await desk.pressed("en", Press(ScreenId.DEBUG, button))
        assert "1. ❌ <b>process jobs.download</b>" in screen.text, screen.text
        assert JOB in screen.text
