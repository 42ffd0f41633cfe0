"""A task that is cancelled at a statement ends, however often it is told to, and so do its connection and the process."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from app.db.session import Database

#: Takes half a second or more, and hears of no cancellation: on SQLite the thread that executes it goes on.
_LONG = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000000) SELECT count(*) FROM c",
    "postgresql": "SELECT pg_sleep(0.5)",
}


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_whatever_was_cancelled_at_a_statement_ends(database: Database, times: int) -> None:
    async def read() -> None:
        async with database.reading() as session:
            await session.execute(text(_LONG[database.engine.dialect.name]))

    before = asyncio.all_tasks()
    reading = asyncio.create_task(read())
    await asyncio.sleep(0.2)
    for _ in range(times):  # as a group that ends does, and then the loop's runner
        reading.cancel()
        await asyncio.sleep(0.02)
    begun = asyncio.all_tasks() - before | {reading}
    ended, hanging = await asyncio.wait(begun, timeout=20)
    assert (ended, hanging) == (begun, set())
    assert reading.cancelled()
    await database.ping()
    assert database.connections() == {"used": 0, "idle": 1, "unopened": 19}
