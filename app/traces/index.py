"""Writes recorded traces to the database and finds them again, by trace ID, update or message.

A trace that went through several processes is put together from what each of them wrote. A loop writes what changed
once a second, so no update waits for it; what a crash takes is the last second. Lists write what changed before they look.
Traces older than the retention are removed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnExpressionArgument, and_, delete, func, select, true
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.db.models import TraceMessageRow, TraceRow
from app.db.session import Database, insert_into
from app.telemetry.again import SendAgain
from app.telemetry.recorder import EventRecord, Recorder, SpanRecord, TraceRecord
from app.telemetry.story import is_bad
from app.telemetry.untraced import untraced
from app.traces.wanted import Wanted

_log = logging.getLogger(__name__)

_WRITE_EVERY_S = 1.0
_PRUNE_EVERY_S = 600.0
#: `/debug` shows eight; a few more for a prefix that is not unique.
_FOUND_AT_MOST = 20
#: Processes that record a part of one trace, at the most: who receives, who processes, who did before.
_WRITERS = 4
#: As many traces are in a list of `/debug`.
_LISTED = 200


class TraceIndex:
    """Traces of every process that shares the database, as far back as the retention.

    With `again`, what the Collector may have dropped is sent to it once more when it is wanted.
    """

    def __init__(
        self, database: Database, recorder: Recorder, retention_h: float, again: SendAgain | None = None
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._wanted = Wanted(self._stored, again) if again else None
        self._retention = timedelta(hours=retention_h)
        self._writer = secrets.token_hex(8)
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Write and prune until cancelled; at the end, write what is left."""
        pruned = -_PRUNE_EVERY_S
        try:
            while True:
                await asyncio.sleep(_WRITE_EVERY_S)
                await self._write()
                if time.monotonic() - pruned >= _PRUNE_EVERY_S:
                    pruned = time.monotonic()
                    await self._prune()
        except asyncio.CancelledError:
            await asyncio.shield(self._write())
            raise

    async def whole(self, cid: str) -> TraceRecord | None:
        """One trace, of what every process wrote and what this one has not written yet."""
        here, stored = self._recorder.find(cid), await self.by_id(cid)
        if here and stored:
            return _with_newer(stored[0], here[0])
        return next(iter(here or stored), None)

    async def by_id(self, start: str) -> list[TraceRecord]:
        """The traces whose id begins with `start`, newest first."""
        # The range is what PostgreSQL can use an index for, whatever its collation; no digit comes after f.
        in_range = and_(TraceRow.trace_id >= start, TraceRow.trace_id < f"{start}g")
        return await self._find(in_range & TraceRow.trace_id.startswith(start, autoescape=True))

    async def newest(self) -> list[TraceRecord]:
        """The last traces of every process, newest first."""
        await self._write()
        return await self._find(true(), _LISTED)

    async def bad(self) -> list[TraceRecord]:
        """The last traces of every process that failed or were rejected, newest first."""
        await self._write()
        # Where a later attempt in another process came to a good end, the whole is not bad.
        return [trace for trace in await self._find(TraceRow.bad, _LISTED) if is_bad(trace)]

    async def slowest(self, since: datetime) -> list[TraceRecord]:
        """The traces of every process that took longest, of those that started since then; the longest first."""
        await self._write()
        found = await self._find(TraceRow.started_at >= since, _LISTED, TraceRow.duration_ms)
        return sorted(found, key=lambda trace: -trace.duration_ms)

    async def by_update(self, update_id: int) -> list[TraceRecord]:
        """The trace of an update."""
        await self._write()
        return await self._find(TraceRow.update_id == update_id)

    async def by_message(self, message_id: int) -> list[TraceRecord]:
        """The traces that sent or edited a message; the one that did so last is the first."""
        await self._write()
        touched = select(TraceMessageRow.trace_id).where(TraceMessageRow.message_id == message_id)
        found = await self._find(TraceRow.trace_id.in_(touched))
        return sorted(found, key=lambda trace: -_touched_ns(trace, message_id))

    async def _stored(self, cid: str) -> TraceRecord | None:
        return next(iter(await self.by_id(cid)), None)

    async def _find(
        self,
        wanted: ColumnExpressionArgument[bool],
        most: int = _FOUND_AT_MOST,
        first: InstrumentedAttribute[Any] = TraceRow.started_at,
    ) -> list[TraceRecord]:
        # The first rows by an index, and only then the traces that they are of: there may be millions of either.
        rows = (
            select(TraceRow.trace_id, first.label("first"))
            .where(wanted)
            .order_by(first.desc())
            .limit(most * _WRITERS)
            .subquery()
        )
        chosen = (
            select(rows.c.trace_id)
            .group_by(rows.c.trace_id)
            .order_by(func.max(rows.c.first).desc())
            .limit(most)
        )
        async with self._database.reading() as session:
            ids = (await session.scalars(chosen)).all()
            parts = select(TraceRow.story).where(TraceRow.trace_id.in_(ids)).order_by(TraceRow.started_at)
            stories = (await session.scalars(parts)).all()
        read = await asyncio.to_thread(lambda: [*map(_read, stories)])
        return [_together([part for part in read if part.trace_id == trace_id]) for trace_id in ids]

    async def _write(self) -> None:
        async with self._writing:
            await self._write_changed()

    async def _write_changed(self) -> None:
        # In a thread: at hundreds of updates a second this is some ten milliseconds of work.
        taking = asyncio.get_running_loop().run_in_executor(None, self._changed)
        try:
            traces, rows = await asyncio.shield(taking)
            if traces:
                with untraced():
                    await self._store(traces, rows)
                    _log.debug("%d traces were written to the index", len(traces))
                    if self._wanted is not None:
                        await self._wanted.among(traces)
        except (Exception, asyncio.CancelledError) as error:
            # Next time, as far as they are still in memory: an index may have gaps, an update may not wait.
            traces, _ = await taking
            self._recorder.put_back([trace.trace_id for trace in traces])
            if isinstance(error, asyncio.CancelledError):
                raise
            _log.exception("traces could not be written to the index")

    async def _store(self, traces: Sequence[TraceRecord], rows: list[dict[str, Any]]) -> None:
        try:
            async with self._database.transaction() as session:
                await _upsert(session, rows, traces)
        except _REFUSED as error:
            if not _is_of_a_row(error):
                raise
            await self._store_each(traces, rows)

    async def _store_each(self, traces: Sequence[TraceRecord], rows: list[dict[str, Any]]) -> None:
        """One that the database refuses must not keep the others out."""
        for trace, row in zip(traces, rows, strict=True):
            try:
                async with self._database.transaction() as session:
                    await _upsert(session, [row], [trace])
            except _REFUSED as error:
                if not _is_of_a_row(error):
                    raise
                _log.warning("a trace is missing from the index: the database refuses it")

    def _changed(self) -> tuple[list[TraceRecord], list[dict[str, Any]]]:
        """What is to be written. Never raises: the loop would end, and the bot with it."""
        try:
            traces = self._recorder.take_changed()
            return traces, [_row(trace, self._writer) for trace in traces]
        except Exception:  # to put them back would only fail again, and hold up those that come later
            _log.exception("traces could not be read, and are missing from the index")
            return [], []

    async def _prune(self) -> None:
        old = datetime.now(UTC) - self._retention
        try:
            with untraced():
                async with self._database.transaction() as session:
                    gone = select(TraceRow.trace_id).where(TraceRow.started_at < old)
                    await session.execute(delete(TraceMessageRow).where(TraceMessageRow.trace_id.in_(gone)))
                    await session.execute(delete(TraceRow).where(TraceRow.started_at < old))
            _log.debug("traces from before %s were removed from the index", old.isoformat(timespec="seconds"))
        except Exception:
            _log.exception("old traces could not be removed from the index")


#: Chats whose messages are numbered by themselves; those of all others are one sequence (core.telegram.org/api/updates).
_NUMBERED_APART = ("supergroup", "channel")
#: SQLite's driver raises the second for a number beyond 64 bits.
_REFUSED = (DBAPIError, OverflowError)


def _is_of_a_row(error: Exception) -> bool:
    """Whether it says something about the values, and not about the database."""
    if type(error) is DBAPIError:  # what asyncpg says of a value before it sends it
        return not error.connection_invalidated
    return isinstance(error, DataError | IntegrityError | OverflowError)


def _with_newer(stored: TraceRecord, here: TraceRecord) -> TraceRecord:
    """What every process wrote, and what this one has not written yet."""
    written = {span.span_id for span in stored.spans}
    told = {(event.at_ns, event.name) for event in stored.events}
    spans = [*stored.spans, *(span for span in here.spans if span.span_id not in written)]
    events = [*stored.events, *(event for event in here.events if (event.at_ns, event.name) not in told)]
    dropped = max(stored.dropped_spans, here.dropped_spans)
    return TraceRecord(here.trace_id, spans, sorted(events, key=lambda event: event.at_ns), dropped)


def _together(parts: Sequence[TraceRecord]) -> TraceRecord:
    """One trace of what several processes recorded of it."""
    return TraceRecord(
        parts[0].trace_id,
        [span for part in parts for span in part.spans],
        sorted((event for part in parts for event in part.events), key=lambda event: event.at_ns),
        sum(part.dropped_spans for part in parts),
    )


async def _upsert(session: AsyncSession, rows: list[dict[str, Any]], traces: Sequence[TraceRecord]) -> None:
    statement = insert_into(session, TraceRow)
    names = ("story", "update_id", "started_at", "bad", "duration_ms")
    changed = {name: statement.excluded[name] for name in names}
    await session.execute(
        statement.on_conflict_do_update(index_elements=["trace_id", "writer"], set_=changed), rows
    )
    messages = [{"trace_id": t.trace_id, "message_id": m} for t in traces for m in sorted(_messages(t))]
    if messages:
        await session.execute(insert_into(session, TraceMessageRow).on_conflict_do_nothing(), messages)


def _row(trace: TraceRecord, writer: str) -> dict[str, Any]:
    update = trace.root.attributes
    is_update = update.get("messaging.system") == "telegram"
    return {
        "trace_id": trace.trace_id,
        "writer": writer,
        "started_at": datetime.fromtimestamp(trace.root.start_ns / 1e9, UTC),
        "update_id": int(update["messaging.message.id"]) if is_update else None,
        "bad": is_bad(trace),
        "duration_ms": trace.duration_ms,
        "story": json.dumps(
            {
                "trace_id": trace.trace_id,
                "spans": [asdict(span) for span in trace.spans],
                "events": [asdict(event) for event in trace.events],
                "dropped_spans": trace.dropped_spans,
            },
            default=str,
        ),
    }


def _messages(trace: TraceRecord) -> Iterable[int]:
    """The messages that it sent or changed, without those whose number stands for others, too: `/debug` is asked in private."""
    return {
        span.attributes["telegram.message.id"]
        for span in trace.spans
        if "telegram.message.id" in span.attributes
        and span.attributes.get("telegram.chat.type") not in _NUMBERED_APART
    }


def _touched_ns(trace: TraceRecord, message_id: int) -> int:
    ends = (s.end_ns for s in trace.spans if s.attributes.get("telegram.message.id") == message_id)
    return max(ends, default=0)


def _read(story: str) -> TraceRecord:
    values = json.loads(story)
    spans = [
        SpanRecord(**{**span, "linked_traces": tuple(span["linked_traces"])}) for span in values["spans"]
    ]
    events = [EventRecord(**event) for event in values["events"]]
    return TraceRecord(values["trace_id"], spans, events, values["dropped_spans"])
