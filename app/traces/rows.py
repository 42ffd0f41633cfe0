"""What the tables `updates` and `jobs` say of an update and of a job, for `/debug`. Read only.

The rows outlive the recorded traces, and know what no trace does: what still waits, and for the how-manieth time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, select

from app.db.models import JobRow, UpdateRow
from app.db.session import Database

Row = TypeVar("Row")

#: More than one update or job is only found by the beginning of an ID.
_AT_MOST = 20
#: In `00-<trace id>-<span id>-01`, the form of a W3C traceparent.
_ID_FROM, _ID_UNTIL = 3, 35


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """An update's row. `duration_ms` is of its last attempt; `handler`, `outcome` and `reason` may be empty."""

    update_id: int
    kind: str
    cid: str
    state: str
    attempts: int
    received_at: datetime
    handler: str
    outcome: str
    reason: str
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job's row. `cid` is its own trace, `created_by` that of the update which asked for it."""

    job_id: int
    cid: str
    created_by: str
    state: str
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    reason: str


class Rows:
    """The two tables of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def update(self, update_id: int) -> UpdateFacts | None:
        """The row of one update."""
        found = await self._updates(UpdateRow.update_id == update_id)
        return found[0] if found else None

    async def updates_of(self, cid: str) -> list[UpdateFacts]:
        """The updates whose trace ID begins with `cid`, newest first. It reads the whole table."""
        return await self._updates(UpdateRow.traceparent.startswith(f"00-{cid}", autoescape=True))

    async def job(self, job_id: int) -> JobFacts | None:
        """The row of one job."""
        found = await self._jobs(JobRow.id == job_id)
        return found[0] if found else None

    async def jobs_of(self, cid: str) -> list[JobFacts]:
        """The jobs whose trace ID begins with `cid`, newest first. It reads the whole table."""
        return await self._jobs(JobRow.traceparent.startswith(f"00-{cid}", autoescape=True))

    async def jobs_asked_by(self, cid: str) -> list[JobFacts]:
        """The jobs that the update with this trace ID asked for, newest first. It reads the whole table."""
        return await self._jobs(JobRow.created_by.startswith(f"00-{cid}", autoescape=True))

    async def _updates(self, wanted: ColumnElement[bool]) -> list[UpdateFacts]:
        statement = select(UpdateRow).where(wanted).order_by(UpdateRow.received_at.desc())
        return [_update(row) for row in await self._read(statement)]

    async def _jobs(self, wanted: ColumnElement[bool]) -> list[JobFacts]:
        statement = select(JobRow).where(wanted).order_by(JobRow.id.desc())
        return [_job(row) for row in await self._read(statement)]

    async def _read(self, statement: Select[tuple[Row]]) -> list[Row]:
        async with self._database.reading() as session:
            return list(await session.scalars(statement.limit(_AT_MOST)))


def _update(row: UpdateRow) -> UpdateFacts:
    return UpdateFacts(
        row.update_id,
        row.kind,
        row.traceparent[_ID_FROM:_ID_UNTIL],
        row.state,
        row.attempts,
        row.received_at,
        row.handler or "",
        row.outcome or "",
        row.reason or "",
        row.duration_ms,
    )


def _job(row: JobRow) -> JobFacts:
    return JobFacts(
        row.id,
        row.traceparent[_ID_FROM:_ID_UNTIL],
        row.created_by[_ID_FROM:_ID_UNTIL],
        row.state,
        row.attempts,
        row.created_at,
        row.finished_at,
        row.reason or "",
    )
