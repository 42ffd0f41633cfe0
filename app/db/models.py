"""The tables. `migrations/versions` holds the same as steps; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, Integer, String, Text, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets the zone; this puts it back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give a moment from SQLite its zone."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a moment without a zone: it would mean another time on each machine."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment needs its zone")
        return value


class Base(DeclarativeBase):
    """The parent of all tables."""


class JobState(StrEnum):
    """queued -> running -> done | failed; running -> queued when it is tried again or its worker is gone."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


_BIG_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself


class JobRow(Base):
    """One thing that a user asked for. `traceparent` is the job's own trace, `created_by` the update that made it."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="jobs_state"),
        Index("jobs_claim", "state", "available_at"),
    )

    id: Mapped[int] = mapped_column(_BIG_ID, primary_key=True, autoincrement=True)
    state: Mapped[str] = mapped_column(String(16), default=JobState.QUEUED)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    reply_to_message_id: Mapped[int] = mapped_column(BigInteger)
    progress_message_id: Mapped[int] = mapped_column(BigInteger)
    language: Mapped[str] = mapped_column(String(8))
    url: Mapped[str] = mapped_column(Text)
    bitrate: Mapped[int] = mapped_column(Integer)
    traceparent: Mapped[str] = mapped_column(String(55))
    created_by: Mapped[str] = mapped_column(String(55))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    worker: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(String(32))


class TraceRow(Base):
    """One recorded trace. `story` is its spans and events as JSON, scrubbed before they were recorded."""

    __tablename__ = "traces"
    __table_args__ = (Index("traces_started_at", "started_at"), Index("traces_update_id", "update_id"))

    trace_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    update_id: Mapped[int | None] = mapped_column(BigInteger)
    story: Mapped[str] = mapped_column(Text)


class TraceMessageRow(Base):
    """A message that a trace sent or edited."""

    __tablename__ = "trace_messages"
    __table_args__ = (Index("trace_messages_trace_id", "trace_id"),)

    message_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    trace_id: Mapped[str] = mapped_column(String(32), primary_key=True)
