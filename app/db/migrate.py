"""Brings the schema to a revision, however long that takes. Safe to call from several processes at once.

On PostgreSQL a transaction-level advisory lock makes the second wait for the first; on SQLite the write lock does.
A schema of a newer version is left as it is: the version before can work with it, so that a deploy can be taken back.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database, DatabaseUnreachable
from app.errors import ConfigError

_log = logging.getLogger(__name__)

_LOCK = 0x7472616365  # any number that nothing else locks on


async def migrate(database: Database, revision: str = "head") -> None:
    """Go up to `revision`; `base` goes down to the empty schema. Raises `ConfigError` when the database refuses."""
    try:
        async with database.migrating() as connection:
            if connection.dialect.name == "postgresql":
                await _take_turn(connection)
            await connection.run_sync(_run, revision)
    except Exception as error:
        # The driver's own kind says more (no such database, wrong password); its text may hold the address and the password.
        kind = type(error.orig if isinstance(error, DatabaseUnreachable) else error).__qualname__
        raise ConfigError(
            f"DATABASE_URL: the database does not answer, or refuses ({kind}). "
            "Is it running, and is the revision one of ours? `tracegram doctor` tells which part is broken."
        ) from error


async def _take_turn(connection: AsyncConnection) -> None:
    lock = {"lock": _LOCK}
    if not await connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), lock):
        _log.info("another process brings the schema up to date; waiting for it")
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), lock)


def _run(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if revision == "base":
        command.downgrade(config, revision)
    elif _is_newer(connection, config):
        _log.warning("the schema is of a newer version; this one goes on with it")
    else:
        command.upgrade(config, revision)


def _is_newer(connection: Connection, config: Config) -> bool:
    """Whether the schema has a number after the last one that this version knows."""
    there = MigrationContext.configure(connection).get_current_revision() or ""
    head = ScriptDirectory.from_config(config).get_current_head() or ""
    return there.isdecimal() and int(there) > int(head)
