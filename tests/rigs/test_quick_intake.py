"""The quick part of P6; ``make proof-intake`` does 1,000 trials."""

from __future__ import annotations

import pytest

from tests.rigs.test_quick_rigs import run

pytestmark = pytest.mark.e2e


def test_what_was_answered_with_yes_is_there_once_whatever_broke() -> None:
    result = run("intake", "--trials", "10")
    assert result["trials"] >= 1
    assert (result["bad"], result["lost"], result["doubled"]) == (0, 0, 0)
