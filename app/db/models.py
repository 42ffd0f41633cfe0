"""The tables. `migrations/versions` holds the same as steps; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Float,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    false,
    text,
)
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
    """What one process recorded of one trace: spans and events as JSON in `story`, scrubbed before.

    A trace that went through several processes has a row for each `writer`.
    """

    __tablename__ = "traces"
    __table_args__ = (
        Index("traces_started_at", "started_at"),
        Index("traces_update_id", "update_id"),
        Index("traces_bad", "started_at", postgresql_where=text("bad"), sqlite_where=text("bad")),
    )

    trace_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    writer: Mapped[str] = mapped_column(String(16), primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    update_id: Mapped[int | None] = mapped_column(BigInteger)
    #: Failed or rejected, as far as this writer knows.
    bad: Mapped[bool] = mapped_column(server_default=false())
    duration_ms: Mapped[float] = mapped_column(server_default=text("0"))
    story: Mapped[str] = mapped_column(Text)


class TraceMessageRow(Base):
    """A message that a trace sent or edited."""

    __tablename__ = "trace_messages"
    __table_args__ = (Index("trace_messages_trace_id", "trace_id"),)

    message_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    trace_id: Mapped[str] = mapped_column(String(32), primary_key=True)


class UpdateState(StrEnum):
    """waiting -> running -> done | set_aside; running -> waiting when it is tried again or its leader is gone."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SET_ASIDE = "set_aside"


_OPEN = text("state IN ('waiting', 'running')")
_WAITING = text("state = 'waiting'")


class UpdateRow(Base):
    """One update of Telegram: inbox, memory of duplicates and index. `body` and `lane` are gone when it is done.

    `traceparent` is its receipt, `lane` the chat that it stays in order with, `epoch` the leader that runs it. Of its
    `attempts`, `failures` failed in a way that does not pass by itself, and `deaths` ended with their process.
    """

    __tablename__ = "updates"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'running', 'done', 'set_aside')", name="updates_state"),
        Index("updates_lane", "lane", "update_id", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index("updates_waiting", "update_id", postgresql_where=_WAITING, sqlite_where=_WAITING),
        Index("updates_received_at", "received_at"),
    )

    update_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(32))
    lane: Mapped[int | None] = mapped_column(BigInteger)
    body: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str] = mapped_column(String(55))
    state: Mapped[str] = mapped_column(String(16))
    epoch: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    deaths: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    hurried: Mapped[bool] = mapped_column(Boolean)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    handler: Mapped[str | None] = mapped_column(String(128))
    outcome: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    duration_ms: Mapped[int | None] = mapped_column(Integer)


class ActiveUserRow(Base):
    """When a person was last seen. `user_hash` is keyed, and `key_id` says by which key; gone after 30 days."""

    __tablename__ = "active_users"
    __table_args__ = (Index("active_users_last_seen", "last_seen"),)

    user_hash: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key_id: Mapped[int] = mapped_column(Integer)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)


class SwitchRow(Base):
    """What is switched on for a while in every process; `until` is seconds since the epoch by the database's clock."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    until: Mapped[float] = mapped_column(Float(53))


class LockRow(Base):
    """The one row that says which instance is ACTIVE. Times are seconds since the epoch by the database's clock."""

    __tablename__ = "lock_heartbeat"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str | None] = mapped_column(String(80))
    holder_pid: Mapped[int | None] = mapped_column(BigInteger)
    epoch: Mapped[int] = mapped_column(BigInteger)
    last_heartbeat: Mapped[float] = mapped_column(Float(53))
    expires_at: Mapped[float] = mapped_column(Float(53))
    drain_until: Mapped[float] = mapped_column(Float(53))
    taken_at: Mapped[float] = mapped_column(Float(53))
    takeover: Mapped[str | None] = mapped_column(String(128))
