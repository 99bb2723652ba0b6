"""Who was put off at the first try, in the database: for how long, for whom, and how many are remembered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from lokole.mailbox import greylist
from tests.mailbox_world import World

DELAY = timedelta(minutes=5)
BOB, EVE = "a" * 64, "b" * 64


def ask(world: World, key: str = BOB, **later: float) -> bool:
    return greylist.may_pass(world.database, world.tenant, key, DELAY, world.now + timedelta(**later))


def forget(world: World, *, most: int = greylist.MOST_ROWS, **later: float) -> int:
    with world.database.write() as tx:
        return greylist.forget_old(tx, world.now + timedelta(**later), most=most)


def test_who_comes_again_passes_and_goes_on_passing(world: World) -> None:
    assert [ask(world), ask(world, minutes=4.9), ask(world, minutes=5), ask(world, days=3)] == [
        False, False, True, True,
    ]  # fmt: skip
    assert not ask(world, EVE, days=3)


def test_many_at_once_are_one_row(world: World) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(lambda _: ask(world), range(8)))
    assert ask(world, minutes=5)
    assert forget(world, days=400) == 1


def test_who_passed_is_known_for_a_month_after_the_last_letter_and_who_did_not_for_two_days(world: World) -> None:
    ask(world)
    ask(world, minutes=6)
    ask(world, EVE)
    assert forget(world, days=3) == 1
    assert ask(world, days=30)
    assert forget(world, days=60) == 0
    assert ask(world, days=60)
    assert forget(world, days=97) == 1


def test_those_that_came_longest_ago_go_when_there_are_too_many(world: World) -> None:
    for n in range(5):
        ask(world, f"{n:064}", seconds=n)
    assert forget(world, most=2, seconds=5) == 3
    assert [ask(world, f"{n:064}", minutes=6) for n in (4, 3, 2)] == [True, True, False]
