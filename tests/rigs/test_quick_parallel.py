"""The quick part of P10 with processes; ``make proof-machines`` does 200 trials besides its machines."""

from __future__ import annotations

import pytest

from tests.rigs.test_quick_rigs import run

pytestmark = pytest.mark.e2e


def test_many_exchanges_and_writers_at_once_lose_and_double_nothing() -> None:
    result = run("parallel", "--trials", "2")
    assert result["trials"] >= 1
    assert (result["bad"], result["lost"], result["doubled"]) == (0, 0, 0)
