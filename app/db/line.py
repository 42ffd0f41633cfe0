"""One connection that is kept, for single statements that each commit by themselves.

On PostgreSQL that is one round trip a statement. Through a pooler it is a transaction: a statement is prepared and
executed in two trips, and only within a transaction does a pooler give both to the same connection.

After a failure the connection is opened anew, and a statement that failed because the connection had died meanwhile is
made once more: it must bear being made twice. One that took too long is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Line:
    """The connection of one loop; not for two at a time. `busy_s` is how long SQLite waits for another writer."""

    def __init__(self, database: Database, *, busy_s: float | None = None) -> None:
        self._busy_s = busy_s
        self._engine = database.engine
        self._autocommit = self.dialect == "postgresql" and not database.shared_connections
        self._connection: AsyncConnection | None = None

    @property
    def dialect(self) -> str:
        """`postgresql` or `sqlite`."""
        return self._engine.dialect.name

    async def execute(self, statement: Executable, parameters: Parameters = None) -> Sequence[Row[Any]]:
        """Make one statement; it is committed when this returns. Raises what the driver raises."""
        kept = self._connection is not None
        try:
            return await self._try(statement, parameters)
        except DBAPIError as error:
            if not (kept and _is_lost(error)):
                raise
        return await self._try(statement, parameters)

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _try(self, statement: Executable, parameters: Parameters) -> Sequence[Row[Any]]:
        try:
            if self._connection is None:
                self._connection = await self._open()
            result = await self._connection.execute(statement, parameters)
            rows = result.all() if result.returns_rows else []
            await self._connection.commit()  # nothing is left to commit where each statement did so by itself
        except BaseException:
            await self._drop()
            raise
        return rows

    async def _open(self) -> AsyncConnection:
        connection = await self._engine.connect()
        try:
            if self._autocommit:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
            if self._busy_s is not None and self.dialect == "sqlite":
                # On the driver's connection: within a transaction it would wait for the writer itself.
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver.execute(f"PRAGMA busy_timeout = {round(self._busy_s * 1000)}")
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # What it was doing is unknown: nobody else may get it.
            await connection.invalidate()
            await connection.close()


def _is_lost(error: DBAPIError) -> bool:
    """Whether the connection had died. A server that does not answer in time is asked once, lest the time double."""
    return error.connection_invalidated and not isinstance(error.orig, TimeoutError)
