"""The same as `make chaos`, smaller: it must find nothing, and it must find what is broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db.line import Line
from app.db.session import Database
from app.updates import claims, inbox
from app.updates.envelope import read
from app.updates.inbox import Arrival
from tests.chaos import ledger
from tests.chaos.storm import Plan, settled, storm, world
from tests.kit.pgbouncer import pgbouncer
from tests.kit.postgres import Server, server_from_wheel
from tests.kit.updates import FIRST, message

SMALL = Plan(updates=500, chats=50, kills=5, freezes=1, restarts=1, seed=7, frozen_s=(4.5, 5.5), limit_s=420)
NOTHING_WRONG = {
    "effects": 500,
    "lost": 0,
    "twice": 0,
    "out_of_order": 0,
    "sums_wrong": 0,
    "written_after_takeover": 0,
    "set_aside": 0,
    "failed": [],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL that a test may restart."""
    with server_from_wheel("track_commit_timestamp = on") as started:
        started.control("restart", "fast")
        yield started


@pytest.mark.timeout(480)
async def test_a_small_storm_loses_and_doubles_nothing(server: Server, tmp_path: Path) -> None:
    found = await storm(server.url, server.restart, SMALL, tmp_path)
    assert {key: found[key] for key in NOTHING_WRONG} == NOTHING_WRONG
    assert found["kills"] >= 5
    assert found["freezes"] >= 1
    assert found["restarts"] == 1


@pytest.mark.timeout(480)
async def test_a_small_storm_through_a_pooler(server: Server, tmp_path: Path) -> None:
    """PgBouncer in transaction mode: each transaction gets another connection, and nobody hears NOTIFY."""
    with pgbouncer(server.url) as pooler:
        found = await storm(server.url, server.restart, SMALL, tmp_path, pooler)
    assert {key: found[key] for key in NOTHING_WRONG} == NOTHING_WRONG
    assert found["answers"]["200"] >= 500


@pytest.mark.timeout(120)
async def test_no_statement_fails_because_a_pooler_stands_in_between(server: Server, tmp_path: Path) -> None:
    """The storm would not tell: what fails is brought again, late."""
    with pgbouncer(server.url) as pooler:
        async with world(server.url, 1, tmp_path, slots=1) as (database, _, _):
            url = pooler.set(database=database.engine.url.database)
            pooled = Database(url.render_as_string(hide_password=False), shared_connections=True)
            lines = [Line(pooled) for _ in range(4)]
            # Different transactions at the same time get different connections, in turns.
            stored = await asyncio.gather(*(_store(line, 100 * n) for n, line in enumerate(lines)))
            for line in lines:
                await line.close()
            await pooled.close()
    assert stored == [50, 50, 50, 50]


async def _store(line: Line, first: int) -> int:
    stored = 0
    for number in range(first, first + 50):
        stored += len(await inbox.store(line, [Arrival(read(message(number)), FIRST)]))
        assert await claims.claim(line, -1, 1) == []
    return stored


async def test_what_the_instances_refuse_is_counted(server: Server, tmp_path: Path) -> None:
    async with world(server.url, 1, tmp_path, slots=1) as (database, mail, ships):
        await ships.start(0)
        (chat,) = mail.sent
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE updates RENAME TO gone"))
        await mail.write(chat)
        while not ships.balancer.answers:
            await asyncio.sleep(0.02)
        async with database.transaction() as session:
            await session.execute(text("ALTER TABLE gone RENAME TO updates"))
        while await mail.pending():
            await mail.hasten(4)
            await asyncio.sleep(0.1)
        await settled(database, ships)
        answers = dict(ships.balancer.answers)
    assert answers.pop(200) == 1
    assert set(answers) == {503}


async def test_the_ledger_sees_what_is_wrong(server: Server, tmp_path: Path) -> None:
    """Without this a storm that finds nothing would prove nothing."""
    async with world(server.url, 3, tmp_path, slots=1) as (database, mail, _):
        one, two, three = mail.sent
        await _book(database, (one, 1), (one, 1), (one, 2), (two, 2), (two, 1), (three, 1))
        verdict = await ledger.judge(database, {one: 2, two: 2, three: 2})
    assert (verdict.lost, verdict.twice, verdict.out_of_order) == (1, 1, 1)
    assert verdict.sums_wrong == 3
    assert not verdict.good


async def _book(database: Database, *effects: tuple[int, int]) -> None:
    async with database.transaction() as session:
        for chat, seq in effects:
            await session.execute(
                text("INSERT INTO chaos_effects (chat, seq, epoch) VALUES (:chat, :seq, 1)"),
                {"chat": chat, "seq": seq},
            )
