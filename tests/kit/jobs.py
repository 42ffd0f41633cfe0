"""A worker's surroundings for its tests: an engine that follows a script, a delivery that notes what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.context import Context
from opentelemetry.trace import format_trace_id
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from app.db.models import JobRow, JobState
from app.db.session import Database
from app.jobs.ports import AudioRequest, Job, MediaResult, OnProgress, Progress
from app.jobs.submit import submit
from app.jobs.worker import Worker, WorkerConfig
from app.telemetry import tracer

REQUEST = AudioRequest("https://example.org/song", 192)
PRIVATE = "what-only-the-user-may-know"

Run = Callable[[AudioRequest, Path, OnProgress], Awaitable[MediaResult]]


async def succeed(request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
    path = workdir / "audio.mp3"
    path.write_bytes(b"sound")
    await on_progress(Progress("downloading", 0.5))
    return MediaResult(path, "Song", None, 60.0, 5, "audio/mpeg")


def failing(error: Exception) -> Run:
    async def run(request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        (workdir / "half").write_bytes(b"half")
        raise error

    return run


class Blocked:
    """An engine's run that lasts until it is released or cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = False

    async def __call__(self, request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        (workdir / "half").write_bytes(b"half")
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await succeed(request, workdir, on_progress)


class ScriptedEngine:
    """Does what the script says, run by run; the last entry goes for all further runs."""

    def __init__(self, *script: Run) -> None:
        self._script = script
        self.runs: list[AudioRequest] = []

    async def run(self, request: AudioRequest, workdir: Path, on_progress: OnProgress) -> MediaResult:
        assert not list(workdir.iterdir()), "the engine was promised an empty folder"
        self.runs.append(request)
        return await self._script[min(len(self.runs), len(self._script)) - 1](request, workdir, on_progress)


@dataclass
class Recording:
    """A delivery that notes what it was asked to say, and raises what it was told to."""

    said: list[tuple[str, ...]] = field(default_factory=list)
    progress_error: Exception | None = None
    done_error: Exception | None = None
    result_error: Exception | None = None
    failure_error: Exception | None = None

    async def progress(self, job: Job, progress: Progress) -> None:
        self.said.append(("progress", progress.stage))
        if self.progress_error:
            raise self.progress_error

    async def result(self, job: Job, result: MediaResult, cid: str) -> None:
        assert result.path.read_bytes() == b"sound"
        self.said.append(("result", result.title, cid))
        if self.result_error:
            raise self.result_error

    async def done(self, job: Job) -> None:
        self.said.append(("done",))
        if self.done_error:
            raise self.done_error

    async def failure(self, job: Job, text_key: str, cid: str) -> None:
        self.said.append(("failure", text_key, cid))
        if self.failure_error:
            raise self.failure_error

    def news(self) -> list[str]:
        """What the user saw at the end, without the progress."""
        ends = [what for what in self.said if what[0] in ("result", "failure")]
        return [what[1] if what[0] == "failure" else "result" for what in ends]


class SlowUpload(Recording):
    """A delivery whose upload lasts until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.uploading = asyncio.Event()
        self.release = asyncio.Event()

    async def result(self, job: Job, result: MediaResult, cid: str) -> None:
        self.uploading.set()
        await self.release.wait()
        await super().result(job, result, cid)


async def ask(database: Database) -> tuple[int, str, str]:
    """Submit a job from within an update. Gives the job's id, its cid, and the update's cid."""
    with tracer.start_as_current_span("process message", context=Context()) as span:
        job_id = await submit(
            database.transaction,
            REQUEST,
            chat_id=1,
            reply_to_message_id=2,
            progress_message_id=3,
            language="en",
        )
    row = await stored(database, job_id)
    return job_id, row.traceparent.split("-")[1], format_trace_id(span.get_span_context().trace_id)


async def stored(database: Database, job_id: int) -> JobRow:
    async with database.transaction() as session:
        return await session.get_one(JobRow, job_id)


async def change(database: Database, job_id: int, **values: object) -> None:
    async with database.transaction() as session:
        await session.execute(update(JobRow).where(JobRow.id == job_id).values(**values))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():
            await asyncio.sleep(0.01)


async def ended(running: Worker, database: Database, job_id: int) -> JobRow:
    """The row of a job that is over, once the worker has said and counted everything about it."""

    async def over() -> bool:
        state = (await stored(database, job_id)).state
        return state in (JobState.DONE, JobState.FAILED) and running.running == 0

    await until(over)
    return await stored(database, job_id)


@asynccontextmanager
async def working(
    database: Database,
    engine: ScriptedEngine,
    deliver: Recording,
    folder: Path,
    *,
    concurrency: int = 1,
    lease_s: float = 30.0,
) -> AsyncIterator[Worker]:
    """A worker at work. It must live to the end of the block, and leave no file then."""
    config = WorkerConfig(concurrency, lease_s, folder)
    running = Worker(database, engine, deliver, config)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running.run())
        try:
            yield running
            assert not task.done(), "the worker ended by itself"
        finally:
            task.cancel()
    assert not list(folder.iterdir())
    assert running.running == 0


def broken(
    original: Callable[..., Awaitable[object]], *, times: int = 0, forever: bool = False
) -> Callable[..., Awaitable[object]]:
    """The function, but its first calls fail as a driver's would."""
    left = times

    async def call(*args: object, **options: object) -> object:
        nonlocal left
        if forever or left > 0:
            left -= 1
            raise OperationalError("SELECT", {}, Exception(PRIVATE))
        return await original(*args, **options)

    return call
