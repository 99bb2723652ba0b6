"""Box and server compare what they hold at each visit; what one of them lost comes back, once."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from lokole import __version__
from lokole.mail.model import Contact, DeliveryState, Email, EmailNo
from lokole.mailbox import (
    accounts,
    deleted,
    folders,
    letters,
    lists,
    packages,
    quarantine,
    recipients,
    schema,
    tenants,
)
from lokole.mailbox.identity import next_email_id, renew_epoch
from lokole.mailbox.options import get_option
from lokole.ports.identity import Caller
from lokole.server import metrics, offer, receipts, send, unpack
from lokole.server.ports import ServerPorts
from lokole.server.worker import Worker
from lokole.sync.records import AnyRecord, EmailRecord
from lokole.testing import CountedEntropy, Village, village
from tests.unit.device.people import person, write

pytestmark = pytest.mark.e2e


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Village]:
    with village(tmp_path) as found:
        person(found.box, "ann")
        assert found.box.sync().result == "ok"
        yield found


def letter_for_ann(place: Village, n: int) -> None:
    raw = f"From: bob@example.org\r\nTo: ann@village.lokole.test\r\nSubject: Letter {n}\r\n\r\nHello\r\n".encode()
    place.write_from_outside(raw, sender="bob@example.org", recipients=["ann@village.lokole.test"])


def inbox(place: Village) -> list[str]:
    ann = person(place.box, "ann")
    with place.box.ports.database.read() as tx:
        return sorted(row.subject for row in lists.list_folder(tx, ann, "inbox").rows)


def state(place: Village, no: EmailNo) -> list[DeliveryState]:
    with place.box.ports.database.read() as tx:
        return [one.state for one in recipients.deliveries(tx, place.box.tenant, no)]


def held(place: Village) -> list[tuple[int, int]]:
    """What box and server say: missing, letters."""
    with place.box.ports.database.read() as tx:
        box = get_option(tx, place.box.tenant, "held_together")
    with place.server.ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain="village.lokole.test")
        assert row is not None
        server = get_option(tx, row.no, "held_together")
    return [(one["missing"], one["letters"]) for one in (box, server)]


def test_both_ends_say_that_nothing_is_missing_and_a_receipt_comes_home(place: Village) -> None:
    no = write(place.box, "ann", "carl@example.org")
    letter_for_ann(place, 1)
    place.box.sync()
    place.box.sync()
    assert held(place) == [(0, 2), (0, 2)]
    assert state(place, no) == [DeliveryState.ACCEPTED]
    assert len(place.outside.sent) == 1


def test_a_box_from_a_backup_gets_back_what_it_lost_and_sends_nothing_twice(place: Village, tmp_path: Path) -> None:
    letter_for_ann(place, 1)
    place.box.sync()
    first = write(place.box, "ann", "carl@example.org", "Written before")
    place.box.ports.database.close()
    backup = tmp_path / "backup.db"
    shutil.copy(tmp_path / "box" / "lokole.db", backup)
    place.box.sync()
    letter_for_ann(place, 2)
    write(place.box, "ann", "carl@example.org", "Written after")
    place.box.sync()
    assert [one.recipient for one in place.outside.sent] == ["carl@example.org"] * 2

    place.box.ports.database.close()
    for beside in ("", "-wal", "-shm"):
        (tmp_path / "box" / f"lokole.db{beside}").unlink(missing_ok=True)
    shutil.copy(backup, tmp_path / "box" / "lokole.db")
    assert inbox(place) == ["Letter 1"]
    write(place.box, "ann", "dora@example.org", "Written by the restored box")
    place.box.sync()
    place.box.sync()
    place.box.sync()
    assert inbox(place) == ["Letter 1", "Letter 2"]
    assert [one.recipient for one in place.outside.sent] == ["carl@example.org"] * 2 + ["dora@example.org"]
    assert [missing for missing, _ in held(place)] == [0, 0]
    assert state(place, first) == [DeliveryState.ACCEPTED]


def test_a_server_that_forgot_a_package_asks_for_it(place: Village) -> None:
    write(place.box, "ann", "carl@example.org")
    place.box.sync()
    place.box.sync()
    with place.server.ports.database.write() as tx:
        newest = tx.execute(schema.package.select().where(schema.package.c.direction == "up")).all()[-1]
        tx.execute(delete(schema.carried).where(schema.carried.c.package == newest.no))
        tx.execute(update(schema.outbound).where(schema.outbound.c.package == newest.no).values(package=None))
        tx.execute(delete(schema.package).where(schema.package.c.no == newest.no))
    place.server.ports.blobs.delete(newest.blob)
    place.box.sync()
    place.box.sync()
    assert [missing for missing, _ in held(place)] == [0, 0]
    assert len(place.outside.sent) == 1


def test_a_server_from_a_backup_that_uses_a_number_anew_and_its_box_go_on(place: Village, tmp_path: Path) -> None:
    letter_for_ann(place, 1)
    place.box.sync()
    database = tmp_path / "server" / "lokole.db"
    place.server.ports.database.close()
    backup = tmp_path / "backup.db"
    shutil.copy(database, backup)
    letter_for_ann(place, 2)
    place.box.sync()
    assert inbox(place) == ["Letter 1", "Letter 2"]

    place.server.ports.database.close()
    for beside in ("", "-wal", "-shm"):
        database.with_name(f"lokole.db{beside}").unlink(missing_ok=True)
    shutil.copy(backup, database)
    letter_for_ann(place, 3)
    with place.server.ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain="village.lokole.test")
    assert row is not None
    # for a carrier, who brings no digest that would tell the server what it has forgotten
    offer.build_pending(place.server.ports, row)
    for _ in range(3):
        assert place.box.sync().result == "ok"
    letter_for_ann(place, 4)
    assert place.box.sync().result == "ok"
    assert inbox(place) == ["Letter 1", "Letter 2", "Letter 3", "Letter 4"]
    with place.server.ports.database.read() as tx:
        assert packages.count_waiting(tx, row.no, "down") == 0


@pytest.mark.parametrize("told_so", [False, True])
def test_people_who_signed_up_after_the_backup_of_a_server_are_not_nobody(tmp_path: Path, told_so: bool) -> None:
    """They come again in the visit in which the box hears of the restore; until then nothing is concluded."""
    database, backup = tmp_path / "server" / "lokole.db", tmp_path / "backup.db"
    with village(tmp_path) as before:
        person(before.box, "ann")
        assert before.box.sync().result == "ok"
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(backup)) as kept:
            source.backup(kept)
        before.clock.advance(days=1)
        person(before.box, "zoe")
        assert before.box.sync().result == "ok"
    for path in database.parent.glob("lokole.db*"):
        path.unlink()
    shutil.copy(backup, database)
    with village(tmp_path, clock=before.clock, entropy=CountedEntropy(77)) as place:
        if told_so:
            with place.server.ports.database.write() as tx:
                renew_epoch(tx, CountedEntropy(99))
        raw = b"From: bob@example.org\r\nTo: zoe@village.lokole.test\r\nSubject: For zoe\r\n\r\nHello\r\n"
        place.write_from_outside(raw, sender="bob@example.org", recipients=["zoe@village.lokole.test"])
        for _ in range(2):
            place.clock.advance(days=1)
            assert place.box.sync().result == "ok"
        zoe = person(place.box, "zoe")
        with place.box.ports.database.read() as tx:
            assert [row.subject for row in lists.list_folder(tx, zoe, "inbox").rows] == ["For zoe"]
        with place.server.ports.database.read() as tx:
            assert "dead-letter" not in {one.kind for one in quarantine.list_quarantine(tx, everybody=True)}


def test_a_letter_over_which_the_server_fails_every_time_keeps_no_other_back(
    place: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = unpack._take

    def failing(ports: ServerPorts, reading: Any, n: int, record: AnyRecord) -> None:
        if isinstance(record, EmailRecord) and record.email.subject == "bad":
            raise KeyError("a fault of ours")
        take(ports, reading, n, record)

    monkeypatch.setattr(unpack, "_take", failing)
    numbers = {subject: write(place.box, "ann", "bob@example.org", subject) for subject in ("a", "bad", "c", "d")}
    for _ in range(8):
        assert place.box.sync().result == "ok"
        for _ in range(12):
            place.clock.advance(hours=2)
            Worker(place.server.ports).work_off()
    refused = [subject for subject, no in numbers.items() if state(place, no) == [DeliveryState.REFUSED]]
    assert (refused, len(place.outside.sent)) == (["bad"], 3)


def test_a_hole_in_the_mailbox_is_filled_from_the_bytes_that_are_there(place: Village) -> None:
    letter_for_ann(place, 1)
    place.box.sync()
    with place.box.ports.database.write() as tx:
        tx.execute(delete(schema.carried))
    assert place.box.sync().result == "ok"
    place.box.sync()
    assert inbox(place) == ["Letter 1"]
    assert [missing for missing, _ in held(place)] == [0, 0]


def test_what_somebody_with_roaming_on_does_is_seen_at_both_ends(place: Village) -> None:
    ann = person(place.box, "ann")
    with place.box.ports.database.write() as tx:
        accounts.set_password(tx, ann, "$2b$12$" + "a" * 53)
        accounts.set_roaming(tx, ann, True)
    place.box.sync()
    letter_for_ann(place, 1)
    place.box.sync()

    ann = person(place.box, "ann")
    with place.box.ports.database.write() as tx:
        (row,) = lists.list_folder(tx, ann, "inbox").rows
        lists.set_flag(tx, ann, row.no, "read", True, place.box.row().device_id)
    place.box.sync()
    with place.server.ports.database.write() as tx:
        tenant = tenants.find_tenant(tx, domain="village.lokole.test")
        assert tenant is not None
        there = accounts.find_account(tx, tenant.no, "ann")
        assert there is not None
        (seen,) = lists.list_folder(tx, there, "inbox").rows
        assert seen.read
        lists.set_flag(tx, there, seen.no, "starred", True, "server")
        accounts.set_language(tx, there, "fr")
    place.box.sync()
    ann = person(place.box, "ann")
    assert ann.language == "fr"
    with place.box.ports.database.read() as tx:
        (row,) = lists.list_folder(tx, ann, "inbox").rows
    assert row.read
    assert row.starred


def test_the_own_folders_of_somebody_with_roaming_on_and_what_lies_in_them_are_known_at_both_ends(
    place: Village,
) -> None:
    ann = person(place.box, "ann")
    with place.box.ports.database.write() as tx:
        accounts.set_password(tx, ann, "$2b$12$" + "a" * 53)
        accounts.set_roaming(tx, ann, True)
    letter_for_ann(place, 1)
    place.box.sync()
    ann, origin = person(place.box, "ann"), place.box.row().device_id
    with place.box.ports.database.write() as tx:
        made = folders.create_folder(tx, ann, "Santé", place.box.ports.entropy, origin)
        (row,) = lists.list_folder(tx, ann, "inbox").rows
        lists.set_flag(tx, ann, row.no, "folder", made.id, origin)
    place.box.sync()
    with place.server.ports.database.write() as tx:
        tenant = tenants.find_tenant(tx, domain="village.lokole.test")
        assert tenant is not None
        there = accounts.find_account(tx, tenant.no, "ann")
        assert there is not None
        assert folders.list_folders(tx, there) == [made]
        assert [one.subject for one in lists.list_folder(tx, there, made.id).rows] == ["Letter 1"]
        folders.rename_folder(tx, there, made.id, "Hôpital", "server")
    place.box.sync()
    with place.box.ports.database.write() as tx:
        assert [one.name for one in folders.list_folders(tx, ann)] == ["Hôpital"]
        folders.delete_folder(tx, ann, made.id, origin)
        lists.set_flag(tx, ann, row.no, "deleted", True, origin)
    # thirty days without an exchange: the other end does not know of the deletion, so the letter stays
    now = place.box.ports.clock()
    for days in (0, 31):
        assert deleted.empty_deleted(place.box.ports.database, place.box.tenant, now + timedelta(days=days)) == 0
    place.box.sync()
    with place.server.ports.database.read() as tx:
        assert folders.list_folders(tx, there) == []
        assert [one.no for one in deleted.list_deleted(tx, there).rows] != []
    assert deleted.empty_deleted(place.box.ports.database, place.box.tenant, now + timedelta(days=32)) == 1
    assert place.box.sync().result == "ok"
    assert [missing for missing, _ in held(place)] == [0, 0]
    assert inbox(place) == []


def test_a_letter_written_in_town_leaves_from_there_and_stands_among_the_sent_on_the_box(place: Village) -> None:
    ports = place.server.ports
    with ports.database.write() as tx:
        tenant = tenants.find_tenant(tx, domain="village.lokole.test")
        assert tenant is not None
        there = accounts.find_account(tx, tenant.no, "ann")
        assert there is not None
        email = Email(sender=Contact(str(there.address)), to=(Contact("carl@example.org"),), subject="From town")
        id_ = next_email_id(tx, "server")
        no = letters.write_letter(tx, tenant.no, there, email, id=id_, now=ports.clock())
        send.leave_from_here(ports, tx, tenant.no, no)
    ports.bell.ring()
    assert [one.recipient for one in place.outside.sent] == ["carl@example.org"]
    place.box.sync()
    place.box.sync()
    ann = person(place.box, "ann")
    with place.box.ports.database.read() as tx:
        (row,) = lists.list_folder(tx, ann, "sent").rows
    assert (row.subject, row.state) == ("From town", DeliveryState.ACCEPTED)
    assert len(place.outside.sent) == 1
    assert [missing for missing, _ in held(place)] == [0, 0]


def test_what_a_restored_server_says_of_a_letter_is_heard(place: Village, tmp_path: Path) -> None:
    no = write(place.box, "ann", "carl@example.org")
    place.box.sync()
    place.box.sync()
    assert state(place, no) == [DeliveryState.ACCEPTED]
    with place.server.ports.database.write() as tx:
        row = tenants.find_tenant(tx, domain="village.lokole.test")
        assert row is not None
        # the backup is from before the letter was accepted; after the restore it goes out once more, and is refused
        first = tx.execute(schema.recipient.select().where(schema.recipient.c.tenant == row.no)).one()
        tx.execute(update(schema.recipient).values(state="at_server", state_version=0))
        tx.execute(delete(schema.outbound).where(schema.outbound.c.tenant == row.no))
        letter = letters.read_email(tx, row.no, first.email).email
        assert receipts.settle(
            tx, row, first.email, letter, first.address, DeliveryState.REFUSED, place.clock(), reason="550 no"
        )
    place.box.sync()
    assert state(place, no) == [DeliveryState.REFUSED]


def test_a_server_that_gave_a_number_to_another_package_brings_its_letters_nevertheless(
    place: Village, tmp_path: Path
) -> None:
    """A server from a backup that nobody told so: its numbers begin again where the box has heard them."""
    database = place.server.ports.database
    backup = tmp_path / "server.db"
    with sqlite3.connect(tmp_path / "server" / "lokole.db") as source, sqlite3.connect(backup) as copy:
        source.backup(copy)
    letter_for_ann(place, 1)
    place.box.sync()
    assert inbox(place) == ["Letter 1"]
    database.close()
    for beside in ("", "-wal", "-shm"):
        (tmp_path / "server" / f"lokole.db{beside}").unlink(missing_ok=True)
    shutil.copy(backup, tmp_path / "server" / "lokole.db")
    letter_for_ann(place, 2)
    letter_for_ann(place, 3)
    for _ in range(3):
        assert place.box.sync().result == "ok"
    assert inbox(place) == ["Letter 1", "Letter 2", "Letter 3"]
    assert [missing for missing, _ in held(place)] == [0, 0]


def test_an_operator_reads_how_each_box_is_and_when_it_stays_away(place: Village) -> None:
    def boxes() -> dict[str, Any]:
        caller = Caller("operator", may_override=True)
        (found,) = metrics.trouble(place.server.ports, caller)["boxes"]
        return dict(found)

    letter_for_ann(place, 1)
    for _ in range(2):
        place.box.sync()
    found = boxes()
    assert found["sentence"] == "0 missing of 1 in 30 days"
    assert (found["health"]["version"], found["health"]["apart"]) == (__version__, 0)
    with place.server.ports.database.read() as tx:
        before = packages.newest_package(tx, 1, "up")
    assert place.box.sync().bytes_up < 400, "an unchanged line is not said again"
    with place.server.ports.database.read() as tx:
        assert packages.newest_package(tx, 1, "up") == before
    with place.box.ports.database.write() as tx:
        quarantine.quarantine(
            tx, tenant=place.box.tenant, kind="record", source="", reason="", raw_ref=None, key="k", now=place.clock()
        )
    place.box.sync()
    assert boxes()["health"]["apart"] == 1
    place.clock.advance(hours=53)  # more than twelve hours after its second departure
    assert boxes()["sentence"] == "missed 2 nights; 0 missing of 1 in 30 days"


def test_who_reads_in_town_sees_what_neighbours_wrote(place: Village) -> None:
    def in_town(folder: str) -> list[str]:
        with place.server.ports.database.read() as tx:
            tenant = tenants.find_tenant(tx, domain="village.lokole.test")
            assert tenant is not None
            there = accounts.find_account(tx, tenant.no, "ann")
            assert there is not None
            return sorted(row.subject for row in lists.list_folder(tx, there, folder).rows)

    person(place.box, "bob")
    person(place.box, "eve")
    write(place.box, "bob", "ann@village.lokole.test", "Before she went")
    write(place.box, "bob", "eve@village.lokole.test", "Of others")
    place.box.sync()
    assert in_town("inbox") == []
    ann = person(place.box, "ann")
    with place.box.ports.database.write() as tx:
        accounts.set_password(tx, ann, "$2b$12$" + "a" * 53)
        accounts.set_roaming(tx, ann, True)
    write(place.box, "bob", "ann@village.lokole.test", "While she is away")
    write(place.box, "ann", "bob@village.lokole.test", "Her answer")
    write(place.box, "bob", "eve@village.lokole.test", "Of others")
    for _ in range(2):
        assert place.box.sync().result == "ok"
    assert in_town("inbox") == ["Before she went", "While she is away"]
    assert in_town("sent") == ["Her answer"]
    assert inbox(place) == in_town("inbox"), "and nobody has anything twice"
    assert place.outside.sent == []
    with place.server.ports.database.read() as tx:
        assert letters.count_letters(tx, 1) == 3
    assert [missing for missing, _ in held(place)] == [0, 0]


@pytest.mark.parametrize("another", [False, True], ids=["nothing-else", "another-letter-under-its-id"])
def test_a_writer_hears_of_a_refusal_though_their_box_lost_the_letter(
    place: Village, tmp_path: Path, another: bool
) -> None:
    place.box.sync()
    place.box.ports.database.close()
    backup = tmp_path / "backup.db"
    shutil.copy(tmp_path / "box" / "lokole.db", backup)
    write(place.box, "ann", "permanent-failure@example.org,carl@example.org", "Lost with the card")
    place.box.sync()
    place.box.ports.database.close()
    for beside in ("", "-wal", "-shm"):
        (tmp_path / "box" / f"lokole.db{beside}").unlink(missing_ok=True)
    shutil.copy(backup, tmp_path / "box" / "lokole.db")
    if another:
        # an older copy counts its letters from where it was: two of them have one id (protocol 8.8)
        write(place.box, "ann", "dora@example.org", "Written later")
    for _ in range(5):
        place.box.sync()
    assert inbox(place) == ["Your letter did not arrive: Lost with the card"]
    assert [one.recipient for one in place.outside.sent] == ["carl@example.org", *["dora@example.org"] * another]


@pytest.mark.parametrize("named_so", [False, True], ids=["in the store", "before they had a name"])
def test_a_package_whose_bytes_have_suffered_at_the_server_is_packed_anew(
    place: Village, tmp_path: Path, named_so: bool
) -> None:
    letter_for_ann(place, 1)
    with place.server.ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain="village.lokole.test")
    assert row is not None
    offer.build_pending(place.server.ports, row)
    with place.server.ports.database.read() as tx:
        (down,) = packages.packages_after(tx, row.no, "down", 0, states=("built",))
    path = tmp_path / "server" / "blobs" / down.blob
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if named_so:
        with place.server.ports.database.write() as tx:
            wrong = {"sha256": hashlib.sha256(content).hexdigest()}
            tx.execute(update(schema.package).where(schema.package.c.no == down.no).values(wrong))
    results = [place.box.sync().result for _ in range(3)]
    assert results[0] == "bad-package", "the line may have done it"
    assert results[-1] == "ok"
    assert inbox(place) == ["Letter 1"]
    with place.server.ports.database.read() as tx:
        assert [one.kind for one in quarantine.list_quarantine(tx, row.no)] == ["told"]
    place.box.sync()
    assert [missing for missing, _ in held(place)] == [0, 0]
    quiet = place.box.sync()
    assert quiet.bytes_up + quiet.bytes_down <= 700, "nothing is compared package by package any more"
