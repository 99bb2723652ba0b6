"""A clock that ran ahead and came back keeps nobody out."""

from __future__ import annotations

from datetime import timedelta

from lokole.mailbox import limits
from tests.mailbox_world import World

MINUTE = timedelta(minutes=1)


def test_windows_of_a_clock_that_ran_ahead_are_over(world: World) -> None:
    ahead = world.now + timedelta(days=4000)
    with world.database.write() as tx:
        for _ in range(3):
            limits.add_count(tx, "a", MINUTE, ahead)
            assert limits.take_place(tx, "b", 3, MINUTE, ahead) is not None
        assert limits.take_place(tx, "b", 3, MINUTE, ahead) is None
        assert limits.get_count(tx, "a", ahead) == 3
        assert limits.get_count(tx, "a", world.now) == 0
        assert limits.get_expiry(tx, "a", world.now) == world.now
        assert limits.take_place(tx, "b", 3, MINUTE, world.now) == 2
        assert limits.add_count(tx, "a", MINUTE, world.now) == 1
        assert limits.add_count(tx, "a", MINUTE, world.now + timedelta(seconds=1)) == 2
