"""The job queue on both databases: claimed once, oldest first, handed over when a worker is gone, fenced after that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import JobRow, JobState
from app.db.session import Database
from app.errors import Reason
from app.jobs import queue
from app.jobs.ports import AudioRequest, Job

T = TypeVar("T")
LEASE_S = 30.0
EXPIRED_S = -1.0


async def do(database: Database, change: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async with database.transaction() as session:
        return await change(session)


async def add(session: AsyncSession, number: int = 1) -> int:
    return await queue.enqueue(
        session,
        AudioRequest(f"https://example.org/{number}", 128),
        chat_id=-1_000_000_000_000 - number,
        reply_to_message_id=10 + number,
        progress_message_id=20 + number,
        language="ru",
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        created_by="00-" + "c" * 32 + "-" + "d" * 16 + "-01",
    )


async def claim(database: Database, worker: str, lease_s: float = LEASE_S) -> Job | None:
    return await do(database, lambda s: queue.claim(s, worker, lease_s))


async def claimed(database: Database, worker: str, lease_s: float = LEASE_S) -> Job:
    job = await claim(database, worker, lease_s)
    assert job is not None
    return job


async def row(database: Database, job_id: int) -> JobRow:
    return await do(database, lambda s: s.get_one(JobRow, job_id))


async def depth(database: Database) -> int:
    return await do(database, queue.depth)


async def test_a_claimed_job_is_the_one_that_was_enqueued(database: Database) -> None:
    job_id = await do(database, lambda s: add(s, 7))
    assert await claimed(database, "w1") == Job(
        id=job_id,
        worker="w1",
        attempt=1,
        chat_id=-1_000_000_000_007,
        reply_to_message_id=17,
        progress_message_id=27,
        language="ru",
        request=AudioRequest("https://example.org/7", 128),
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        created_by="00-" + "c" * 32 + "-" + "d" * 16 + "-01",
    )


async def test_a_rolled_back_transaction_leaves_no_job(database: Database) -> None:
    async def add_and_fail(session: AsyncSession) -> None:
        await add(session)
        raise RuntimeError("the rest of the transaction failed")

    with pytest.raises(RuntimeError):
        await do(database, add_and_fail)
    assert await depth(database) == 0
    assert await claim(database, "w1") is None


async def test_an_empty_queue_gives_nothing(database: Database) -> None:
    assert await claim(database, "w1") is None


async def test_the_oldest_job_is_claimed_first(database: Database) -> None:
    ids = [await do(database, lambda s, n=n: add(s, n)) for n in range(4)]  # type: ignore[misc]  # bound now
    assert [(await claimed(database, "w1")).id for _ in ids] == sorted(ids)


async def test_two_workers_claim_each_job_once(database_url: str, database: Database) -> None:
    async with database.transaction() as session:
        ids = [await add(session, number) for number in range(20)]
    taken: list[int] = []

    async def work(worker: str) -> None:
        own = Database(database_url)
        while (job := await claim(own, worker)) is not None:
            taken.append(job.id)
        await own.close()

    async with asyncio.TaskGroup() as group:
        for worker in ("w1", "w2"):
            group.create_task(work(worker))
    assert sorted(taken) == ids


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_claim_that_is_not_committed_holds_up_nobody(database: Database) -> None:
    """The second worker skips the locked row. SQLite has one writer, which the others wait for."""
    ids = [await do(database, lambda s, n=n: add(s, n)) for n in range(2)]  # type: ignore[misc]  # bound now
    async with database.transaction() as session:
        first = await queue.claim(session, "w1", LEASE_S)
        async with asyncio.timeout(5):
            second = await claimed(database, "w2")
    assert first is not None
    assert [first.id, second.id] == ids


async def test_a_running_job_is_left_alone_while_its_lease_lasts(database: Database) -> None:
    await do(database, add)
    await claimed(database, "w1")
    assert await claim(database, "w2") is None


async def test_an_expired_lease_hands_the_job_over_and_fences_the_old_owner(database: Database) -> None:
    job_id = await do(database, add)
    old = await claimed(database, "w1", EXPIRED_S)
    new = await claimed(database, "w2")
    assert (new.id, new.worker, new.attempt) == (job_id, "w2", 2)

    assert not await do(database, lambda s: queue.renew(s, old, LEASE_S))
    assert not await do(database, lambda s: queue.put_back(s, old, 0))
    assert not await do(database, lambda s: queue.finish(s, old, JobState.FAILED, Reason.INTERNAL_ERROR))
    untouched = await row(database, job_id)
    assert (untouched.state, untouched.worker, untouched.reason) == (JobState.RUNNING, "w2", None)

    assert await do(database, lambda s: queue.finish(s, new, JobState.DONE, Reason.SUCCESS))


async def test_the_same_worker_is_fenced_from_its_own_older_attempt(database: Database) -> None:
    await do(database, add)
    old = await claimed(database, "w1", EXPIRED_S)
    await claimed(database, "w1")
    assert not await do(database, lambda s: queue.finish(s, old, JobState.DONE, Reason.SUCCESS))


async def test_a_renewed_lease_keeps_the_job(database: Database) -> None:
    job_id = await do(database, add)
    job = await claimed(database, "w1", EXPIRED_S)
    before = datetime.now(UTC)
    assert await do(database, lambda s: queue.renew(s, job, LEASE_S))
    assert await claim(database, "w2") is None
    lease_until = (await row(database, job_id)).lease_until
    assert lease_until is not None
    assert timedelta(seconds=LEASE_S) <= lease_until - before < timedelta(seconds=LEASE_S + 10)


async def test_a_finished_job_is_never_claimed_again(database: Database) -> None:
    job_id = await do(database, add)
    job = await claimed(database, "w1")
    assert await do(database, lambda s: queue.finish(s, job, JobState.FAILED, Reason.VALIDATION_FAILED))
    ended = await row(database, job_id)
    assert (ended.state, ended.reason, ended.lease_until) == (JobState.FAILED, "VALIDATION_FAILED", None)
    assert ended.finished_at is not None
    assert abs(ended.finished_at - datetime.now(UTC)) < timedelta(seconds=10)
    assert await claim(database, "w2") is None
    assert not await do(database, lambda s: queue.finish(s, job, JobState.DONE, Reason.SUCCESS))


@pytest.mark.parametrize(("counts", "next_attempt"), [(True, 2), (False, 1)])
async def test_a_job_that_is_put_back_is_claimed_again(
    database: Database, counts: bool, next_attempt: int
) -> None:
    job_id = await do(database, add)
    job = await claimed(database, "w1")
    assert await do(database, lambda s: queue.put_back(s, job, 0, counts=counts))
    waiting = await row(database, job_id)
    assert (waiting.state, waiting.worker, waiting.lease_until) == (JobState.QUEUED, None, None)
    assert (await claimed(database, "w2")).attempt == next_attempt


async def test_a_job_that_is_due_later_waits(database: Database) -> None:
    later, due = await do(database, add), await do(database, lambda s: add(s, 2))
    assert (await claimed(database, "w1")).id == later
    job = await row(database, later)
    again = Job(later, "w1", job.attempts, 0, 0, 0, "en", AudioRequest(""), "", "")
    assert await do(database, lambda s: queue.put_back(s, again, 60))

    assert (await claimed(database, "w1")).id == due
    assert await claim(database, "w1") is None
    past = datetime.now(UTC) - timedelta(seconds=1)
    await do(database, lambda s: s.execute(update(JobRow).values(available_at=past)))
    assert (await claimed(database, "w1")).id == later


async def test_depth_counts_what_waits_and_what_runs(database: Database) -> None:
    for _ in range(3):
        await do(database, add)
    assert await depth(database) == 3
    job = await claimed(database, "w1")
    assert await depth(database) == 3
    await do(database, lambda s: queue.finish(s, job, JobState.DONE, Reason.SUCCESS))
    assert await depth(database) == 2


async def test_moments_come_back_with_their_zone(database: Database) -> None:
    await do(database, add)
    stored = await do(database, lambda s: s.scalar(select(JobRow.created_at)))
    assert stored is not None
    assert stored.utcoffset() == timedelta(0)


async def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  # the mistake itself
    with pytest.raises(StatementError, match="a moment needs its zone"):
        await do(database, lambda s: s.execute(update(JobRow).values(available_at=naive)))
