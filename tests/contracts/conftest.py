"""Real servers for the contract tests, one of each per run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lokole.mailbox.database import Database
from lokole.mailbox.migrate import migrate
from lokole.server.emptying import empty
from tests.servers import S3, Azurite, Postgres, azurite, postgres, s3


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
def emptied_database(postgres_server: Postgres, postgres_template: str) -> str:
    """One migrated database for many tests, each of which leaves it empty (copying one costs a third of a second)."""
    return postgres_server.new_database(postgres_template)


@pytest.fixture
def emptied_url(emptied_database: str) -> Iterator[str]:
    """The same, emptied after the test."""
    yield emptied_database
    empty_again(emptied_database)


def empty_again(url: str) -> None:
    opened = Database(url)
    empty(opened, [], with_what_waits=True)
    opened.close()


@pytest.fixture(scope="session")
def azurite_server() -> Iterator[Azurite]:
    with azurite() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    with s3() as server:
        yield server
