"""Writes recorded traces to the database and finds them again, by trace ID, update or message.

A loop writes what changed once a second, so no update waits for it; what a crash takes is the last second. Traces older
than the retention are removed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import TraceMessageRow, TraceRow
from app.db.session import Database
from app.telemetry.recorder import EventRecord, Recorder, SpanRecord, TraceRecord
from app.telemetry.untraced import untraced

_log = logging.getLogger(__name__)

_WRITE_EVERY_S = 1.0
_PRUNE_EVERY_S = 600.0
#: `/debug` shows eight; a few more for a prefix that is not unique.
_FOUND_AT_MOST = 20


class TraceIndex:
    """Traces of every process that shares the database, as far back as the retention."""

    def __init__(self, database: Database, recorder: Recorder, retention_h: float) -> None:
        self._database = database
        self._recorder = recorder
        self._retention = timedelta(hours=retention_h)

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

    async def by_id(self, start: str) -> list[TraceRecord]:
        """The traces whose id begins with `start`, newest first."""
        return await self._find(TraceRow.trace_id.startswith(start, autoescape=True))

    async def by_update(self, update_id: int) -> list[TraceRecord]:
        """The trace of an update."""
        return await self._find(TraceRow.update_id == update_id)

    async def by_message(self, message_id: int) -> list[TraceRecord]:
        """The traces that sent or edited a message, newest first."""
        touched = select(TraceMessageRow.trace_id).where(TraceMessageRow.message_id == message_id)
        return await self._find(TraceRow.trace_id.in_(touched))

    async def _find(self, wanted: ColumnElement[bool]) -> list[TraceRecord]:
        newest = (
            select(TraceRow.story).where(wanted).order_by(TraceRow.started_at.desc()).limit(_FOUND_AT_MOST)
        )
        async with self._database.reading() as session:
            return [_read(story) for story in await session.scalars(newest)]

    async def _write(self) -> None:
        traces = self._recorder.take_changed()
        if not traces:
            return
        try:
            with untraced():
                async with self._database.transaction() as session:
                    await _upsert(session, traces)
        except Exception:
            # They are still in memory, and change again or not: an index may have gaps, an update may not wait.
            _log.exception("traces could not be written to the index")

    async def _prune(self) -> None:
        old = datetime.now(UTC) - self._retention
        try:
            with untraced():
                async with self._database.transaction() as session:
                    gone = select(TraceRow.trace_id).where(TraceRow.started_at < old)
                    await session.execute(delete(TraceMessageRow).where(TraceMessageRow.trace_id.in_(gone)))
                    await session.execute(delete(TraceRow).where(TraceRow.started_at < old))
        except Exception:
            _log.exception("old traces could not be removed from the index")


async def _upsert(session: AsyncSession, traces: Sequence[TraceRecord]) -> None:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(TraceRow)
    changed = {name: statement.excluded[name] for name in ("story", "update_id", "started_at")}
    await session.execute(
        statement.on_conflict_do_update(index_elements=["trace_id"], set_=changed), [_row(t) for t in traces]
    )
    messages = [{"trace_id": t.trace_id, "message_id": m} for t in traces for m in sorted(_messages(t))]
    if messages:
        await session.execute(insert(TraceMessageRow).on_conflict_do_nothing(), messages)


def _row(trace: TraceRecord) -> dict[str, Any]:
    update = trace.root.attributes
    is_update = update.get("messaging.system") == "telegram"
    return {
        "trace_id": trace.trace_id,
        "started_at": datetime.fromtimestamp(trace.root.start_ns / 1e9, UTC),
        "update_id": int(update["messaging.message.id"]) if is_update else None,
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
    return {s.attributes["telegram.message.id"] for s in trace.spans if "telegram.message.id" in s.attributes}


def _read(story: str) -> TraceRecord:
    values = json.loads(story)
    spans = [
        SpanRecord(**{**span, "linked_traces": tuple(span["linked_traces"])}) for span in values["spans"]
    ]
    events = [EventRecord(**event) for event in values["events"]]
    return TraceRecord(values["trace_id"], spans, events, values["dropped_spans"])
