"""Alembic's entry: it runs on the connection that `upgrade` opened, inside that connection's transaction."""

from __future__ import annotations

from alembic import context

from recon_pipeline.stores.migrations import SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=SCHEMA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
