"""Which of an update's attempts failed for good, and which ended with their process."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = ("failures", "deaths")


def upgrade() -> None:
    """Add the columns. An instance of the version before goes on writing rows without them."""
    for name in _COLUMNS:
        op.add_column("updates", sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    """Drop them."""
    for name in _COLUMNS:
        op.drop_column("updates", name)
