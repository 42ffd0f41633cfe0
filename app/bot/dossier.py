"""Everything that is known about one update or job: its recorded trace, its rows, what is linked to it, what Tempo has.

Memory knows the last second, the database knows what other processes did: a trace is put together from both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.db.session import Database
from app.telemetry.recorder import Recorder, TraceRecord
from app.telemetry.story import job_numbers, jobs_created, update_number
from app.traces.index import TraceIndex
from app.traces.rows import JobFacts, Rows, UpdateFacts
from app.traces.tempo import Kept, Tempo

#: More digits than a database's integer takes.
_LONGEST_UPDATE_ID = 19
_JOBS_AT_MOST = 3
_HEX = re.compile(r"[0-9a-f]{1,32}")


@dataclass(frozen=True, slots=True)
class Dossier:
    """What there is; any of it may be missing. `jobs` are those behind an update, or the job of its own trace.

    `related` are the traces on the other side: of an update those of its jobs, of a job that of the update. A payment
    will be one more kind of row here, next to `jobs`, and one more line in `app/bot/telling.py`.
    """

    cid: str
    trace: TraceRecord | None = None
    update: UpdateFacts | None = None
    jobs: tuple[JobFacts, ...] = ()
    related: tuple[TraceRecord, ...] = ()
    kept: Kept | None = None

    @property
    def began(self) -> datetime | None:
        """When a row says that it began."""
        return self.update.received_at if self.update else self.jobs[0].created_at if self.jobs else None


@dataclass(frozen=True, slots=True)
class Archive:
    """Where dossiers are put together. Without `tempo` nothing is said of it."""

    recorder: Recorder
    traces: TraceIndex
    rows: Rows
    tempo: Tempo | None = None

    @classmethod
    def of(cls, database: Database, recorder: Recorder, traces: TraceIndex, tempo_url: str) -> Archive:
        """The archive of one process. `tempo_url` may be empty."""
        return cls(recorder, traces, Rows(database), Tempo(tempo_url) if tempo_url else None)

    async def find(self, query: str) -> list[str]:
        """The trace IDs that a query means: an update_id, or the beginning of a trace ID, which a support code is."""
        if query.isdecimal() and len(query) < _LONGEST_UPDATE_ID:
            found = await self._of_update(int(query))
            if found:
                return found
        start = query.replace("-", "").lower()
        if not _HEX.fullmatch(start):
            return []
        # Tempo's search leaves out the zeros that an ID begins with.
        return await self._beginning(start) or await self._beginning(start.zfill(32))

    async def _beginning(self, start: str) -> list[str]:
        recorded = [*self.recorder.find(start), *await self.traces.by_id(start)]
        if recorded:
            return list(dict.fromkeys(trace.trace_id for trace in recorded))
        rows: list[UpdateFacts | JobFacts] = [
            *await self.rows.updates_of(start),
            *await self.rows.jobs_of(start),
        ]
        return list(dict.fromkeys(row.cid for row in rows))

    async def made(self, message_id: int) -> str | None:
        """The trace that sent a message, or changed it last."""
        found = await self.traces.by_message(message_id)
        return found[0].trace_id if found else None

    async def open(self, cid: str) -> Dossier:
        """The dossier of one trace ID."""
        trace = await self.traces.whole(cid)
        kept = await self.tempo.ask(cid) if self.tempo else None
        numbers = job_numbers(trace) if trace else []
        update = None if numbers else await self._update(cid, trace)
        if numbers or (trace is None and update is None):
            jobs = await self._jobs(numbers) if trace else (await self.rows.jobs_of(cid))[:1]
            related = [jobs[0].created_by] if jobs else []
        else:
            jobs = await self._jobs(jobs_created(trace)) if trace else await self.rows.jobs_asked_by(cid)
            related = [job.cid for job in jobs]
        found = [await self.traces.whole(other) for other in related[:_JOBS_AT_MOST]]
        others = tuple(other for other in found if other is not None)
        return Dossier(cid, trace, update, tuple(jobs[:_JOBS_AT_MOST]), others, kept)

    async def _jobs(self, numbers: Sequence[int]) -> list[JobFacts]:
        found = [await self.rows.job(number) for number in numbers[:_JOBS_AT_MOST]]
        return [job for job in found if job is not None]

    async def _update(self, cid: str, trace: TraceRecord | None) -> UpdateFacts | None:
        if trace is None:
            return next(iter(await self.rows.updates_of(cid)), None)
        number = update_number(trace)
        return await self.rows.update(number) if number is not None else None

    async def _of_update(self, update_id: int) -> list[str]:
        row = await self.rows.update(update_id)
        if row is not None:
            return [row.cid]
        return [trace.trace_id for trace in await self.traces.by_update(update_id)]
