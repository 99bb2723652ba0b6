from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.server.place import Place, place_in


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A place with the settings that the module names as ``SETTINGS``; the engines make theirs with the same."""
    with place_in(tmp_path, **getattr(request.module, "SETTINGS", {})) as found:
        yield found
