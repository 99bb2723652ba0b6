"""Alembic's entry point; ``mailbox/migrate.py`` hands it an open transaction, and nothing here opens one."""

from __future__ import annotations

from alembic import context

from lokole.mailbox.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # the caller's transaction holds every step, so that a cut leaves the old schema or the new one
    transactional_ddl=False,
    transaction_per_migration=False,
)
context.run_migrations()
