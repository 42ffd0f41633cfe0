"""What Alembic runs for each command: it migrates the connection that `app.db.migrate` hands over.

There is no offline mode: a step may look at the data that it changes.
"""

from __future__ import annotations

from alembic import context

from app.db.models import Base

connection = context.config.attributes["connection"]
# SQLite cannot alter a column: batch mode makes a new table there, and is nothing elsewhere.
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
