"""The queue: a table that any number of workers on any number of machines claim from.

Nothing here commits: the caller's transaction does. A claim is a lease; a worker that lost it can no longer change
the job, because every change names the worker and the attempt.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import CursorResult, Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement

from app.db.models import JobRow, JobState
from app.errors import Reason
from app.jobs.ports import AudioRequest, Job

#: A job whose worker died is tried this often before it fails.
MAX_ATTEMPTS = 3


async def enqueue(
    session: AsyncSession,
    request: AudioRequest,
    *,
    chat_id: int,
    reply_to_message_id: int,
    progress_message_id: int,
    language: str,
    traceparent: str,
    created_by: str,
) -> int:
    """Add a job to the caller's transaction. `traceparent` is its own trace, `created_by` the update's."""
    now = datetime.now(UTC)
    row = JobRow(
        state=JobState.QUEUED,
        chat_id=chat_id,
        reply_to_message_id=reply_to_message_id,
        progress_message_id=progress_message_id,
        language=language,
        url=request.url,
        bitrate=request.bitrate,
        traceparent=traceparent,
        created_by=created_by,
        available_at=now,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    return row.id


async def claim(session: AsyncSession, worker: str, lease_s: float) -> Job | None:
    """Take the oldest job that is due, or one whose lease has run out; None when there is nothing to do."""
    now = datetime.now(UTC)
    statement = (
        update(JobRow)
        .where(JobRow.id == _next_id(now).scalar_subquery())
        .values(
            state=JobState.RUNNING,
            worker=worker,
            attempts=JobRow.attempts + 1,
            lease_until=now + timedelta(seconds=lease_s),
        )
        .returning(JobRow)
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    return None if row is None else _job(row, worker, now)


def _next_id(now: datetime) -> Select[tuple[int]]:
    job = aliased(JobRow)
    due = or_(
        (job.state == JobState.QUEUED) & (job.available_at <= now),
        (job.state == JobState.RUNNING) & (job.lease_until < now),
    )
    return select(job.id).where(due).order_by(job.id).limit(1).with_for_update(skip_locked=True)


def _job(row: JobRow, worker: str, now: datetime) -> Job:
    return Job(
        id=row.id,
        worker=worker,
        attempt=row.attempts,
        chat_id=row.chat_id,
        reply_to_message_id=row.reply_to_message_id,
        progress_message_id=row.progress_message_id,
        language=row.language,
        request=AudioRequest(row.url, row.bitrate),
        traceparent=row.traceparent,
        created_by=row.created_by,
        waited_s=max((now - row.available_at).total_seconds(), 0.0),
    )


async def renew(session: AsyncSession, job: Job, lease_s: float) -> bool:
    """Prolong the lease. False when it is another's by now: stop working on the job."""
    lease_until = datetime.now(UTC) + timedelta(seconds=lease_s)
    return await _change(session, job, lease_until=lease_until)


async def finish(session: AsyncSession, job: Job, state: JobState, reason: Reason) -> bool:
    """End the job as done or failed. False when the lease is another's by now."""
    return await _change(
        session, job, state=state, reason=reason, finished_at=datetime.now(UTC), lease_until=None
    )


async def put_back(session: AsyncSession, job: Job, delay_s: float, *, counts: bool = True) -> bool:
    """Queue the job again after `delay_s`. With `counts=False` the attempt is not held against it."""
    attempts = JobRow.attempts if counts else JobRow.attempts - 1
    available_at = datetime.now(UTC) + timedelta(seconds=delay_s)
    return await _change(
        session,
        job,
        state=JobState.QUEUED,
        attempts=attempts,
        worker=None,
        lease_until=None,
        available_at=available_at,
    )


async def _change(session: AsyncSession, job: Job, **values: object) -> bool:
    mine: ColumnElement[bool] = (
        (JobRow.id == job.id)
        & (JobRow.state == JobState.RUNNING)
        & (JobRow.worker == job.worker)
        & (JobRow.attempts == job.attempt)
    )
    result = await session.execute(
        update(JobRow).where(mine).values(**values).execution_options(synchronize_session=False)
    )
    return cast("CursorResult[object]", result).rowcount == 1


async def depth(session: AsyncSession) -> int:
    """Jobs that wait or run."""
    waiting = select(func.count()).where(JobRow.state.in_((JobState.QUEUED, JobState.RUNNING)))
    return (await session.execute(waiting)).scalar_one()


async def waiting(session: AsyncSession) -> tuple[int, datetime | None]:
    """How many jobs wait, and since when the first of them is due, or will be; None when none waits."""
    queued = select(func.count(), func.min(JobRow.available_at)).where(JobRow.state == JobState.QUEUED)
    number, since = (await session.execute(queued)).one()
    return number, since
