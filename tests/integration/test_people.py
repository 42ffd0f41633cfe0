"""Active users: right after a restart and over several instances, each counted once, and forgotten in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from app.db.models import ActiveUserRow
from app.db.session import Database
from app.telemetry import activity, identity, instruments
from app.telemetry.activity import seen
from app.telemetry.catalogue import ACTIVE_USERS, DAILY_ACTIVE_USERS, MONTHLY_ACTIVE_USERS
from app.telemetry.instruments import Reading
from app.updates import people as module
from app.updates.people import People
from tests.kit.jobs import until

KEY = "hash-key-of-this-test"


@pytest.fixture(autouse=True)
def _nobody() -> Iterator[None]:
    activity.take()
    yield
    activity.take()


async def turn(people: People) -> None:
    """What its loop does every five seconds."""
    people._month_at = -1000.0
    await people._write()
    await people._count()


def told() -> tuple[Reading, Reading, Reading]:
    """What the gauges say: five minutes, a day, a month."""
    metrics = (ACTIVE_USERS, DAILY_ACTIVE_USERS, MONTHLY_ACTIVE_USERS)
    five, day, month = (instruments._observers[metric.name]() for metric in metrics)
    return five, day, month


async def age(database: Database, by: timedelta) -> None:
    async with database.transaction() as session:
        moved = [(row, row.last_seen - by) for row in await session.scalars(select(ActiveUserRow))]
        for row, moment in moved:
            row.last_seen = moment


async def test_a_person_counts_once_in_each_window(database: Database) -> None:
    people = People(database, KEY)
    assert told() == (None, None, None), "nothing is known before the first count"
    for user in (1, 2, 1, 1):
        seen(user)
    await turn(people)
    seen(2)
    await turn(people)
    assert told() == (2, 2, 2)


@pytest.mark.parametrize(
    ("ago", "numbers"),
    [
        (timedelta(minutes=4, seconds=50), (2, 2, 2)),
        (timedelta(minutes=5, seconds=1), (1, 2, 2)),
        (timedelta(hours=24, seconds=1), (1, 1, 2)),
        (timedelta(days=29, hours=23), (1, 1, 2)),
        (timedelta(days=30, seconds=1), (1, 1, 1)),
    ],
)
async def test_a_window_ends(database: Database, ago: timedelta, numbers: tuple[int, int, int]) -> None:
    people = People(database, KEY)
    seen(1)
    await turn(people)
    await age(database, ago)
    seen(2)
    await turn(people)
    assert told() == numbers


async def test_a_restart_forgets_nobody(database: Database) -> None:
    first = People(database, KEY)
    seen(1)
    await first.close()
    second = People(database, KEY)
    seen(1)
    seen(2)
    await turn(second)
    assert told() == (2, 2, 2)


async def test_two_instances_count_together(database_url: str, database: Database) -> None:
    other = Database(database_url)
    here, there = People(database, KEY), People(other, KEY)
    seen(1)
    seen(2)
    await turn(here)
    seen(2)
    seen(3)
    await turn(there)
    assert told() == (3, 3, 3)
    await other.close()


async def test_the_turn_of_the_month_counts_nobody_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_root", identity._root)
    people = People(database, KEY)
    seen(1)
    await turn(people)
    hashed = identity.hashed(1)
    now = datetime.now(UTC).timestamp()

    class NextMonth:
        def time(self) -> float:
            return now + 31 * 86_400

    with monkeypatch.context() as patch:
        patch.setattr(identity, "time", NextMonth())
        assert identity.hashed(1) != hashed
        seen(1)
        await turn(people)
    identity.use_key("", identity._rotation)
    assert told() == (1, 1, 1)


async def test_another_root_key_counts_anew_and_nobody_twice(database: Database) -> None:
    for user in (1, 2, 3):
        seen(user)
    await turn(People(database, KEY))
    rotated = People(database, "another-hash-key")
    seen(1)
    await turn(rotated)
    assert told() == (1, 1, 1)


async def test_the_table_holds_no_id_and_nobody_for_longer_than_a_month(database: Database) -> None:
    people = People(database, KEY)
    for user in range(123_456_000, 123_456_050):
        seen(user)
    await turn(people)
    async with database.reading() as session:
        hashes = (await session.scalars(select(ActiveUserRow.user_hash))).all()
    assert len(set(hashes)) == 50
    assert not [one for one in hashes if abs(one) < 10**12 or "123456" in str(one)]
    await age(database, timedelta(days=31))
    await turn(people)
    async with database.reading() as session:
        assert (await session.scalars(select(ActiveUserRow))).all() == []


async def test_many_people_are_written_in_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    people = People(database, KEY)
    for user in range(50):
        seen(user)
    await turn(people)
    assert told() == (50, 50, 50)


async def test_a_clock_that_is_behind_takes_nothing_back(database: Database) -> None:
    people = People(database, KEY)
    seen(1)
    await turn(people)
    async with database.transaction() as session:
        ahead = datetime.now(UTC) + timedelta(minutes=2)
        await session.execute(update(ActiveUserRow).values(last_seen=ahead))
    seen(1)
    await turn(people)
    async with database.reading() as session:
        assert (await session.scalars(select(ActiveUserRow.last_seen))).one() == ahead


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_is_away_for_a_while_loses_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setattr(module, "_EVERY_S", 0.01)
    people = People(database, KEY)
    working = database.transaction

    def away() -> None:
        raise ConnectionError

    monkeypatch.setattr(database, "transaction", away)
    seen(1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(people.run())

        async def tried() -> bool:
            return bool(people._unwritten)

        await until(tried)
        assert told() == (None, None, None)
        monkeypatch.setattr(database, "transaction", working)

        async def counted() -> bool:
            return told() == (1, 1, 1)

        await until(counted)
        task.cancel()
