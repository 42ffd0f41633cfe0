"""Who was seen lately, as keyed hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "active_users",
        sa.Column("user_hash", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key_id", sa.Integer, nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("active_users_last_seen", "active_users", ["last_seen"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("active_users_last_seen", "active_users")
    op.drop_table("active_users")
