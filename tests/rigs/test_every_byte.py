"""The quick part of P4: some offsets of every stream, and some over a real connection."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.rigs.every_byte import SIDES, Cut, World, cuts, over_tcp, world


@pytest.fixture(scope="module")
def seed() -> int:
    found = random.SystemRandom().randrange(10**9)
    print(f"seed {found}")
    return found


@pytest.fixture(scope="module")
def made(seed: int) -> Iterator[World]:
    with world(seed) as found:
        yield found


def test_a_visit_that_is_cut_after_any_byte_loses_and_doubles_nothing(made: World, seed: int) -> None:
    lengths = made.lengths()
    some = [cut for cut in cuts(lengths, every=1499, first=seed) if cut.at]
    # the borders: before and after the last byte of a stream, and of a chunk
    some += [Cut(way, side, lengths[way, side] - 1) for way in SIDES for side in SIDES]
    dice = random.Random(seed)
    for cut in some:
        assert made.run(cut, replay=dice.random() < 0.1) == [], (seed, cut)


def test_a_real_connection_that_is_cut_loses_and_doubles_nothing(made: World, seed: int) -> None:
    some = random.Random(seed).sample(cuts(made.lengths()), 8)
    with over_tcp(made, seed) as connected:
        for cut in some:
            assert connected.run(cut) == [], (seed, cut)


def test_a_visit_with_nothing_to_say_is_one_request_of_at_most_600_bytes_both_ways(made: World, seed: int) -> None:
    made.go_back("idle")
    with over_tcp(made, seed) as connected:
        report = connected.box.sync()
        told = connected.told
    assert report.result == "ok"
    assert told.connections == 1
    assert 300 < told.up + told.down <= 600, (told.up, told.down)
    assert (report.bytes_up, report.bytes_down) == (told.up, told.down)
