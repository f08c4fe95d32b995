"""Alembic's entry: runs the versions on the connection that `app.base.migrations` hands over."""

from __future__ import annotations

from alembic import context

from app.ops.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
