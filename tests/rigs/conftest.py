"""A migrated database to begin with, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lokole.mailbox.migrate import migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "lokole.db"
    migrate(f"sqlite:///{path}")
    return path
