"""Each feature of the pages and of the server has a row, and each row names tests that use it."""

from __future__ import annotations

import pytest

from tests.unit.house.repository import ROOT, code_spans, tables
from tests.unit.house.test_failures import missing

ROWS = list(tables((ROOT / "docs/features.md").read_text()))
IDS = [
    *(f"A{n}" for n in (*range(1, 74), *range(82, 90), *range(116, 167))),
    *("B8", "B11", "B12", "B15", "B16", "B22", "B23", "B24", "B25", "B26", "B33", "C9", "C13", "D"),
]


def test_each_feature_has_one_row() -> None:
    assert [row[0] for row in ROWS] == IDS
    assert all(row[1] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_tests_that_are_there(row: list[str]) -> None:
    names = code_spans(row[2])
    assert names, "a feature that no test uses"
    assert not [name for name in names if missing(name)]
