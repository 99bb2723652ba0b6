"""The quick part of P7: two packages of each kind with damaged letters in them; ``make proof-damage`` does 100,000 letters."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.rigs.damage import KINDS, Trial, messages
from tests.rigs.every_byte import World, world

SEED = random.SystemRandom().randrange(10**9)


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    with world(SEED) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_letter_costs_no_neighbour_and_is_kept_with_its_bytes(made: World, kind: str) -> None:
    samples = messages()
    for number in range(2):
        name = f"{kind}:{number}"
        print(f"python -m tests.rigs.damage --seed {SEED} --only {name}")
        made.go_back("idle")
        made.restart_box()
        verdict = Trial(made, kind, number, random.Random(f"{SEED}:{name}"), samples).run()
        assert verdict.wrong == [], SEED
        assert verdict.letters > 0
