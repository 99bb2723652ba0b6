"""Real servers for the contract tests, one of each per run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lokole.mailbox.migrate import migrate
from tests.servers import Azurite, Postgres, azurite, postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Postgres) -> str:
    """A migrated database that tests copy and nobody opens."""
    url = postgres_server.new_database()
    migrate(url)
    return url


@pytest.fixture(scope="session")
def azurite_server() -> Iterator[Azurite]:
    with azurite() as server:
        yield server
