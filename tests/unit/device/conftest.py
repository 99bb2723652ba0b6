"""A box in a folder of its own that meets an exchange in the same process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device.box import Box
from lokole.testing import FrozenClock, make_box


@pytest.fixture(autouse=True)
def _begin_with_a_migrated_database(migrated: Path, tmp_path: Path) -> None:
    shutil.copy(migrated, tmp_path / "lokole.db")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def peer() -> InProcessExchange:
    return InProcessExchange()


@pytest.fixture
def box(tmp_path: Path, clock: FrozenClock, peer: InProcessExchange) -> Iterator[Box]:
    made = make_box(tmp_path, peer=peer, clock=clock)
    yield made
    made.ports.database.close()
