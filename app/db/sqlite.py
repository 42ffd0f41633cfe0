"""What SQLite needs to behave like a server: writers that wait their turn, and connections that end when they should.

The driver works on a thread per connection, which hears of no cancellation: a statement goes on when its task has ended.
"""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

#: An execution option: the transaction only reads, so it need not wait for the one writer.
READS = "tracegram_reads"


def connect_sqlite(path: str, **arguments: Any) -> aiosqlite.Connection:
    """A connection of the driver, not open yet, for SQLAlchemy's `async_creator_fn`."""
    opened = partial(sqlite3.connect, path, factory=_ReleasingConnection, **arguments)
    connection = _OnceStoppedConnection(opened, iter_chunk_size=64)
    # A process ends, whatever a file system does to its threads; SQLAlchemy does so with connections that it makes.
    connection._thread.daemon = True
    return connection


def prepare_sqlite(engine: Engine) -> None:
    """Let each connection of the engine keep what it commits, and each transaction say at its start whether it writes."""
    event.listen(engine, "connect", _set)
    event.listen(engine, "begin", _begin)


class _ReleasingConnection(sqlite3.Connection):
    """A connection that, once closed, holds no lock.

    By itself it would while a statement that gives rows is not read to its end, until that is collected as garbage. A
    cancelled task leaves such a statement, and the error's traceback keeps it (https://sqlite.org/c3ref/close.html).
    """

    def close(self) -> None:
        """Roll back and close."""
        try:
            if self.in_transaction:
                self.rollback()
        finally:
            super().close()


class _OnceStoppedConnection(aiosqlite.Connection):
    """aiosqlite's connection, whose thread is told once to end, however many want it.

    SQLAlchemy closes the connection of a cancelled task, and stops it, too, when the task is cancelled again meanwhile.
    The second order would wait for the answer of a thread that is gone: neither that task nor its event loop would end
    (aiosqlite 0.22, SQLAlchemy 2.0).
    """

    _ended: asyncio.Future[Any] | None = None

    def stop(self) -> asyncio.Future[Any] | None:
        """Tell the thread to close and to end, if nobody did; the answer comes when it has."""
        if self._running:
            self._ended = super().stop()
        return self._ended


def _set(connection: Any, _: Any) -> None:
    # The driver's own BEGIN is deferred and fails when two writers meet: ours (below) waits its turn.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    deferred = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")
