"""The quick part of P22: one trial of each kind; ``make proof-twins`` does 1,000."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.rigs.every_byte import World, world
from tests.rigs.twins import KINDS, Trial

SEED = random.SystemRandom().randrange(10**9)


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    with world(SEED) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_old_disks_and_copied_cards_lose_and_double_nothing_and_somebody_is_told(made: World, kind: str) -> None:
    print(f"python -m tests.rigs.twins --seed {SEED} --only {kind}:0")
    trial = Trial(made, kind, random.Random(f"{SEED}:{kind}:0"))
    trial.run()
    assert trial.wrong == [], SEED
