"""The kept connection of a loop on a real PostgreSQL: which failures are worth another try."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from app.db.line import Line
from app.db.session import Database


async def test_a_statement_that_timed_out_is_not_made_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that was too slow ran twice, and its loop stood still for twice as long."""
    monkeypatch.setattr("app.db.session._ANSWER_S", 0.3)
    database = Database(postgres_url)
    line = Line(database)
    try:
        await line.execute(text("CREATE SEQUENCE tries"))
        with pytest.raises(OperationalError) as raised:
            await line.execute(text("SELECT nextval('tries'), pg_sleep(5)"))
        assert type(raised.value.orig) is TimeoutError
        # A sequence counts also what was rolled back.
        assert [row[0] for row in await line.execute(text("SELECT nextval('tries')"))] == [2]
    finally:
        await line.close()
        await database.close()


async def test_a_statement_on_a_connection_that_died_is_made_again(postgres_url: str) -> None:
    database = Database(postgres_url)
    line, other = Line(database), Line(database)
    try:
        ((pid,),) = await line.execute(text("SELECT pg_backend_pid()"))
        await other.execute(text(f"SELECT pg_terminate_backend({pid})"))
        async with asyncio.timeout(5):
            began = time.monotonic()
            ((again,),) = await line.execute(text("SELECT pg_backend_pid()"))
        assert again != pid
        assert time.monotonic() - began < 2
    finally:
        await line.close()
        await other.close()
        await database.close()


async def test_a_statement_that_failed_leaves_sqlite_to_other_writers(tmp_path: Path) -> None:
    """Its transaction held the one write lock until the statement was collected, which may take minutes."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}")
    line, other = Line(database), Line(database, busy_s=0.3)
    try:
        await line.execute(text("CREATE TABLE one (id INTEGER NOT NULL)"))
        with pytest.raises(IntegrityError) as raised:
            await line.execute(text("INSERT INTO one VALUES (NULL) RETURNING id"))
        await other.execute(text("INSERT INTO one VALUES (1)"))
        assert raised.value.orig is not None  # and who holds the error holds the statement
    finally:
        await line.close()
        await other.close()
        await database.close()
