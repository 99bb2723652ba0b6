from __future__ import annotations

import pytest

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import held, packages
from lokole.mailbox.database import Connection
from lokole.sync.records import Window
from tests.mailbox_world import World

EPOCH = 77


def _package(
    world: World, tx: Connection, seq: int, *, direction: str = "up", sha256: str | None = None, epoch: int = EPOCH
) -> int:
    return packages.add_package(
        tx,
        world.tenant,
        epoch=epoch,
        direction=direction,
        seq=seq,
        sha256=sha256 or f"{seq:064x}",
        size=10,
        type="application/x",
        blob=f"packages/{seq}",
        letters=1,
        state="built",
        now=world.now,
    )


def _waiting(world: World, tx: Connection) -> list[int]:
    return list(packages.waiting_emails(tx, world.tenant, "up"))


def test_a_letter_waits_until_its_package_is_acknowledged(world: World) -> None:
    with world.database.write() as tx:
        one, two = (world.written(tx, world.ann, to=("a@example.org",)) for _ in range(2))
        assert _waiting(world, tx) == [one, two]
        first = _package(world, tx, 1)
        packages.mark_packed(tx, first, [one])
        assert _waiting(world, tx) == [two]
        assert packages.count_waiting(tx, world.tenant, "up") == 2
        assert packages.count_waiting(tx, world.tenant, "up", packed_too=False) == 1
        assert packages.acknowledge(tx, world.tenant, EPOCH, "up", 1, [], world.now) == 1
        assert packages.count_waiting(tx, world.tenant, "up") == 1
        assert packages.get_package(tx, world.tenant, first).state == "acknowledged"


def test_an_acknowledgement_may_come_twice_and_out_of_order(world: World) -> None:
    with world.database.write() as tx:
        letters = [world.written(tx, world.ann, to=("a@example.org",)) for _ in range(4)]
        for seq, no in enumerate(letters, 1):
            packages.mark_packed(tx, _package(world, tx, seq), [no])
        acknowledge = packages.acknowledge
        assert acknowledge(tx, world.tenant, EPOCH, "up", 1, [3, 99], world.now) == 2
        assert acknowledge(tx, world.tenant, EPOCH, "up", 1, [3, 99], world.now) == 0
        assert acknowledge(tx, world.tenant, EPOCH, "up", 0, [], world.now) == 0
        assert acknowledge(tx, world.tenant, EPOCH + 1, "up", 4, [], world.now) == 0
        assert acknowledge(tx, world.tenant, EPOCH, "down", 4, [], world.now) == 0
        assert packages.count_waiting(tx, world.tenant, "up") == 2
        assert acknowledge(tx, world.tenant, EPOCH, "up", 4, [], world.now) == 2


def test_a_letter_is_queued_for_the_other_end_once(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        assert packages.add_waiting(tx, world.tenant, no, "down")
        assert not packages.add_waiting(tx, world.tenant, no, "down")
        packages.mark_packed(tx, _package(world, tx, 1, direction="down"), [no])
        packages.acknowledge(tx, world.tenant, EPOCH, "down", 1, [], world.now)
        assert not packages.add_waiting(tx, world.tenant, no, "down")
        assert list(packages.waiting_emails(tx, world.tenant, "down")) == []


def test_records_of_single_recipients_are_packed_one_by_one(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        for recipient in ("", "x@example.org", "y@example.org"):
            packages.add_waiting(tx, world.tenant, no, "down", recipient)
        assert list(packages.waiting_emails(tx, world.tenant, "down")) == [no]
        rows = list(packages.waiting_rows(tx, world.tenant, "down"))
        package = _package(world, tx, 1, direction="down")
        packages.mark_packed(tx, package, rows[:2])
        assert list(packages.waiting_rows(tx, world.tenant, "down")) == rows[2:]
        assert packages.emails_of(tx, package) == rows[:2]


def test_the_same_package_is_noted_once_and_its_number_is_not_given_away(world: World) -> None:
    with world.database.write() as tx:
        assert packages.next_seq(tx, world.tenant, EPOCH, "up") == 1
        first = _package(world, tx, 1)
        assert packages.next_seq(tx, world.tenant, EPOCH, "up") == 2
        assert packages.next_seq(tx, world.tenant, EPOCH, "down") == 1
        assert packages.next_seq(tx, world.tenant, EPOCH + 1, "up") == 1
        assert _package(world, tx, 1) == first
        with pytest.raises(Refused) as refusal:
            _package(world, tx, 1, sha256="f" * 64)
        assert refusal.value.code == "seq"


def test_what_an_acknowledgement_names(world: World) -> None:
    with world.database.write() as tx:
        assert packages.highest_contiguous(tx, world.tenant, EPOCH, "down") == (0, [])
        for seq in (2, 1, 3, 6, 8):
            _package(world, tx, seq, direction="down")
        assert packages.highest_contiguous(tx, world.tenant, EPOCH, "down") == (3, [6, 8])
        assert packages.highest_contiguous(tx, world.tenant, EPOCH, "down", ["unpacked"]) == (0, [])


def test_a_package_whose_number_was_used_anew_is_in_no_acknowledgement_and_no_window(world: World) -> None:
    with world.database.write() as tx:
        packages.renumber_aside(tx, _package(world, tx, 1, direction="down", sha256="a" * 64), world.now)
        packages.renumber_aside(tx, _package(world, tx, 1, direction="down", sha256="b" * 64), world.now)
        _package(world, tx, 1, direction="down", sha256="c" * 64)
        for one in packages.packages_after(tx, world.tenant, "down", 0):
            packages.set_package_state(tx, one.no, "unpacked", world.now)
        assert packages.highest_contiguous(tx, world.tenant, EPOCH, "down") == (1, [])
        assert held.windows_of_box(tx, world.tenant, world.now) == [Window("down", EPOCH, 1, 1)]


def test_packages_are_found_by_their_bytes_and_by_number_by_their_tenant_only(world: World) -> None:
    with world.database.write() as tx:
        for seq in (1, 2):
            _package(world, tx, seq, direction="down")
        no = _package(world, tx, 3, direction="down")
        found = packages.packages_after(tx, world.tenant, "down", 1)
        assert [one.seq for one in found] == [2, 3]
        assert packages.packages_after(tx, world.tenant, "down", 0, epoch=EPOCH + 1) == []
        assert packages.packages_after(tx, world.tenant, "down", 0, states=["held"]) == []
        assert packages.find_package(tx, world.tenant, f"{3:064x}", "down") == found[1]
        assert packages.find_package(tx, world.tenant, f"{3:064x}", "up") is None
        assert packages.find_package(tx, world.tenant + 1, f"{3:064x}") is None
        with pytest.raises(NotFound):
            packages.get_package(tx, world.tenant + 1, no)
