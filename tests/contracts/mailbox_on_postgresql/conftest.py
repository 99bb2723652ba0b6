"""The mailbox on a real PostgreSQL."""

from __future__ import annotations

import pytest

from tests.mailbox_world import database, world

__all__ = ["database", "world"]


@pytest.fixture
def database_url(emptied_url: str) -> str:
    return emptied_url
