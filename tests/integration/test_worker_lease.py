"""The worker among others: the lease, the stop, and a database that fails."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.db.models import JobState
from app.db.session import Database
from app.errors import (
    Reason,
)
from app.jobs import queue, worker
from app.jobs.ports import AudioRequest, MediaResult, OnProgress
from app.jobs.worker import Worker, WorkerConfig
from tests.kit.jobs import (
    PRIVATE,
    Blocked,
    Recording,
    ScriptedEngine,
    SlowUpload,
    ask,
    broken,
    change,
    ended,
    stored,
    succeed,
    until,
    working,
)
from tests.kit.telemetry import Captured

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


# ------------------------------------------------------------------------------------------------ the lease


@sqlite
async def test_a_job_may_last_longer_than_its_lease(database: Database, folder: Path) -> None:
    job, deliver = Blocked(), Recording()
    engine = ScriptedEngine(job)
    async with working(database, engine, deliver, folder, lease_s=2.0) as running:
        job_id, *_ = await ask(database)
        await job.started.wait()
        await asyncio.sleep(2.5)
        job.release.set()
        row = await ended(running, database, job_id)
    assert (len(engine.runs), row.state, row.attempts) == (1, JobState.DONE, 1)
    assert deliver.news() == ["result"]


@sqlite
async def test_a_worker_that_lost_its_lease_stops_and_says_nothing(
    database: Database, folder: Path, telemetry: Captured
) -> None:
    job, deliver = Blocked(), Recording()
    async with working(database, ScriptedEngine(job), deliver, folder, lease_s=0.6) as running:
        job_id, cid, _ = await ask(database)
        await job.started.wait()
        later = datetime.now(UTC) + timedelta(hours=1)
        await change(database, job_id, worker="thief", attempts=2, lease_until=later)

        async def idle() -> bool:
            return running.running == 0

        await until(idle)
        assert job.cancelled
        assert not list(folder.iterdir())
        job.release.set()
    row = await stored(database, job_id)
    assert deliver.said == []
    assert (row.state, row.worker, row.attempts, row.reason) == (JobState.RUNNING, "thief", 2, None)
    process = next(span for span in telemetry.trace(cid) if span.name == "process jobs.download")
    assert (process.attributes or {})["job.outcome"] == "lease_lost"
    counted = {name for name, _ in telemetry.metrics()}
    assert not counted & {"bot.jobs", "bot.download.success", "bot.download.failure", "bot.download.duration"}


@sqlite
async def test_a_worker_that_cannot_renew_stops_before_another_may_start(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses every renewal: the run ends with its lease, and the next run is another claim."""
    first, deliver = Blocked(), Recording()
    alone = True

    async def second(request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        nonlocal alone
        alone = first.cancelled
        return await succeed(request, workdir, on_progress)

    monkeypatch.setattr(queue, "renew", broken(queue.renew, forever=True))
    engine = ScriptedEngine(first, second)
    async with working(database, engine, deliver, folder, lease_s=0.5) as running:
        job_id, *_ = await ask(database)
        row = await ended(running, database, job_id)
    assert alone
    assert (len(engine.runs), row.state, row.attempts) == (2, JobState.DONE, 2)
    assert deliver.news() == ["result"]


@sqlite
async def test_a_worker_that_takes_over_from_itself_keeps_the_new_lease(
    database: Database, folder: Path
) -> None:
    """After a standstill of the machine the other slot of the same worker may claim the job."""
    old, new, deliver = Blocked(), Blocked(), Recording()
    engine = ScriptedEngine(old, new)
    async with working(database, engine, deliver, folder, concurrency=2, lease_s=2.0) as running:
        job_id, *_ = await ask(database)
        await old.started.wait()
        await change(database, job_id, lease_until=datetime.now(UTC) - timedelta(seconds=1))
        await new.started.wait()
        await asyncio.sleep(2.5)
        assert (old.cancelled, new.cancelled) == (True, False)
        new.release.set()
        row = await ended(running, database, job_id)
    assert (len(engine.runs), row.state, row.attempts) == (2, JobState.DONE, 2)
    assert deliver.news() == ["result"]


# ------------------------------------------------------------------------------------------------ the stop


async def test_a_graceful_stop_puts_the_job_back_without_counting(
    database: Database, folder: Path, telemetry: Captured
) -> None:
    job, deliver = Blocked(), Recording()
    async with working(database, ScriptedEngine(job), deliver, folder) as running:
        job_id, cid, _ = await ask(database)
        await job.started.wait()
        assert running.running == 1
        assert list(folder.iterdir())
    row = await stored(database, job_id)
    assert job.cancelled
    assert deliver.said == []
    assert (row.state, row.attempts, row.worker, row.lease_until) == (JobState.QUEUED, 0, None, None)
    process = next(span for span in telemetry.trace(cid) if span.name == "process jobs.download")
    assert (process.attributes or {})["job.outcome"] == "interrupted"

    async with working(database, ScriptedEngine(succeed), deliver, folder) as running:
        row = await ended(running, database, job_id)
    assert (row.state, row.attempts) == (JobState.DONE, 1)
    assert deliver.news() == ["result"]


@sqlite
async def test_a_stop_counts_even_when_an_engine_answers_it_with_an_error(
    database: Database, folder: Path
) -> None:
    """A clean-up that fails hides the cancellation; the worker must end all the same."""
    started = asyncio.Event()

    async def clumsy(request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the clean-up failed")

    async with asyncio.timeout(5):
        async with working(database, ScriptedEngine(clumsy), Recording(), folder):
            job_id, *_ = await ask(database)
            await started.wait()
    assert (await stored(database, job_id)).state == JobState.QUEUED


@sqlite
async def test_a_stop_lets_an_upload_come_to_its_end(database: Database, folder: Path) -> None:
    deliver = SlowUpload()
    async with working(database, ScriptedEngine(succeed), deliver, folder):
        job_id, *_ = await ask(database)
        await deliver.uploading.wait()
        asyncio.get_running_loop().call_later(0.2, deliver.release.set)
    row = await stored(database, job_id)
    assert (row.state, row.reason, row.attempts) == (JobState.DONE, Reason.SUCCESS, 1)
    assert deliver.news() == ["result"]


@sqlite
async def test_a_stop_does_not_wait_for_an_upload_without_end(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_HAND_OVER_GRACE_S", 0.1)
    deliver = SlowUpload()
    async with asyncio.timeout(5):
        async with working(database, ScriptedEngine(succeed), deliver, folder):
            job_id, *_ = await ask(database)
            await deliver.uploading.wait()
    row = await stored(database, job_id)
    assert (row.state, row.attempts) == (JobState.QUEUED, 0)
    assert deliver.news() == []


@sqlite
async def test_the_folders_of_dead_workers_are_removed_at_the_start(database: Database, folder: Path) -> None:
    gone = await asyncio.create_subprocess_exec("true")
    await gone.wait()
    dead = folder / f"tracegram-job-{gone.pid}-abc"
    alive = folder / f"tracegram-job-{os.getpid()}-abc"
    # In a container the process has the same number after each start.
    namesake = folder / f"tracegram-job-{os.getpid()}-before"
    foreign = folder / "tracegram-job-notes"
    for each in (dead, alive, namesake, foreign):
        each.mkdir()
        (each / "half").write_bytes(b"half")
    os.utime(namesake, (0, 0))
    running = Worker(database, ScriptedEngine(succeed), Recording(), WorkerConfig(1, 30.0, folder))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running.run())
        await asyncio.sleep(0.1)
        task.cancel()
    assert sorted(path.name for path in folder.iterdir()) == sorted([alive.name, foreign.name])


# ------------------------------------------------------------------------------------------------ the database


@sqlite
async def test_a_queue_that_cannot_be_read_does_not_end_the_worker(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch, telemetry: Captured
) -> None:
    monkeypatch.setattr(queue, "claim", broken(queue.claim, times=2))
    async with working(database, ScriptedEngine(succeed), Recording(), folder) as running:
        job_id, *_ = await ask(database)
        assert (await ended(running, database, job_id)).state == JobState.DONE
    complaints = [
        line for line in telemetry.lines() if line["message"].startswith("the queue cannot be read")
    ]
    assert [line["level"] for line in complaints] == ["ERROR", "ERROR"]
    assert PRIVATE not in telemetry.everything()


@sqlite
async def test_a_job_that_cannot_be_settled_is_done_again(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivery is at least once: the row still says that the job runs, so it is claimed again."""
    monkeypatch.setattr(queue, "finish", broken(queue.finish, times=1))
    deliver = Recording()
    async with working(database, ScriptedEngine(succeed), deliver, folder, lease_s=0.5) as running:
        job_id, *_ = await ask(database)
        row = await ended(running, database, job_id)
    assert (row.state, row.attempts) == (JobState.DONE, 2)
    assert deliver.news() == ["result", "result"]
