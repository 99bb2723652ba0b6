"""Every test of answers to letters to services, once more on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lokole.config import Url
from tests.unit.server.place import Place, place_in
from tests.unit.server.test_answering import *  # noqa: F403

pytestmark = pytest.mark.e2e


@pytest.fixture  # in place of the one on SQLite
def place(tmp_path: Path, emptied_url: str) -> Iterator[Place]:
    with place_in(tmp_path, database=Url(emptied_url), bots=("help", "echo"), bots_per_day=3) as found:
        yield found
