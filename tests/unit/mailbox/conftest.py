"""The mailbox on SQLite: each test has a copy of one migrated file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lokole.mailbox.migrate import migrate
from tests.mailbox_world import database, world

__all__ = ["database", "world"]


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "lokole.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def database_url(_migrated: Path, tmp_path: Path) -> str:
    path = tmp_path / "lokole.db"
    shutil.copy(_migrated, path)
    return f"sqlite:///{path}"
