"""Tells the other instances that something happened: LISTEN/NOTIFY on PostgreSQL. On SQLite, and through a pooler
that shares connections, nobody hears it: there everybody looks at the tables several times a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.line import Line
from app.db.session import Database

_log = logging.getLogger(__name__)

UPDATES, LEASE = "updates", "lease"
_CHANNEL = "tracegram"
_PAUSE_S = 2.0
_PROBE_S = 5.0
#: What SQLAlchemy's dialect adds for itself.
_NOT_ASYNCPG = ("prepared_statement_cache_size", "prepared_statement_name_func", "async_fallback")


_RING = text("SELECT pg_notify(:channel, :what)")


async def ring(line: Line, what: str) -> None:
    """Tell all instances."""
    if line.dialect == "postgresql":
        await line.execute(_RING, {"channel": _CHANNEL, "what": what})


async def ring_in(session: AsyncSession, what: str) -> None:
    """Tell all instances, when the transaction commits."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(_RING, {"channel": _CHANNEL, "what": what})


class Bell:
    """Listens for `ring`. `heard` gets what was rung."""

    def __init__(self, database: Database, heard: Callable[[str], None]) -> None:
        self._engine = database.engine
        self._notifies = database.notifies
        self._heard = heard

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is opened again."""
        if not self._notifies:
            return
        while True:
            try:
                await self._listen()
            except Exception as error:  # a driver's own confusion over a lost connection has no common parent
                _log.info("not listening (%s), looking at the tables instead", type(error).__qualname__)
            self._heard(UPDATES)
            self._heard(LEASE)
            await asyncio.sleep(_PAUSE_S)

    async def _listen(self) -> None:
        _, arguments = self._engine.dialect.create_connect_args(self._engine.url)
        options = {key: value for key, value in arguments.items() if key not in _NOT_ASYNCPG}
        connection: Any = await asyncpg.connect(**options, timeout=_PROBE_S)
        try:
            await connection.add_listener(_CHANNEL, lambda *args: self._heard(args[-1]))
            while True:
                await asyncio.sleep(_PROBE_S)
                # A half-open connection says nothing by itself.
                await connection.execute("SELECT 1", timeout=_PROBE_S)
        finally:
            connection.terminate()
