"""The table of updates: inbox, memory of duplicates and index in one. Only SQL.

Here is what stores, counts and forgets; `claims` takes updates out and settles them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    CursorResult,
    Delete,
    Executable,
    Table,
    Update,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement, SQLColumnExpression

from app.db.line import Line
from app.db.models import UpdateRow, UpdateState
from app.updates.envelope import Envelope

TABLE = cast(Table, UpdateRow.__table__)
#: In the statement's text, not as parameters: SQLite does not see otherwise that a partial index serves.
IS_WAITING: ColumnElement[str] = literal_column("'waiting'")
IS_RUNNING: ColumnElement[str] = literal_column("'running'")
#: Telegram brings an update again for 24 hours: so long, and a bit, its number must be remembered.
_REMEMBER_H = 25.0
#: Rows that one statement changes when it forgets.
_AT_ONCE_ROWS = 2000
#: Due whatever the clock of the instance says that takes it out.
_AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An update to be stored, with the `traceparent` of its receipt. `refused`: it is stored as done with."""

    envelope: Envelope
    traceparent: str
    refused: bool = False


def is_open(state: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Waiting or running, in the words of the partial index."""
    return state.in_((IS_WAITING, IS_RUNNING))


async def store(line: Line, arrivals: Sequence[Arrival]) -> set[int]:
    """Insert what is new; gives the numbers that were."""
    now = datetime.now(UTC)
    by_number = {a.envelope.update_id: a for a in reversed(arrivals)}
    # In order, so that two instances with the same updates do not wait for each other.
    rows = [_row(by_number[number], now) for number in sorted(by_number)]
    # Few sizes, and so few statements to prepare; what is there twice is inserted once.
    size = 1 << (len(rows) - 1).bit_length()
    rows += rows[-1:] * (size - len(rows))
    parameters = {f"{name}_{n}": value for n, row in enumerate(rows) for name, value in row.items()}
    return {row.update_id for row in await line.execute(_inserting(size), parameters)}


@lru_cache
def _inserting(size: int) -> Executable:
    """As text: an `INSERT` with `ON CONFLICT` is the one that SQLAlchemy compiles anew each time, for milliseconds."""
    places = ", ".join(f"({', '.join(f':{name}_{n}' for name in _STORED)}, 0, 0, FALSE)" for n in range(size))
    statement = text(
        f"INSERT INTO updates ({', '.join(_STORED)}, epoch, attempts, hurried) VALUES {places}"  # noqa: S608  # names of ours
        " ON CONFLICT (update_id) DO NOTHING RETURNING update_id"
    )
    return statement.bindparams(
        *(bindparam(f"{name}_{n}", type_=TABLE.c[name].type) for n in range(size) for name in _STORED)
    )


_STORED = (
    "update_id",
    "kind",
    "lane",
    "body",
    "traceparent",
    "state",
    "outcome",
    "reason",
    "received_at",
    "available_at",
    "finished_at",
)


def _row(arrival: Arrival, now: datetime) -> dict[str, Any]:
    envelope = arrival.envelope
    refused = arrival.refused
    values = (
        envelope.update_id,
        envelope.kind,
        None if refused else envelope.lane,
        None if refused else envelope.body,
        arrival.traceparent,
        UpdateState.DONE if refused else UpdateState.WAITING,
        "rejected" if refused else None,
        "PASSIVE_REJECT" if refused else None,
        now,
        _AT_ONCE,
        now if refused else None,
    )
    return dict(zip(_STORED, values, strict=True))


async def first_traceparents(line: Line, update_ids: Sequence[int]) -> dict[int, str]:
    """Where the traces of stored updates began."""
    wanted = TABLE.c.update_id.in_(update_ids)
    found = await line.execute(select(TABLE.c.update_id, TABLE.c.traceparent).where(wanted))
    return {row.update_id: row.traceparent for row in found}


async def depth(session: AsyncSession) -> int:
    """Updates that wait or run."""
    open_rows = select(func.count()).select_from(TABLE).where(is_open(TABLE.c.state))
    return (await session.execute(open_rows)).scalar_one()


async def forget_bodies(session: AsyncSession, bodies_h: float) -> bool:
    """Forget some bodies of updates that were done so many hours ago. Whether there may be more."""
    oldest = datetime.now(UTC) - timedelta(hours=bodies_h)
    with_body = (TABLE.c.state == UpdateState.DONE, TABLE.c.body.is_not(None), TABLE.c.finished_at < oldest)
    return await _changed_some(session, update(TABLE).values(body=None), *with_body)


async def forget_rows(session: AsyncSession, rows_h: float) -> bool:
    """Forget some updates that ended and came so many hours ago, but none before Telegram does. Whether there may be more."""
    gone = datetime.now(UTC) - timedelta(hours=max(rows_h, _REMEMBER_H))
    ended = TABLE.c.state.in_((UpdateState.DONE, UpdateState.SET_ASIDE))
    return await _changed_some(session, delete(TABLE), ended, TABLE.c.received_at < gone)


async def _changed_some(session: AsyncSession, change: Update | Delete, *which: ColumnElement[bool]) -> bool:
    """Few enough for the time that a statement may take, and for who waits for SQLite's one writer."""
    some = select(TABLE.c.update_id).where(*which).limit(_AT_ONCE_ROWS)
    result = await session.execute(change.where(TABLE.c.update_id.in_(some)))
    return cast("CursorResult[object]", result).rowcount == _AT_ONCE_ROWS
