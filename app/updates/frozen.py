"""Frees what frozen processes hold in PostgreSQL: ends sessions whose client is silent in the middle of a transaction.

The server's own limit, `idle_in_transaction_session_timeout`, does not count while a statement is half asked: asyncpg has it
prepared, and executes it afterwards. Nor can a process set that limit through a pooler.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import text

from app.db.line import Line
from app.db.session import APPLICATION, SILENT_S, Database
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)

_LOOK_S = 1.0

# Of the same role: another's sessions cannot be ended. A client that speaks is never found waiting for so long:
# `state_change` is when it was heard last.
_END = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user AND application_name = :application"
    " AND xact_start IS NOT NULL AND wait_event_type = 'Client' AND wait_event = 'ClientRead'"
    " AND clock_timestamp() - state_change > make_interval(secs => :silent_s)"
).bindparams(application=APPLICATION, silent_s=SILENT_S)


async def free_from_frozen(database: Database) -> None:
    """Look for such sessions every second, until cancelled; on SQLite nobody can end them."""
    line = Line(database)
    if line.dialect != "postgresql":
        return
    try:
        with untraced():
            while True:
                await _look(line)
                await asyncio.sleep(_LOOK_S)
    finally:
        await line.close()


async def _look(line: Line) -> None:
    try:
        if ended := await line.execute(_END):
            _log.warning("sessions of a frozen process held locks and were ended: %d", len(ended))
    except (
        Exception
    ) as error:  # whatever a driver raises means the same: the database is down, which others tell
        _log.debug("frozen sessions cannot be looked for (%s)", type(error).__qualname__)
