"""Which letters each package carried and both ends hold, and over which of them they compare."""

from __future__ import annotations

from datetime import timedelta

from lokole.mailbox import held, packages
from lokole.mailbox.database import Connection
from lokole.mailbox.held import PackedLetter
from lokole.sync.digest import package_digest
from lokole.sync.records import Window
from tests.mailbox_world import World


def _package(
    world: World, tx: Connection, seq: int, state: str = "acknowledged", direction: str = "up", epoch: int = 7
) -> int:
    return packages.add_package(
        tx,
        world.tenant,
        epoch=epoch,
        direction=direction,
        seq=seq,
        sha256=f"{epoch:02x}{seq & 0xFFFF:062x}",
        size=1,
        type="x",
        blob="b",
        letters=0,
        state=state,
        now=world.now,
    )


def _letters(world: World, tx: Connection, count: int) -> list[PackedLetter]:
    return [PackedLetter(n + 1, bytes([n]) * 16, world.incoming(tx, [world.ann])) for n in range(count)]


def test_a_letter_is_noted_once_in_each_package_that_carried_it(world: World) -> None:
    with world.database.write() as tx:
        rows = _letters(world, tx, 3)
        first, second = _package(world, tx, 1), _package(world, tx, 2)
        for _ in range(2):
            held.note_packed_letters(tx, world.tenant, first, rows)
        held.note_packed_letters(tx, world.tenant, second, rows[:1])
        held.note_packed_letters(tx, world.tenant, second, [])
        assert held.packed_letters(tx, first) == rows
        found = held.digests(tx, world.tenant, ["acknowledged"])
        assert [(one.seq, one.count, one.xor) for one in found] == [
            (1, 3, package_digest("up", 7, 1, [one.id for one in rows]).xor),
            (2, 1, rows[0].id),
        ]


def test_what_was_told_and_what_was_withdrawn_count_no_more(world: World) -> None:
    with world.database.write() as tx:
        rows = _letters(world, tx, 3)
        first = _package(world, tx, 1)
        held.note_packed_letters(tx, world.tenant, first, rows)
        assert held.not_held(tx, first, 2) == [rows[1].email]
        assert held.not_held(tx, first, 2) == []
        assert held.packed_letters(tx, first) == [rows[0], rows[2]]
        assert sorted(held.not_held(tx, first)) == [rows[0].email, rows[2].email]
        (left,) = held.digests(tx, world.tenant, ["acknowledged"])
        assert (left.count, left.xor) == (0, bytes(16)), "a package without letters counts as one"
        held.note_packed_letters(tx, world.tenant, first, rows)
        packages.withdraw_package(tx, first, world.now)
        assert held.digests(tx, world.tenant, ["acknowledged"]) == []
        assert held.packed_letters(tx, first) == []


def test_digests_are_of_one_tenant_of_some_states_and_of_the_windows_asked_for(world: World) -> None:
    with world.database.write() as tx:
        for seq, state in ((1, "acknowledged"), (2, "built"), (3, "acknowledged")):
            _package(world, tx, seq, state)
        _package(world, tx, 3, direction="down")
        _package(world, tx, -1), _package(world, tx, 3, epoch=8)

        def found(*windows: Window, states: tuple[str, ...] = ("acknowledged",)) -> list[tuple[str, int, int]]:
            rows = held.digests(tx, world.tenant, states, windows=windows)
            return [(one.direction, one.epoch, one.seq) for one in rows]

        assert found() == []
        assert found(Window("up", 7, 1, 3)) == [("up", 7, 1), ("up", 7, 3)]
        assert found(Window("up", 7, 2, 3), Window("down", 7, 1, 9)) == [("down", 7, 3), ("up", 7, 3)]
        assert found(Window("up", 7, 1, 3), states=("built",)) == [("up", 7, 2)]
        assert len(held.digests(tx, world.tenant, ["acknowledged"])) == 4, "one put aside is in no digest"
        assert held.digests(tx, world.tenant + 1, ["acknowledged"]) == []


def test_a_window_ends_before_the_first_package_that_is_not_held_at_both_ends(world: World) -> None:
    with world.database.write() as tx:
        for seq, state in ((1, "acknowledged"), (2, "withdrawn"), (3, "acknowledged"), (4, "built"), (5, "withdrawn")):
            _package(world, tx, seq, state)
        for seq, state in ((2, "unpacked"), (3, "acknowledged"), (4, "held"), (5, "unpacked")):
            _package(world, tx, seq, state, "down")
        _package(world, tx, -1, "unpacked", "down")
        _package(world, tx, 1, "built", epoch=8)
        found = held.windows_of_box(tx, world.tenant, world.now)
        assert found == [Window("down", 7, 2, 3), Window("up", 7, 1, 3)]


def test_a_window_begins_with_the_first_package_of_the_last_thirty_days(world: World) -> None:
    with world.database.write() as tx:
        _package(world, tx, 1)
        world.later(days=2)
        _package(world, tx, 2)
        later = world.now + held.LOOK_BACK
        assert held.windows_of_box(tx, world.tenant, later - timedelta(days=2)) == [Window("up", 7, 1, 2)]
        assert held.windows_of_box(tx, world.tenant, later) == [Window("up", 7, 2, 2)]
        assert held.windows_of_box(tx, world.tenant, later + timedelta(seconds=1)) == []


def test_at_most_eight_windows_are_compared_those_used_last(world: World) -> None:
    with world.database.write() as tx:
        for epoch in range(20, 10, -1):
            _package(world, tx, 1, epoch=epoch)
            world.later(hours=1)
        found = held.windows_of_box(tx, world.tenant, world.now)
        assert [one.epoch for one in found] == list(range(11, 19))


def test_whether_a_package_is_in_a_state(world: World) -> None:
    with world.database.write() as tx:
        _package(world, tx, 4, "held")
        assert held.any_in_state(tx, world.tenant, "up", "held")
        assert not held.any_in_state(tx, world.tenant, "down", "held")
        assert not held.any_in_state(tx, world.tenant, "up", "built")
        assert held.any_in_state(tx, world.tenant, "up", "held", [Window("up", 7, 1, 4)])
        assert not held.any_in_state(tx, world.tenant, "up", "held", [Window("up", 7, 1, 3)])
