"""Every mutant still finds its text; that each is caught is for ``make mutants``."""

from __future__ import annotations

import ast

import pytest

from tests.rigs.mutant_list import MUTANTS, Mutant
from tests.rigs.mutants import ROOT, apply


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_of_a_mutant_is_there_once_and_what_replaces_it_is_python(mutant: Mutant) -> None:
    changed = apply(mutant, ROOT)
    assert changed is not None, (
        f"{mutant.file} has the text of “{mutant.name}” not exactly once: the list has to follow the code"
    )
    ast.parse(changed)
    for test in mutant.tests:
        file, *names = test.split("::")
        text = (ROOT / file).read_text() if (ROOT / file).is_file() else ""
        assert (ROOT / file).exists(), test
        assert all(f" {name.partition('[')[0]}" in text for name in names), test


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTANTS) >= 30
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
