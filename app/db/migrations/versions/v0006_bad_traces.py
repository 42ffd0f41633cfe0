"""What the lists of `/debug` ask for: which traces failed or were rejected, and how long each took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. An instance of the version before goes on writing rows without them, which no such list shows."""
    op.add_column("traces", sa.Column("bad", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("traces", sa.Column("duration_ms", sa.Float, nullable=False, server_default=sa.text("0")))
    bad = sa.text("bad")
    op.create_index("traces_bad", "traces", ["started_at"], postgresql_where=bad, sqlite_where=bad)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("traces_bad", "traces")
    op.drop_column("traces", "duration_ms")
    op.drop_column("traces", "bad")
