"""Brings the schema to a revision, on the bot's own engine. Safe to call from several processes at once.

On PostgreSQL a transaction-level advisory lock makes the second wait for the first; on SQLite the write lock does.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import ConfigError

_LOCK = 0x7472616365  # any number that nothing else locks on


async def migrate(engine: AsyncEngine, revision: str = "head") -> None:
    """Go up to `revision`; `base` goes down to the empty schema. Raises `ConfigError` when the database refuses."""
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(_run, revision)
    except Exception as error:
        # Drivers raise their own kinds, too (no such database, wrong password). A driver's own text may hold the address and the password.
        raise ConfigError(
            f"DATABASE_URL: the database does not answer, or refuses ({type(error).__qualname__}). "
            "Is it running, and is the revision one of ours? `tracegram doctor` tells which part is broken."
        ) from error


def _run(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
