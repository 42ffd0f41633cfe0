"""Frees what frozen processes hold in PostgreSQL: ends sessions whose client is silent in the middle of a transaction.

The server's own limit, `idle_in_transaction_session_timeout`, does not count while a statement is half asked: asyncpg has it
prepared, and executes it afterwards. Nor can a process set that limit through a pooler.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import ProgrammingError

from app.db.line import Line
from app.db.session import APPLICATION, SILENT_S, Database
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)

_LOOK_S = 0.5

# Ours, and of the role whose sessions may be ended. PgBouncer can add the client's address to a name, after a dash.
_OURS = (
    " FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
    f" AND (application_name = '{APPLICATION}' OR application_name LIKE '{APPLICATION} - %')"
)
#: Who waits for its client within a transaction, and since when; this session, too, to see that it is known as ours.
_WAITING = text(
    "SELECT pid, state_change, pid = pg_backend_pid() AS own"
    f"{_OURS} AND state_change IS NOT NULL AND (pid = pg_backend_pid()"
    " OR xact_start IS NOT NULL AND wait_event_type = 'Client' AND wait_event IN ('ClientRead', 'ClientWrite'))"
)
_END = text(f"SELECT pg_terminate_backend(pid) AS ended{_OURS} AND pid = :pid AND state_change = :since")


async def free_from_frozen(database: Database) -> None:
    """Look for such sessions twice a second, until cancelled; on SQLite nobody can end them."""
    watch = _Watch(Line(database))
    if watch.line.dialect != "postgresql":
        return
    try:
        with untraced():
            while True:
                await watch.look()
                await asyncio.sleep(_LOOK_S)
    finally:
        await watch.line.close()


class _Watch:
    """Remembers who was found waiting, by a clock of its own: the server's may jump, and tells when a statement began."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._since: dict[tuple[Any, ...], float] = {}
        self._complained = False

    async def look(self) -> None:
        """End who has been found waiting, for the same, for as long as nobody may be silent."""
        try:
            found = await self.line.execute(_WAITING)
            if not any(row.own for row in found):
                self._complain("this session is not known by its role and its application_name")
            await self._end(self._silent(found))
        except ProgrammingError as error:
            self._complain(type(error.orig).__qualname__)
        except Exception as error:  # whatever a driver raises: the database is down, which others tell
            _log.debug("frozen sessions cannot be looked for (%s)", type(error).__qualname__)

    def _silent(self, found: Sequence[Row[Any]]) -> list[tuple[Any, ...]]:
        now = time.monotonic()
        waiting = [(row.pid, row.state_change) for row in found if not row.own]
        self._since = {one: self._since.get(one, now) for one in waiting}
        return [one for one, since in self._since.items() if now - since >= SILENT_S]

    async def _end(self, silent: list[tuple[Any, ...]]) -> None:
        ended = 0
        for pid, since in silent:
            told = await self.line.execute(_END, {"pid": pid, "since": since})
            ended += sum(row.ended for row in told)
        if ended:
            _log.warning("sessions of a frozen process held locks and were ended: %d", ended)

    def _complain(self, why: str) -> None:
        if not self._complained:
            _log.warning("what a frozen process locks cannot be freed (%s)", why)
        self._complained = True
