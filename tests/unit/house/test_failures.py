"""Each way in which the first Lokole failed has a row, and each row names tests that are there."""

from __future__ import annotations

import ast
import re

import pytest

from lokole.testing import shared_dir
from tests.unit.house.repository import ROOT, code_spans, tables

PAGE = ROOT / "docs/failures-of-the-first-lokole.md"
ROWS = list(tables(PAGE.read_text()))
IDS = [*(f"L{n}" for n in range(1, 19)), *(f"D{n}" for n in range(1, 9)), *(f"A{n}" for n in range(1, 20)), "G"]


def named_tests(row: list[str]) -> list[str]:
    return [span for span in code_spans(row[3]) if span.startswith("tests/")]


def missing(name: str) -> bool:
    """Whether no test of that name (path::function) is there."""
    path, _, function = name.partition("::")
    if not (ROOT / path).is_file():
        return True
    found = ast.walk(ast.parse((ROOT / path).read_text()))
    return not any(isinstance(one, ast.FunctionDef) and one.name == function for one in found)


def test_each_failure_has_one_row() -> None:
    assert [row[0] for row in ROWS] == IDS
    assert all(row[1] and row[2] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_tests_that_are_there(row: list[str]) -> None:
    names = named_tests(row)
    assert names, "a failure without a test"
    assert not [name for name in names if missing(name)]


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert missing("tests/unit/house/test_failures.py::test_nothing")
    assert missing("tests/unit/nowhere.py::test_a_row_names_tests_that_are_there")
    assert not missing("tests/unit/house/test_failures.py::test_a_row_names_tests_that_are_there")


def test_no_failure_that_was_found_is_left_out() -> None:
    folder = shared_dir()
    if folder is None or not (folder / "properties.md").is_file():
        pytest.skip("the list of what was found is not here")
    text = (folder / "properties.md").read_text().partition("## 2.")[0]
    assert re.findall(r"^\| ([LDA]\d+) \|", text, re.MULTILINE) == IDS[:-1]
