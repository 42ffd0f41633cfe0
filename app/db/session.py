"""The database: its engine and its transactions.

A transaction is opened at the edge (a handler, a claim, a settlement) and never spans a call to Telegram: on SQLite
it holds the one write lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from sqlalchemy import AsyncAdaptedQueuePool, PoolProxiedConnection, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from app.db.models import Base
from app.db.sqlite import READS, connect_sqlite, prepare_sqlite
from app.telemetry.catalogue import DB_POOL_WAIT
from app.telemetry.instruments import record

#: Connections of one process at most. Each is held for the time of one transaction, none of which waits for Telegram.
_POOL_SIZE = 20
#: A server that does not answer for so long is gone, even when its host is and nothing closes the connection.
_ANSWER_S = 10.0
#: The same for a step of a migration, which may rebuild a table, or wait for the process that is at it.
_STEP_S = 3600.0
#: How the server knows our sessions, and those of a migration, which may be silent for long.
APPLICATION, _MIGRATION = "tracegram", "tracegram migrate"
#: A process that freezes within a transaction holds its rows for so long: less than a lease lasts (4 s), so that
#: whoever takes over neither waits for the row of the lease nor is overtaken by commits of one that wakes up.
#: What the server does not notice by itself, another process does half a second later (app/updates/frozen.py).
SILENT_S = 3.0


class DatabaseUnreachable(OperationalError):
    """No connection could be had, and so nothing was sent. `orig` is what the driver raised."""


class CommitUnheard(OperationalError):
    """The connection was lost at COMMIT: everything may be committed, or nothing. Lost earlier, it is nothing."""


class MeasuredPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, which tells how long a connection was waited for, and whose errors are SQLAlchemy's."""

    #: By its own module's name its log lines would count as ours, and be told with their arguments.
    _sqla_logger_namespace = "sqlalchemy.pool"

    def connect(self) -> PoolProxiedConnection:
        """Give a connection: one that is idle, a new one, or the next that is given back.

        Raises `DatabaseUnreachable`, or SQLAlchemy's `TimeoutError` when none is given back in time.
        """
        started = time.perf_counter()
        try:
            return super().connect()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # SQLAlchemy wraps nothing before there is a connection.
            raise DatabaseUnreachable(None, None, error, hide_parameters=True) from error
        finally:
            record(DB_POOL_WAIT, time.perf_counter() - started)

    def places(self) -> dict[str, float]:
        """How many connections are used, are idle, and may yet be opened."""
        used, idle = self.checkedout(), self.checkedin()
        limit = self.size() + self._max_overflow
        return {"used": used, "idle": idle, "unopened": max(limit - used - idle, 0)}


class _LimitedConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg tells no types
    """What asyncpg itself waits for without a limit has one: the server's word that a prepared statement is closed."""

    async def _cleanup_stmts(self) -> None:
        async with asyncio.timeout(_ANSWER_S):
            await super()._cleanup_stmts()


class Database:
    """One engine and its sessions."""

    def __init__(self, url: str, *, shared_connections: bool = False, pool_size: int = _POOL_SIZE) -> None:
        # Parameters hold links and ids: they never go into an error's text.
        self.engine: AsyncEngine = create_async_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=not _is_sqlite(url),
            connect_args=_arguments(url, shared_connections),
            **_pool(pool_size),
        )
        self._url = url
        #: Whether each transaction may get another connection: a pooler stands in between.
        self.shared_connections = shared_connections
        #: Whether LISTEN and NOTIFY reach the other processes: not on SQLite, nor through a pooler.
        self.notifies = not _is_sqlite(url) and not shared_connections
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        event.listen(self.engine.sync_engine, "handle_error", _as_ours, retval=True)
        if _is_sqlite(url):
            prepare_sqlite(self.engine.sync_engine)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block, and rolls back when the block raises.

        Raises `CommitUnheard` when nobody knows whether it committed.
        """
        async with self._sessions() as session:
            yield session
            await session.flush()
            try:
                await session.commit()
            except DBAPIError as error:
                if error.connection_invalidated and error.orig is not None:
                    raise CommitUnheard(
                        None, None, error.orig, hide_parameters=True, connection_invalidated=True
                    ) from error
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads. On SQLite it does not wait for the one writer."""
        async with AsyncSession(self.engine.execution_options(**{READS: True})) as session:
            yield session

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[AsyncConnection]:
        """A transaction for the steps of a migration: they may take long, and sit still between two statements.

        Raises what the engine's own connections raise.
        """
        if _is_sqlite(self._url):
            async with self.engine.begin() as connection:
                yield connection
            return
        arguments = _arguments(self._url, self.shared_connections) | {"command_timeout": _STEP_S}
        arguments["server_settings"] = {"application_name": _MIGRATION}
        # Its limit on statements is the connection's, not to be changed later: hence one of its own.
        engine = create_async_engine(self._url, hide_parameters=True, connect_args=arguments, **_pool(1))
        event.listen(engine.sync_engine, "handle_error", _as_ours, retval=True)
        try:
            async with engine.begin() as connection:
                # The role or the database may have one.
                await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                yield connection
        finally:
            await engine.dispose()

    async def ping(self) -> None:
        """One round trip. Raises what the driver raises when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    def connections(self) -> dict[str, float]:
        """The places of its pool by state."""
        return cast(MeasuredPool, self.engine.sync_engine.pool).places()

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def insert_into(session: AsyncSession, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, which both databases have and SQLAlchemy spells for each by itself."""
    of_dialect = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return of_dialect(table)


def _as_ours(context: ExceptionContext) -> BaseException | None:
    """What the driver does not call its own, time-outs above all: a handler's own `OSError` is another thing."""
    error = context.original_exception
    if not isinstance(error, OSError):
        return None
    return OperationalError(context.statement, None, error, hide_parameters=True, connection_invalidated=True)


def _arguments(url: str, shared_connections: bool) -> dict[str, Any]:
    if _is_sqlite(url):
        return {"async_creator_fn": connect_sqlite}
    # A dead server must not hold up the door for longer than Telegram waits.
    arguments: dict[str, Any] = {
        "timeout": 5,
        "command_timeout": _ANSWER_S,
        "connection_class": _LimitedConnection,
        "server_settings": {"application_name": APPLICATION},
    }
    if not shared_connections:
        # A pooler refuses it at the start of a connection.
        arguments["server_settings"]["idle_in_transaction_session_timeout"] = f"{SILENT_S * 1000:.0f}"
    else:
        # A pooler gives each transaction another connection: a statement that was prepared on one is unknown on the next.
        # Without a name it need not be closed either, which would be a trip of its own.
        arguments |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,
        }
    return arguments


def _pool(size: int) -> dict[str, Any]:
    return {"poolclass": MeasuredPool, "pool_size": size, "max_overflow": 0, "pool_timeout": _ANSWER_S}


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")
