"""What unit tests of several modules begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from lokole.mailbox.migrate import migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of this release, made once."""
    path = tmp_path_factory.mktemp("template") / "lokole.db"
    migrate(f"sqlite:///{path}")
    return path
