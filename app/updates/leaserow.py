"""The row of the lease: how it is read and changed. Only SQL, and nothing here commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from app.db.clock import clock
from app.db.models import LockRow
from app.updates.bell import LEASE, ring_in


@dataclass(frozen=True, slots=True)
class Seen:
    """The lease as it was last seen, by the database's clock (seconds since the epoch)."""

    now: float
    holder: str | None
    holder_pid: int | None
    epoch: int
    last_heartbeat: float
    expires_at: float
    taken_at: float
    takeover: str | None

    @property
    def heartbeat(self) -> tuple[int, float]:
        """What every heartbeat and every take-over changes, whichever way the clock goes."""
        return self.epoch, self.last_heartbeat

    @property
    def lasts_s(self) -> float:
        """How long its holder may be silent; two looks at one clock within a statement."""
        return self.expires_at - self.last_heartbeat


_COLUMNS = (
    LockRow.holder,
    LockRow.holder_pid,
    LockRow.epoch,
    LockRow.last_heartbeat,
    LockRow.expires_at,
    LockRow.taken_at,
    LockRow.takeover,
)


async def see(session: AsyncSession) -> Seen:
    """Look at it."""
    return Seen(*(await session.execute(select(clock(), *_COLUMNS))).one())


async def change(session: AsyncSession, which: ColumnElement[bool], **values: object) -> bool:
    """Change it when it is as `which` says. A change of what drains is told to all, when it commits."""
    statement = update(LockRow).where(which).values(**values).execution_options(synchronize_session=False)
    changed = cast("CursorResult[object]", await session.execute(statement)).rowcount == 1
    if "drain_until" in values:
        await ring_in(session, LEASE)
    return changed
