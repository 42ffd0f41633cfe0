"""The index of recorded traces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make its two tables."""
    op.create_table(
        "traces",
        sa.Column("trace_id", sa.String(32), primary_key=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_id", sa.BigInteger),
        sa.Column("story", sa.Text, nullable=False),
    )
    op.create_index("traces_started_at", "traces", ["started_at"])
    op.create_index("traces_update_id", "traces", ["update_id"])
    op.create_table(
        "trace_messages",
        sa.Column("message_id", sa.BigInteger, primary_key=True),
        sa.Column("trace_id", sa.String(32), primary_key=True),
    )
    op.create_index("trace_messages_trace_id", "trace_messages", ["trace_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("trace_messages_trace_id", "trace_messages")
    op.drop_table("trace_messages")
    op.drop_index("traces_update_id", "traces")
    op.drop_index("traces_started_at", "traces")
    op.drop_table("traces")
