"""The database: its engine, its transactions, and what SQLite needs to behave like a server.

A transaction is opened at the edge (a handler, a claim, a settlement) and never spans a call to Telegram: on SQLite
it holds the one write lock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

_READS = "tracegram_reads"


class Database:
    """One engine and its sessions."""

    def __init__(self, url: str) -> None:
        # Parameters hold links and ids: they never go into an error's text.
        self.engine: AsyncEngine = create_async_engine(
            url, hide_parameters=True, pool_pre_ping=not _is_sqlite(url)
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        if _is_sqlite(url):
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_immediate)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block, and rolls back when the block raises."""
        async with self._sessions.begin() as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads. On SQLite it does not wait for the one writer."""
        async with AsyncSession(self.engine.execution_options(**{_READS: True})) as session:
            yield session

    async def ping(self) -> None:
        """One round trip. Raises what the driver raises when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver's own BEGIN is deferred and fails when two writers meet: ours (below) waits its turn.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    deferred = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")
