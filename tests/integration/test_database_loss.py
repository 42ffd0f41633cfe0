"""A database that is away: whatever the driver raises then is SQLAlchemy's error, and says whether anything was sent."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from app.db.line import Line
from app.db.session import Database, DatabaseUnreachable
from tests.kit.bot import free_port
from tests.kit.relay import relay


async def test_a_database_that_takes_no_connection_is_unreachable() -> None:
    database = Database(f"postgresql+asyncpg://bot@127.0.0.1:{free_port()}/bot")
    async with database.reading() as session:
        with pytest.raises(DatabaseUnreachable) as raised:
            await session.execute(text("SELECT 1"))
    with pytest.raises(DatabaseUnreachable):
        await Line(database).execute(text("SELECT 1"))
    await database.close()
    assert type(raised.value.orig) is ConnectionRefusedError


async def test_a_database_that_does_not_exist_is_unreachable(postgres_url: str) -> None:
    other = make_url(postgres_url).set(database="nowhere")
    database = Database(other.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnreachable) as raised:
        await database.ping()
    await database.close()
    assert type(raised.value.orig).__name__ == "InvalidCatalogNameError"


async def test_a_statement_without_an_answer_is_the_databases_error(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.session._ANSWER_S", 0.3)
    async with relay(postgres_url) as through:
        database = Database(through.url)
        async with database.reading() as session:
            await session.execute(text("SELECT 1"))
            through.hang()
            with pytest.raises(OperationalError) as raised:
                await session.execute(text("SELECT 1"))
        through.go_on()
        await database.ping()
        through.hang()
        # The connection that is kept is asked first whether it lives.
        with pytest.raises(DatabaseUnreachable) as asked:
            await database.ping()
        through.go_on()
        await database.close()
    assert (type(raised.value.orig), raised.value.connection_invalidated) == (TimeoutError, True)
    assert type(asked.value.orig) is TimeoutError


async def test_a_statement_that_cannot_be_closed_is_not_waited_for_without_end(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.session._ANSWER_S", 0.3)
    async with relay(postgres_url) as through:
        database = Database(through.url)
        through.loses_closings = True
        line = Line(database)

        async def more_than_are_kept_prepared() -> None:
            for number in range(1000):
                await line.execute(text(f"SELECT {number}"))

        with pytest.raises(OperationalError) as raised:
            await more_than_are_kept_prepared()
        await line.close()
        await database.close()
    assert (type(raised.value.orig), raised.value.connection_invalidated) == (TimeoutError, True)
    assert through.lost == 1


async def test_through_a_pooler_no_statement_has_to_be_closed(postgres_url: str) -> None:
    async with relay(postgres_url) as through:
        database = Database(through.url, shared_connections=True)
        through.loses_closings = True
        line = Line(database)
        told = [(await line.execute(text("SELECT cast(:n AS int)"), {"n": n}))[0][0] for n in range(300)]
        await line.close()
        await database.close()
    assert told == list(range(300))
    assert through.lost == 0
