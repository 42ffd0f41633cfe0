"""The worker: claims a job, runs the engine, delivers the file, settles the row; as many side by side as it is told to.

Delivery is at least once: a crash between the upload and the settlement sends the file again. A graceful stop puts
the running jobs back into the queue without counting the attempt.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import JobState
from app.db.session import Database
from app.errors import EngineFailed, JobError, Reason
from app.grace import to_the_end, wait_at_most
from app.jobs import measure, queue
from app.jobs.ports import Deliver, Engine, Job, MediaResult, Progress
from app.telemetry import tracer
from app.telemetry.context import continued, correlation_id, link_to
from app.telemetry.contract import Event
from app.telemetry.events import emit
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)

#: Telegram allows about one message a second in a chat: progress is not worth more than half of that.
_PROGRESS_EVERY_S = 2.0
_POLL_EVERY_S = 1.0
_RETRY_AFTER_S = 5.0
_FOLDER = "tracegram-job-"
#: What is older than this is not this process's, even under its number: in a container, that comes again with every start.
_BEGAN = time.time()
#: How long a stop waits for an upload that has begun.
_HAND_OVER_GRACE_S = 8.0

T = TypeVar("T")


class _LeaseLost(Exception):  # it ends the work, it is not an error of it
    """The job belongs to another worker by now."""


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """How a worker works. The lease is renewed three times before it would run out."""

    concurrency: int = 2
    lease_s: float = 15.0
    temp_dir: Path | None = None


class Worker:
    """Runs jobs until it is cancelled. `wake` tells it that a job was added in this process."""

    def __init__(self, database: Database, engine: Engine, deliver: Deliver, config: WorkerConfig) -> None:
        self._database = database
        self._engine = engine
        self._deliver = deliver
        self._config = config
        self._woken = asyncio.Event()
        self._temp_dir = config.temp_dir or Path(tempfile.gettempdir())
        self._name = secrets.token_hex(8)
        self._leases: dict[Job, asyncio.Timeout] = {}
        self.running = 0

    def wake(self) -> None:
        """Look for work now instead of at the next poll."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        _sweep(self._temp_dir)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew_leases())
            for _ in range(self._config.concurrency):
                group.create_task(self._loop())

    async def _loop(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        # A stop counts even when its exception got lost in a clean-up that failed.
        while not task.cancelling():
            try:
                with untraced():
                    job = await self._settle(lambda s: queue.claim(s, self._name, self._config.lease_s))
            except Exception:
                _log.exception("the queue cannot be read; trying again")
                job = None
            if job is None:
                await self._wait()
                continue
            measure.taken(job)
            self.running += 1
            try:
                await self._work(job)
            except Exception:
                # The row keeps its lease: the job is claimed again when that runs out.
                _log.exception("a job could not be settled")
            finally:
                self.running -= 1

    async def _renew_leases(self) -> None:
        """Move the deadline of each running job on, as long as the database agrees that the job is ours."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._config.lease_s / 3)
            for job, lease in list(self._leases.items()):
                try:
                    with untraced():
                        held = await self._settle(partial(queue.renew, job=job, lease_s=self._config.lease_s))
                except Exception:
                    _log.exception("a lease could not be renewed; the job stops when it runs out")
                    continue
                if job in self._leases and not lease.expired():
                    lease.reschedule(clock() + self._config.lease_s if held else clock())

    async def _wait(self) -> None:
        await wait_at_most(self._woken, _POLL_EVERY_S)
        self._woken.clear()

    async def _work(self, job: Job) -> None:
        """One attempt, as a span in the job's own trace, linked to the update that asked for it."""
        with tracer.start_as_current_span(
            "process jobs.download",
            context=continued(job.traceparent),
            kind=SpanKind.CONSUMER,
            links=link_to(job.created_by),
            attributes={
                "messaging.system": "tracegram",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": "jobs.download",
                "messaging.message.id": str(job.id),
                "job.attempt": job.attempt,
                "job.format": "mp3",
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self._attempt(job, span)
            except asyncio.CancelledError:
                span.set_attribute("job.outcome", "interrupted")
                await asyncio.shield(self._settle(lambda s: queue.put_back(s, job, 0, counts=False)))
                raise

    async def _attempt(self, job: Job, span: Span) -> None:
        started = time.monotonic()
        _log.debug("job %d was claimed, attempt %d", job.id, job.attempt)
        emit(Event.TASK_STARTED, job_id=job.id, attempt=job.attempt)
        try:
            await self._within_lease(job)
        except _LeaseLost:
            # Another worker has the job, or will have it: what is left to do is its business.
            span.set_attribute("job.outcome", "lease_lost")
        except Exception as error:
            if not isinstance(error, JobError):
                _log.exception("a job failed in a way that nobody foresaw")
            measure.failed(job, time.monotonic() - started, error)
            await self._failed(job, span, error)
        else:
            span.set_attribute("job.outcome", "done")
            measure.done(job, time.monotonic() - started)
            await self._tell(self._deliver.done(job))

    async def _within_lease(self, job: Job) -> None:
        if job.attempt > queue.MAX_ATTEMPTS:
            raise EngineFailed("The job's workers died too often.")
        try:
            async with asyncio.timeout(self._config.lease_s) as lease:
                self._leases[job] = lease
                await self._produce_and_deliver(job)
        except TimeoutError:
            if lease.expired():
                raise _LeaseLost from None
            raise
        finally:
            del self._leases[job]

    async def _produce_and_deliver(self, job: Job) -> None:
        with tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-", dir=self._temp_dir) as folder:
            result = await self._produce(job, Path(folder))
            await self._tell(self._deliver.progress(job, Progress("uploading")))
            await to_the_end(self._hand_over(job, result), _HAND_OVER_GRACE_S)

    async def _hand_over(self, job: Job, result: MediaResult) -> None:
        """Deliver and settle. The row is closed before anything else can go wrong: a file is not sent twice."""
        await self._deliver.result(job, result, correlation_id())
        if not await self._settle(lambda s: queue.finish(s, job, JobState.DONE, Reason.SUCCESS)):
            raise _LeaseLost
        emit(Event.TASK_COMPLETED, job_id=job.id, reason_code=Reason.SUCCESS)

    async def _produce(self, job: Job, folder: Path) -> MediaResult:
        last = 0.0

        async def on_progress(progress: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= _PROGRESS_EVERY_S:
                last = time.monotonic()
                _log.debug("job %d: %s", job.id, progress.stage)
                await self._tell(self._deliver.progress(job, progress))

        with tracer.start_as_current_span(
            "download",
            attributes={"job.engine": measure.ENGINE},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                result = await self._engine.run(job.request, folder, on_progress)
            except JobError as error:
                span.set_attributes({"error.type": type(error).__qualname__, "reason_code": error.reason})
                span.set_status(Status(StatusCode.ERROR))
                raise
            span.set_attribute("file.size", result.size_bytes)
            _log.debug("job %d: the engine made a file of %d bytes", job.id, result.size_bytes)
            return result

    @staticmethod
    async def _tell(news: Awaitable[None]) -> None:
        """Pass on news whose loss does no harm."""
        try:
            await news
        except JobError as error:
            _log.warning("progress was not shown: %s", type(error).__qualname__)

    async def _failed(self, job: Job, span: Span, cause: Exception) -> None:
        """Try again when that may help; else tell the user and close the job."""
        error = cause if isinstance(cause, JobError) else EngineFailed()
        error_type = type(cause).__qualname__
        span.set_attributes({"error.type": error_type, "reason_code": error.reason})
        span.set_status(Status(StatusCode.ERROR))
        if error.retry and job.attempt < queue.MAX_ATTEMPTS:
            span.set_attribute("job.outcome", "retry")
            measure.put_back()
            emit(
                Event.TASK_RETRIED,
                job_id=job.id,
                attempt=job.attempt,
                reason_code=error.reason,
                error_type=error_type,
            )
            await self._settle(lambda s: queue.put_back(s, job, _RETRY_AFTER_S * job.attempt))
            return
        span.set_attribute("job.outcome", "failed")
        measure.given_up(error.reason)
        emit(Event.TASK_FAILED, job_id=job.id, reason_code=error.reason, error_type=error_type)
        # Told before it is settled: a crash in between tells twice rather than never.
        await self._tell_failure(job, error)
        await self._settle(lambda s: queue.finish(s, job, JobState.FAILED, error.reason))

    async def _tell_failure(self, job: Job, error: JobError) -> None:
        try:
            await self._deliver.failure(job, error.text_key, correlation_id())
        except Exception:  # whatever it is: a job that stays open would be done again for ever
            _log.exception("the user could not be told that the job failed")

    async def _settle(self, change: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async with self._database.transaction() as session:
            return await change(session)


def _sweep(temp_dir: Path) -> None:
    """Remove the job folders of processes that were killed: nobody else will."""
    for folder in temp_dir.glob(f"{_FOLDER}*-*"):
        pid = folder.name.removeprefix(_FOLDER).split("-")[0]
        if pid.isdecimal() and not _is_alive(int(pid), folder.stat().st_mtime):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int, touched: float) -> bool:
    if pid == os.getpid():
        return touched >= _BEGAN
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and is another user's
    return True
