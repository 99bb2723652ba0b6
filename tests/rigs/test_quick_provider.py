"""The quick part of P5: some letters by each way out, handed to somebody who fails; ``make proof-provider`` does 2,000 times as much."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.rigs.every_byte import World
from tests.rigs.provider import WAYS, Other, run, ways

SEED = random.SystemRandom().randrange(10**9)


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, tuple[World, Other]]]:
    with ways(SEED) as found:
        yield found


@pytest.mark.parametrize("way", WAYS)
def test_whatever_the_other_side_does_nothing_is_lost_and_the_writer_hears_of_it(
    made: dict[str, tuple[World, Other]], way: str
) -> None:
    for number in range(3):
        print(f"python -m tests.rigs.provider --seed {SEED} --only {way}:{number}")
        outcome = run(*made[way], way, random.Random(f"{SEED}:{way}:{number}"))
        assert outcome.wrong == [], SEED
        assert outcome.recipients > 0
