"""The table of jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "jobs",
        sa.Column("id", _BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("chat_id", sa.BigInteger, nullable=False),
        sa.Column("reply_to_message_id", sa.BigInteger, nullable=False),
        sa.Column("progress_message_id", sa.BigInteger, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("bitrate", sa.Integer, nullable=False),
        sa.Column("traceparent", sa.String(55), nullable=False),
        sa.Column("created_by", sa.String(55), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(64)),
        sa.Column("lease_until", _MOMENT),
        sa.Column("available_at", _MOMENT, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("finished_at", _MOMENT),
        sa.Column("reason", sa.String(32)),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed')", name="jobs_state"),
    )
    op.create_index("jobs_claim", "jobs", ["state", "available_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("jobs_claim", "jobs")
    op.drop_table("jobs")
