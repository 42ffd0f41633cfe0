"""The worker on its own: how a job can end, what the user is told, and what is seen of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.trace import format_trace_id

from app.db.models import JobState
from app.db.session import Database
from app.errors import (
    AppError,
    DeliveryFailed,
    DeliveryRefused,
    EngineFailed,
    JobError,
    NotMedia,
    Reason,
    TooLarge,
)
from app.jobs import queue, worker
from app.jobs.ports import AudioRequest, MediaResult, OnProgress, Progress
from app.telemetry.context import support_code
from tests.kit.jobs import (
    PRIVATE,
    REQUEST,
    Recording,
    ScriptedEngine,
    ask,
    change,
    ended,
    failing,
    stored,
    succeed,
    until,
    working,
)
from tests.kit.telemetry import Captured, Series, attributes

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


MP3, QUALITY = ("format", "mp3"), ("quality", "192k")


def counted(telemetry: Captured) -> dict[Series, float]:
    """What grew, but for the process and the database: how much of that there is, is chance."""
    grown = telemetry.metrics()
    return {s: n for s, n in grown.items() if not s[0].startswith(("bot.db.", "process."))}


# ------------------------------------------------------------------------------------------------ it works


@sqlite
async def test_a_job_that_succeeds(database: Database, folder: Path, telemetry: Captured) -> None:
    engine, deliver = ScriptedEngine(succeed), Recording()
    async with working(database, engine, deliver, folder) as running:
        job_id, cid, update_cid = await ask(database)
        row = await ended(running, database, job_id)

    assert engine.runs == [REQUEST]
    assert deliver.said == [
        ("progress", "downloading"),
        ("progress", "uploading"),
        ("result", "Song", cid),
        ("done",),
    ]
    assert (row.state, row.reason, row.attempts) == (JobState.DONE, Reason.SUCCESS, 1)
    assert telemetry.tree(cid) == ["send jobs.download", "  process jobs.download", "    download"]
    process = next(span for span in telemetry.trace(cid) if span.name == "process jobs.download")
    assert [format_trace_id(link.context.trace_id) for link in process.links] == [update_cid]
    assert attributes(process) == {
        "messaging.system": "tracegram",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "jobs.download",
        "messaging.message.id": str(job_id),
        "job.attempt": 1,
        "job.format": "mp3",
        "job.outcome": "done",
    }
    assert counted(telemetry) == {
        ("bot.format.requests", (MP3, QUALITY)): 1,
        ("bot.queue.wait.time", (("priority", "normal"),)): 1,
        ("bot.download.duration", (MP3, QUALITY)): 1,
        ("bot.download.success", (MP3, QUALITY)): 1,
        ("bot.jobs", (("engine", "yt-dlp"), ("outcome", "done"))): 1,
    }
    assert [event["name"] for event in telemetry.events(cid)] == ["TASK_STARTED", "TASK_COMPLETED"]
    assert [event["name"] for event in telemetry.events(update_cid)] == ["TASK_CREATED"]


@sqlite
async def test_a_woken_worker_does_not_wait_for_its_next_look(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_POLL_EVERY_S", 60.0)
    async with working(database, ScriptedEngine(succeed), Recording(), folder) as running:
        await asyncio.sleep(0.1)
        job_id, *_ = await ask(database)
        running.wake()
        assert (await ended(running, database, job_id)).state == JobState.DONE


@sqlite
async def test_no_more_jobs_at_once_than_allowed(database: Database, folder: Path) -> None:
    now, most = 0, 0

    async def measured(request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return await succeed(request, workdir, on_progress)

    deliver = Recording()
    async with working(database, ScriptedEngine(measured), deliver, folder, concurrency=2) as running:
        jobs = [(await ask(database))[0] for _ in range(5)]
        for job_id in jobs:
            await ended(running, database, job_id)
    assert most == 2
    assert deliver.news() == ["result"] * 5


@sqlite
async def test_progress_is_not_shown_more_often_than_a_chat_takes(database: Database, folder: Path) -> None:
    async def chatty(request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        for step in range(50):
            await on_progress(Progress("downloading", step / 50))
        return await succeed(request, workdir, on_progress)

    deliver = Recording()
    async with working(database, ScriptedEngine(chatty), deliver, folder) as running:
        job_id, *_ = await ask(database)
        await ended(running, database, job_id)
    assert [what[1] for what in deliver.said if what[0] == "progress"] == ["downloading", "uploading"]


@sqlite
async def test_news_that_are_lost_do_no_harm(database: Database, folder: Path) -> None:
    deliver = Recording(progress_error=DeliveryFailed(), done_error=DeliveryRefused())
    async with working(database, ScriptedEngine(succeed), deliver, folder) as running:
        job_id, *_ = await ask(database)
        assert (await ended(running, database, job_id)).state == JobState.DONE
    assert deliver.news() == ["result"]


# ------------------------------------------------------------------------------------------------ it fails


@sqlite
@pytest.mark.parametrize("error", [kind for kind in JobError.__subclasses__() if not kind.retry])
async def test_a_final_error_is_told_once(
    database: Database, folder: Path, telemetry: Captured, error: type[JobError]
) -> None:
    engine, deliver = ScriptedEngine(failing(error())), Recording()
    async with working(database, engine, deliver, folder) as running:
        job_id, cid, _ = await ask(database)
        row = await ended(running, database, job_id)
    assert len(engine.runs) == 1
    assert deliver.said == [("failure", error.text_key, cid)]
    assert (row.state, row.reason, row.attempts) == (JobState.FAILED, error.reason, 1)
    # What a person asked wrongly is no error of ours.
    category = "delivery" if error is DeliveryRefused else "download"
    errors = (
        {} if error.reason is Reason.VALIDATION_FAILED else {("bot.errors", (("category", category),)): 1}
    )
    expected: dict[Series, float] = {
        ("bot.format.requests", (MP3, QUALITY)): 1,
        ("bot.queue.wait.time", (("priority", "normal"),)): 1,
        ("bot.download.duration", (MP3, QUALITY)): 1,
        ("bot.download.failure", (("error_type", str(error.reason)), MP3)): 1,
        ("bot.jobs", (("engine", "yt-dlp"), ("outcome", "failed"))): 1,
    }
    assert counted(telemetry) == expected | errors
    started, event = telemetry.events(cid)
    assert (started["name"], started["attempt"]) == ("TASK_STARTED", 1)
    assert (event["name"], event["error_type"]) == ("TASK_FAILED", error.__name__)
    assert telemetry.telemetry.recorder.find(cid)[0].failed
    assert support_code(cid)[:4].lower() == cid[:4]


@sqlite
@pytest.mark.parametrize("error", [kind for kind in JobError.__subclasses__() if kind.retry])
async def test_a_passing_error_is_tried_again_and_then_told_once(
    database: Database, folder: Path, error: type[JobError]
) -> None:
    engine, deliver = ScriptedEngine(failing(error())), Recording()
    async with working(database, engine, deliver, folder) as running:
        job_id, cid, _ = await ask(database)
        row = await ended(running, database, job_id)
    assert len(engine.runs) == queue.MAX_ATTEMPTS
    assert deliver.said == [("failure", error.text_key, cid)]
    assert (row.state, row.reason, row.attempts) == (JobState.FAILED, error.reason, queue.MAX_ATTEMPTS)


@sqlite
async def test_an_error_that_passes_is_not_told(
    database: Database, folder: Path, telemetry: Captured
) -> None:
    engine, deliver = ScriptedEngine(failing(EngineFailed()), succeed), Recording()
    async with working(database, engine, deliver, folder) as running:
        job_id, cid, _ = await ask(database)
        row = await ended(running, database, job_id)
    assert (len(engine.runs), row.state, row.attempts) == (2, JobState.DONE, 2)
    assert deliver.news() == ["result"]
    ids = {"logger": "app.events", "job_id": job_id}
    again = {"attempt": 1, "reason_code": "INTERNAL_ERROR", "error_type": "EngineFailed"}
    assert telemetry.events(cid) == [
        {"name": "TASK_STARTED", **ids, "attempt": 1},
        {"name": "TASK_RETRIED", **ids, **again},
        {"name": "TASK_STARTED", **ids, "attempt": 2},
        {"name": "TASK_COMPLETED", **ids, "reason_code": "SUCCESS"},
    ]


@sqlite
async def test_tries_are_spaced_out(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_RETRY_AFTER_S", 60.0)
    engine = ScriptedEngine(failing(EngineFailed()))
    async with working(database, engine, Recording(), folder):
        job_id, *_ = await ask(database)

        async def put_back() -> bool:
            row = await stored(database, job_id)
            return row.state == JobState.QUEUED and row.attempts == 1

        await until(put_back)
        await asyncio.sleep(0.1)
    row = await stored(database, job_id)
    assert len(engine.runs) == 1
    assert row.available_at - datetime.now(UTC) > timedelta(seconds=50)


@sqlite
@pytest.mark.parametrize("error", [ValueError(PRIVATE), TimeoutError(PRIVATE), AppError("of another kind")])
async def test_an_unforeseen_exception_is_tried_again_told_and_logged_without_its_text(
    database: Database, folder: Path, telemetry: Captured, error: Exception
) -> None:
    engine, deliver = ScriptedEngine(failing(error)), Recording()
    async with working(database, engine, deliver, folder) as running:
        job_id, cid, _ = await ask(database)
        row = await ended(running, database, job_id)
    assert len(engine.runs) == queue.MAX_ATTEMPTS
    assert deliver.said == [("failure", "job_failed", cid)]
    assert (row.state, row.reason) == (JobState.FAILED, Reason.INTERNAL_ERROR)
    logged = [line for line in telemetry.lines() if line["message"].startswith("a job failed in a way")]
    assert [line["error.type"] for line in logged] == [type(error).__name__] * queue.MAX_ATTEMPTS
    assert {line["cid"] for line in logged} == {cid}
    assert PRIVATE not in telemetry.everything()


@sqlite
async def test_a_result_that_the_chat_refuses_is_not_sent_again(database: Database, folder: Path) -> None:
    engine = ScriptedEngine(succeed)
    deliver = Recording(result_error=DeliveryRefused(), failure_error=DeliveryRefused())
    async with working(database, engine, deliver, folder) as running:
        job_id, *_ = await ask(database)
        row = await ended(running, database, job_id)
    assert deliver.news() == ["result", "job_failed"]
    assert (row.state, row.reason, len(engine.runs)) == (JobState.FAILED, Reason.DOWNSTREAM_ERROR, 1)


@sqlite
async def test_a_result_that_is_too_large_to_send_is_explained(database: Database, folder: Path) -> None:
    deliver = Recording(result_error=TooLarge())
    async with working(database, ScriptedEngine(succeed), deliver, folder) as running:
        job_id, *_ = await ask(database)
        await ended(running, database, job_id)
    assert deliver.news() == ["result", "too_large"]


@sqlite
async def test_a_result_that_does_not_arrive_is_tried_again(database: Database, folder: Path) -> None:
    deliver = Recording(result_error=DeliveryFailed())
    async with working(database, ScriptedEngine(succeed), deliver, folder) as running:
        job_id, *_ = await ask(database)
        row = await ended(running, database, job_id)
    assert deliver.news() == ["result"] * queue.MAX_ATTEMPTS + ["job_failed"]
    assert (row.state, row.reason) == (JobState.FAILED, Reason.DOWNSTREAM_ERROR)


@sqlite
@pytest.mark.parametrize("error", [DeliveryFailed(), KeyError("a mistake in the delivery")])
async def test_a_failure_that_cannot_be_told_ends_the_job_all_the_same(
    database: Database, folder: Path, error: Exception
) -> None:
    deliver = Recording(failure_error=error)
    async with working(
        database, ScriptedEngine(failing(NotMedia())), deliver, folder, lease_s=0.6
    ) as running:
        job_id, *_ = await ask(database)
        row = await ended(running, database, job_id)
    assert deliver.news() == ["not_media"]
    assert (row.state, row.attempts) == (JobState.FAILED, 1)


@sqlite
async def test_a_job_that_kills_its_workers_is_given_up_and_told(database: Database, folder: Path) -> None:
    engine, deliver = ScriptedEngine(succeed), Recording()
    job_id, cid, _ = await ask(database)
    await change(
        database,
        job_id,
        state=JobState.RUNNING,
        worker="a dead one",
        attempts=queue.MAX_ATTEMPTS,
        lease_until=datetime.now(UTC) - timedelta(seconds=1),
    )
    async with working(database, engine, deliver, folder) as running:
        row = await ended(running, database, job_id)
    assert engine.runs == []
    assert deliver.said == [("failure", "job_failed", cid)]
    assert (row.state, row.reason) == (JobState.FAILED, Reason.INTERNAL_ERROR)
