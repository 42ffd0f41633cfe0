"""The schema: its steps go up, down and up again on both databases, and end where the models are."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, inspect, make_url, text
from sqlalchemy.exc import IntegrityError

from app.db.migrate import migrate
from app.db.models import Base
from app.db.session import Database
from app.errors import ConfigError
from tests.kit.postgres import execute

_INSERT = text(
    "INSERT INTO jobs (state, chat_id, reply_to_message_id, progress_message_id, language, url, bitrate,"
    " traceparent, created_by, attempts, available_at, created_at)"
    " VALUES (:state, 1, 2, 3, 'en', 'https://example.org', 192, '', '', 0,"
    " '2026-01-01 00:00:00+00:00', '2026-01-01 00:00:00+00:00')"
)


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


async def test_up_down_up(database_url: str) -> None:
    database = Database(database_url)
    seen = []
    for revision in ("head", "base", "head", "head"):
        await migrate(database, revision)
        async with database.engine.connect() as connection:
            seen.append(await connection.run_sync(_tables))
    await database.close()
    tables = {"alembic_version", *Base.metadata.tables}
    assert seen == [tables, {"alembic_version"}, tables, tables]


async def test_the_steps_end_where_the_models_are(database: Database) -> None:
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def _revision(database: Database) -> str:
    async with database.engine.connect() as connection:
        return str(await connection.scalar(text("SELECT version_num FROM alembic_version")))


async def test_an_older_version_starts_on_a_newer_schema(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """In a deploy that is under way, or taken back: an old process that started again ended at once, with an error."""
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9001'"))
    await migrate(database)
    assert await _revision(database) == "9001"
    assert [record.message for record in caplog.records if record.name == "app.db.migrate"] == [
        "the schema is of a newer version; this one goes on with it"
    ]


async def test_a_schema_of_somebody_else_is_refused(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'ae1027a6acf'"))
    with pytest.raises(ConfigError, match="is the revision one of ours"):
        await migrate(database)


def _checks(connection: Connection) -> dict[str, set[str | None]]:
    inspector = inspect(connection)
    return {
        table: {check["name"] for check in inspector.get_check_constraints(table)}
        for table in Base.metadata.tables
    }


async def test_the_models_constraints_are_in_the_schema(database: Database) -> None:
    """Alembic does not compare check constraints."""
    expected = {
        name: {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        for name, table in Base.metadata.tables.items()
    }
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_checks) == expected


async def test_an_unknown_state_is_refused(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(_INSERT, {"state": "queued"})
    with pytest.raises(IntegrityError, match="jobs_state"):
        async with database.engine.begin() as connection:
            await connection.execute(_INSERT, {"state": "lost"})


async def test_two_processes_may_migrate_at_once(database_url: str) -> None:
    first, second = Database(database_url), Database(database_url)
    async with asyncio.TaskGroup() as group:
        group.create_task(migrate(first))
        group.create_task(migrate(second))
    async with first.engine.connect() as connection:
        version = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()
    await first.close()
    await second.close()
    assert version == ["0007"]


async def test_a_migration_may_take_longer_than_a_statement_of_the_bot(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A step that took 10 s could never run, and whoever waited for it ended with an error, and took the bot with it."""
    monkeypatch.setattr("app.db.session._ANSWER_S", 0.3)
    database = make_url(postgres_url)
    limit = f'ALTER DATABASE "{database.database}" SET idle_in_transaction_session_timeout = 300'
    execute(database, limit)
    slow, waiting = Database(postgres_url), Database(postgres_url)
    began = asyncio.Event()
    upgrade_fast = command.upgrade

    def upgrade(config: Config, revision: str) -> None:
        began.set()
        config.attributes["connection"].execute(text("SELECT pg_sleep(1)"))
        time.sleep(0.6)  # as a step does that computes
        upgrade_fast(config, revision)

    monkeypatch.setattr("app.db.migrate.command.upgrade", upgrade)
    with caplog.at_level(logging.INFO):
        async with asyncio.TaskGroup() as group:
            group.create_task(migrate(slow))
            await began.wait()
            group.create_task(migrate(waiting))
    assert await _revision(waiting) == "0007"
    await slow.close()
    await waiting.close()
    assert [record.message for record in caplog.records if record.name == "app.db.migrate"] == [
        "another process brings the schema up to date; waiting for it"
    ]
