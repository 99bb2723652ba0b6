"""The mailbox on a real PostgreSQL: one migrated database, emptied after each test (copying one costs a third of a second)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from lokole.mailbox.database import Database
from lokole.mailbox.schema import metadata
from tests.mailbox_world import database, world
from tests.servers import Postgres

__all__ = ["database", "world"]


@pytest.fixture(scope="session")
def _emptied(postgres_server: Postgres, postgres_template: str) -> str:
    return postgres_server.new_database(postgres_template)


@pytest.fixture
def database_url(_emptied: str) -> Iterator[str]:
    yield _emptied
    opened = Database(_emptied)
    with opened.write() as tx:
        tx.execute(text("DELETE FROM letter_words"))
        for table in reversed(metadata.sorted_tables):
            tx.execute(table.delete())
    opened.close()
