"""A task that is cancelled at a statement ends, however often it is told to, and holds neither lock nor process."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import TextClause, text

from app.db.line import Line
from app.db.session import Database

#: Takes half a second or more, and hears of no cancellation: on SQLite the thread that executes it goes on.
_SLOW = {
    "sqlite": "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 6000000) SELECT count(*) FROM c)",
    "postgresql": "(SELECT 1 FROM pg_sleep(0.5))",
}
often = pytest.mark.parametrize("times", [1, 2, 3])


@pytest.fixture(autouse=True)
def _garbage() -> Iterator[None]:
    """What only a collection of garbage would end goes on here."""
    gc.disable()
    yield
    gc.enable()


def slow(database: Database) -> str:
    return _SLOW[database.engine.dialect.name]


def slow_write(database: Database) -> TextClause:
    """Gives rows: one that is cancelled has not been read to its end."""
    return text(f"INSERT INTO switches (name, until) VALUES ('slow', {slow(database)}) RETURNING name")


async def read(database: Database) -> None:
    async with database.reading() as session:
        await session.execute(text(f"SELECT {slow(database)}"))


async def write(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(slow_write(database))


async def write_on_a_line(database: Database) -> None:
    await Line(database).execute(slow_write(database))


async def cancel(task: asyncio.Task[None], times: int) -> None:
    await asyncio.sleep(0.1)
    for _ in range(times):  # as a group that ends does, and then the loop's runner
        task.cancel()
        await asyncio.sleep(0.02)


@often
@pytest.mark.parametrize("work", [read, write, write_on_a_line])
async def test_whatever_was_cancelled_at_a_statement_ends(
    database: Database, times: int, work: Callable[[Database], Coroutine[Any, Any, None]]
) -> None:
    before = asyncio.all_tasks()
    working = asyncio.create_task(work(database))
    await cancel(working, times)
    begun = asyncio.all_tasks() - before | {working}
    ended, hanging = await asyncio.wait(begun, timeout=20)
    assert (ended, hanging) == (begun, set())
    assert working.cancelled()
    async with database.transaction() as session:  # no other writer holds the lock, or this would fail
        written = await session.scalars(
            text("INSERT INTO switches (name, until) VALUES ('next', 1) RETURNING name")
        )
        assert written.all() == ["next"]
    async with database.reading() as session:
        assert (await session.scalars(text("SELECT name FROM switches"))).all() == ["next"]
    assert database.connections() == {"used": 0, "idle": 1, "unopened": 19}


@often
def test_a_loop_that_ends_meanwhile_waits_for_the_statement(
    tmp_path: Path, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: failed.append(repr(told.exc_value)))
    database, before = Database(f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}"), set(threading.enumerate())

    async def main() -> None:
        working = asyncio.create_task(read(database))  # left to the loop's end
        await cancel(working, times)

    asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    assert (failed, set(threading.enumerate()) - before) == ([], set())
