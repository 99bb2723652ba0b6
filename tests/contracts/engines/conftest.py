"""Places whose work is done by each engine, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lokole.config import Url
from tests.contracts.engines.engine import Consumer, rows, use
from tests.servers_broker import RabbitMq, rabbitmq
from tests.unit.server.place import Place, place_in

ENGINES = ("rows", "celery", "celery-postgresql")


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMq]:
    with rabbitmq() as broker:
        yield broker


@pytest.fixture(scope="session")
def consumer(rabbitmq_server: RabbitMq) -> Iterator[Consumer]:
    with Consumer(rabbitmq_server.new_queue()).running() as found:
        yield found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every engine in turn; a module may name fewer as ``ENGINES``."""
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", getattr(metafunc.module, "ENGINES", ENGINES), indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    changes: dict[str, Any] = dict(getattr(request.module, "SETTINGS", {}))
    if request.param.endswith("postgresql"):
        changes["database"] = Url(request.getfixturevalue("emptied_url"))
    engine = rows if request.param == "rows" else request.getfixturevalue("consumer")
    with place_in(tmp_path, **changes) as found:
        use(found, engine)
        yield found
