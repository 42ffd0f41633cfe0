"""The inbox of updates, and the lease of the instance that processes them; a trace may have several writers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('waiting', 'running')")
_WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    """Make the two tables, and the one row of the lease."""
    op.create_table(
        "updates",
        sa.Column("update_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("lane", sa.BigInteger),
        sa.Column("body", sa.Text),
        sa.Column("traceparent", sa.String(55), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("hurried", sa.Boolean, nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("handler", sa.String(128)),
        sa.Column("outcome", sa.String(16)),
        sa.Column("reason", sa.String(32)),
        sa.Column("duration_ms", sa.Integer),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'set_aside')", name="updates_state"),
    )
    op.create_index(
        "updates_lane", "updates", ["lane", "update_id"], postgresql_where=_OPEN, sqlite_where=_OPEN
    )
    op.create_index(
        "updates_waiting", "updates", ["update_id"], postgresql_where=_WAITING, sqlite_where=_WAITING
    )
    op.create_index("updates_received_at", "updates", ["received_at"])
    lock = op.create_table(
        "lock_heartbeat",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("holder", sa.String(80)),
        sa.Column("holder_pid", sa.BigInteger),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("last_heartbeat", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("drain_until", sa.Float(53), nullable=False),
        sa.Column("taken_at", sa.Float(53), nullable=False),
        sa.Column("takeover", sa.String(128)),
    )
    nobodys = {"epoch": 0, "last_heartbeat": 0.0, "expires_at": 0.0, "drain_until": 0.0, "taken_at": 0.0}
    op.bulk_insert(lock, [{"name": "updates", **nobodys}])
    _make_traces(sa.Column("writer", sa.String(16), primary_key=True))


def downgrade() -> None:
    """Drop them."""
    _make_traces()
    op.drop_table("lock_heartbeat")
    op.drop_index("updates_received_at", "updates")
    op.drop_index("updates_waiting", "updates")
    op.drop_index("updates_lane", "updates")
    op.drop_table("updates")


def _make_traces(*more: sa.Column[str]) -> None:
    """Make the index of traces anew, empty: it is a memory of some days, which the recorder fills again."""
    op.drop_index("traces_update_id", "traces")
    op.drop_index("traces_started_at", "traces")
    op.drop_table("traces")
    op.create_table(
        "traces",
        sa.Column("trace_id", sa.String(32), primary_key=True),
        *more,
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_id", sa.BigInteger),
        sa.Column("story", sa.Text, nullable=False),
    )
    op.create_index("traces_started_at", "traces", ["started_at"])
    op.create_index("traces_update_id", "traces", ["update_id"])
