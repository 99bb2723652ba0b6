"""What goes besides letters: the newest version travels, once, until the other end has it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lokole.mail.model import DeliveryState, EmailId
from lokole.mailbox import outbound, packages
from lokole.mailbox.account_records import accounts_to_send
from lokole.mailbox.database import Connection
from lokole.sync.records import AccountRecord, FlagRecord, HealthRecord, ReceiptRecord, RequestRecord, ToldRecord
from tests.mailbox_world import World, count_outbound

ID = EmailId(bytes(range(16)))
RECORDS: list[outbound.OutboundRecord] = [
    ReceiptRecord(
        ID, "Bob@example.org", DeliveryState.REFUSED, 3, "5.1.1", "nobody", datetime(2026, 3, 1, 8, 0, 5, tzinfo=UTC)
    ),
    FlagRecord(ID, "ann", "folder", "archive", 5, "server"),
    RequestRecord("page", "é", {"n": 1}),
    HealthRecord({"version": "1"}),
    ToldRecord("ab" * 32, 4, "record", "why"),
]


def _package(world: World, tx: Connection, seq: int) -> int:
    return packages.add_package(
        tx,
        world.tenant,
        epoch=7,
        direction="up",
        seq=seq,
        sha256=f"{seq:064x}",
        size=1,
        type="x",
        blob="b",
        letters=0,
        state="built",
        now=world.now,
    )


def _waiting(world: World, tx: Connection, direction: str = "up") -> list[outbound.OutboundRecord]:
    return [one.record for one in outbound.waiting_records(tx, world.tenant, direction)]


def receipt(version: int, state: DeliveryState = DeliveryState.ACCEPTED, address: str = "b@x.org") -> ReceiptRecord:
    return ReceiptRecord(ID, address, state, version)


def test_every_kind_comes_out_as_it_was_put_in_and_in_that_order(world: World) -> None:
    with world.database.write() as tx:
        assert not outbound.any_waiting(tx, world.tenant, "up")
        assert all(outbound.put(tx, world.tenant, "up", one) for one in RECORDS)
        assert _waiting(world, tx) == RECORDS
        assert outbound.any_waiting(tx, world.tenant, "up")
        assert _waiting(world, tx, "down") == []
        assert len(outbound.waiting_records(tx, world.tenant, "up", limit=2)) == 2
        assert not any(outbound.put(tx, world.tenant, "up", one) for one in RECORDS), "nothing new was said"


def test_the_newest_version_replaces_and_an_older_one_changes_nothing(world: World) -> None:
    with world.database.write() as tx:
        assert outbound.put(tx, world.tenant, "down", receipt(2))
        assert not outbound.put(tx, world.tenant, "down", receipt(1, DeliveryState.REFUSED))
        assert outbound.put(tx, world.tenant, "down", receipt(3, DeliveryState.REFUSED))
        assert outbound.put(tx, world.tenant, "down", receipt(1, address="c@x.org")), "another recipient"
        assert _waiting(world, tx, "down") == [receipt(3, DeliveryState.REFUSED), receipt(1, address="c@x.org")]
        assert outbound.put(tx, world.tenant, "down", receipt(3, address="B@X.org")), "the same one, said otherwise"
        assert count_outbound(tx, world.tenant, "down", "receipt") == 2


@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_was_said_anew_on_the_way_waits_anew(world: World, acknowledged: bool) -> None:
    with world.database.write() as tx:
        outbound.put(tx, world.tenant, "up", HealthRecord({"apart": 0}))
        first = _package(world, tx, 1)
        rows = outbound.waiting_records(tx, world.tenant, "up")
        outbound.mark_packed(tx, first, rows)
        assert _waiting(world, tx) == []
        outbound.put(tx, world.tenant, "up", HealthRecord({"apart": 1}))
        if acknowledged:
            packages.acknowledge(tx, world.tenant, 7, "up", 1, [], world.now)
        assert _waiting(world, tx) == [HealthRecord({"apart": 1})]


def test_a_record_that_changed_while_it_was_packed_is_not_taken_for_packed(world: World) -> None:
    with world.database.write() as tx:
        outbound.put(tx, world.tenant, "up", receipt(1))
        rows = outbound.waiting_records(tx, world.tenant, "up")
        outbound.put(tx, world.tenant, "up", receipt(2))
        outbound.mark_packed(tx, _package(world, tx, 1), rows)
        assert _waiting(world, tx) == [receipt(2)]


def test_a_person_in_a_package_that_was_acknowledged_and_withdrawn_since_is_told_again(world: World) -> None:
    """The other end held it, and could not read it: it has not heard of that person."""
    with world.database.write() as tx:
        people = accounts_to_send(tx, world.tenant)
        package = _package(world, tx, 1)
        outbound.note_accounts(tx, world.tenant, "up", package, people)
        packages.acknowledge(tx, world.tenant, 7, "up", 1, (), world.now)
        assert accounts_to_send(tx, world.tenant) == []
        packages.withdraw_package(tx, package, world.now)
        assert accounts_to_send(tx, world.tenant) == people


def test_a_withdrawn_package_lets_all_wait_again_and_an_acknowledged_one_nothing(world: World) -> None:
    with world.database.write() as tx:
        for one in RECORDS:
            outbound.put(tx, world.tenant, "up", one)
        first, second = _package(world, tx, 1), _package(world, tx, 2)
        outbound.mark_packed(tx, first, outbound.waiting_records(tx, world.tenant, "up"))
        packages.withdraw_package(tx, first, world.now)
        assert _waiting(world, tx) == RECORDS
        outbound.mark_packed(tx, second, outbound.waiting_records(tx, world.tenant, "up"))
        packages.acknowledge(tx, world.tenant, 7, "up", 2, [], world.now)
        assert _waiting(world, tx) == []
        assert not outbound.put(tx, world.tenant, "up", RECORDS[0]), "the other end has it"


def test_the_versions_of_people_that_travelled_are_told(world: World) -> None:
    people = [AccountRecord("ann@village.lokole.ca", version=4), AccountRecord("bob@village.lokole.ca", version=1)]
    with world.database.write() as tx:
        first = _package(world, tx, 1)
        outbound.note_accounts(tx, world.tenant, "up", first, people)
        assert _waiting(world, tx) == [], "people wait in their own table"
        assert outbound.delivered(tx, first) == {"ann@village.lokole.ca": 4, "bob@village.lokole.ca": 1}
        second = _package(world, tx, 2)
        outbound.note_accounts(tx, world.tenant, "up", second, people[:1])
        assert outbound.wait_again(tx, second) == {"ann@village.lokole.ca": 4}
        assert outbound.delivered(tx, second) == {}


def test_what_was_told_of_a_package_is_found_by_its_digest(world: World) -> None:
    with world.database.write() as tx:
        for name, record in (("ab" * 32, 3), ("ab" * 32, 0), ("cd" * 32, 5)):
            outbound.put(tx, world.tenant, "down", ToldRecord(name, record, "x", "y"))
        assert outbound.told_of(tx, world.tenant, "down", "ab" * 32) == {0, 3}
        assert outbound.told_of(tx, world.tenant, "up", "ab" * 32) == set()
        assert outbound.told_of(tx, world.tenant + 1, "down", "ab" * 32) == set()
