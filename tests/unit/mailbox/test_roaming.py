"""What people do at one end, seen at the other: in whatever order it comes, and for whom it is kept."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from lokole.mail.errors import NotFound
from lokole.mail.model import Account, EmailId
from lokole.mailbox import accounts, identity, letters, lists, outbound, packages, quarantine, roaming
from lokole.mailbox.database import Connection
from lokole.mailbox.entries import deliver
from lokole.mailbox.held import PackedLetter, note_packed_letters
from lokole.mailbox.seen import remember_letter
from lokole.sync.ids import SERVER_ORIGIN
from lokole.sync.records import EntryState, FlagRecord
from tests.mailbox_world import World, count_outbound, email_from

OTHER = EmailId(b"\xab" * 16)


def _flag(
    id: EmailId, name: str = "ann", value: bool | str = True, *, lamport: int = 5, origin: str = "d"
) -> FlagRecord:
    return FlagRecord(id, name, "starred", value, lamport, origin)


def _starred(tx: Connection, person: Account) -> list[bool]:
    return [row.starred for row in lists.list_folder(tx, person, "inbox").rows]


def _id_of(world: World, tx: Connection, no: int) -> EmailId:
    return letters.read_email(tx, world.tenant, no).id


def test_the_highest_lamport_and_origin_is_right_in_every_order(world: World) -> None:
    said = [(True, 3, "box"), (False, 5, "box"), (True, 5, "server"), (False, 4, "server")]
    for order in itertools.permutations(said):
        with world.database.write() as tx:
            no = world.incoming(tx, [world.ann])
            for value, lamport, origin in order:
                record = _flag(_id_of(world, tx, no), value=value, lamport=lamport, origin=origin)
                roaming.take_flag(tx, world.tenant, record, world.now)
            assert _starred(tx, world.ann)[0], order
            assert _starred(tx, world.bob) == []


def test_what_is_done_next_is_above_all_that_was_heard(world: World) -> None:
    with world.database.write() as tx:
        roaming.take_flag(tx, world.tenant, _flag(OTHER, lamport=90), world.now)
        assert identity.next_lamport(tx, world.tenant) == 91


def test_a_flag_is_kept_until_its_letter_is_here(world: World) -> None:
    with world.database.write() as tx:
        for lamport, value in ((7, True), (6, False)):
            assert not roaming.take_flag(tx, world.tenant, _flag(OTHER, value=value, lamport=lamport), world.now)
        assert roaming.take_kept(tx, world.tenant) == 0
        no = world.incoming(tx, [world.bob])
        remember_letter(tx, world.tenant, OTHER.hex(), bytes(16), world.now, no)
        assert roaming.take_kept(tx, world.tenant) == 0, "it is not hers"
        letters_no = world.incoming(tx, [world.ann])
        roaming.take_flag(tx, world.tenant, _flag(_id_of(world, tx, letters_no)), world.now)
        assert _starred(tx, world.ann) == [True]
        assert _starred(tx, world.bob) == [False]
        assert count_outbound(tx, world.tenant, "kept", "flag") == 1


def test_a_flag_is_kept_until_its_person_is_here(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        assert not roaming.take_flag(tx, world.tenant, _flag(_id_of(world, tx, no), "zoe"), world.now)
        assert roaming.take_kept(tx, world.tenant) == 0
        zoe = accounts.create_account(tx, world.tenant, "zoe", password_hash=None, now=world.now)
        deliver(tx, world.tenant, no, zoe.no)
        assert roaming.take_kept(tx, world.tenant) == 1
        assert _starred(tx, zoe) == [True]
        assert roaming.take_kept(tx, world.tenant) == 0
        assert count_outbound(tx, world.tenant, "kept", "flag") == 0


def test_only_so_many_flags_are_kept_and_the_newest_stay(world: World) -> None:
    with world.database.write() as tx:
        for n in range(roaming.MOST_KEPT + 3):
            roaming.take_flag(tx, world.tenant, _flag(EmailId(n.to_bytes(16, "big")), lamport=n), world.now)
        assert count_outbound(tx, world.tenant, "kept", "flag") == roaming.MOST_KEPT
        (noted,) = quarantine.list_quarantine(tx, world.tenant)
        assert noted.kind == "record"
        newest = world.incoming(tx, [world.ann])
        known = EmailId((roaming.MOST_KEPT + 2).to_bytes(16, "big"))
        remember_letter(tx, world.tenant, known.hex(), bytes(16), world.now, newest)
        assert roaming.take_kept(tx, world.tenant) == 1
        assert _starred(tx, world.ann) == [True]


def test_a_flag_that_replaces_a_kept_one_pushes_none_out(world: World) -> None:
    with world.database.write() as tx:
        for n in range(roaming.MOST_KEPT):
            roaming.take_flag(tx, world.tenant, _flag(EmailId(n.to_bytes(16, "big")), lamport=1), world.now)
        roaming.take_flag(tx, world.tenant, _flag(EmailId(bytes(16)), lamport=2), world.now)
        assert count_outbound(tx, world.tenant, "kept", "flag") == roaming.MOST_KEPT
        assert quarantine.list_quarantine(tx, world.tenant) == []


@pytest.mark.parametrize(("origin", "direction"), [("device-1", "up"), (SERVER_ORIGIN, "down")])
def test_what_a_person_with_roaming_on_does_is_told_to_the_other_end(world: World, origin: str, direction: str) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann, world.bob])
        roams = replace(world.ann, roaming=True)
        assert roaming.set_flag(tx, roams, no, "starred", True, origin)
        assert not roaming.set_flag(tx, roams, no, "starred", True, origin), "nothing changed"
        assert roaming.set_flag(tx, world.bob, no, "starred", True, origin)
        (told,) = outbound.waiting_records(tx, world.tenant, direction)
        assert isinstance(told.record, FlagRecord)
        assert (told.record.account, told.record.flag, told.record.value) == ("ann", "starred", True)
        assert (told.record.email_id, told.record.origin) == (_id_of(world, tx, no), origin)
        with pytest.raises(NotFound):
            roaming.set_flag(tx, replace(world.eve, roaming=True), no, "starred", True, origin)


def test_a_letter_is_known_by_the_name_under_which_it_travelled(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        own = _id_of(world, tx, no)
        assert roaming.wire_id(tx, world.tenant, no, "ann") == own
        assert roaming.find_wire(tx, world.tenant, own) == no
        assert roaming.find_wire(tx, world.tenant, OTHER) is None
        assert roaming.find_wire(tx, world.tenant + 1, own) is None
        named, _ = letters.store_email(
            tx,
            world.tenant,
            email_from("bob@example.org"),
            id=EmailId(b"n" * 16),
            received_at=world.now,
            deliver_to=[world.ann.no],
            uid=OTHER.hex(),
        )
        remember_letter(tx, world.tenant, OTHER.hex(), bytes(16), world.now, named)
        assert roaming.wire_id(tx, world.tenant, named, "ann") == OTHER
        assert roaming.find_wire(tx, world.tenant, OTHER) == named
        package = packages.add_package(
            tx,
            world.tenant,
            epoch=7,
            direction="down",
            seq=1,
            sha256="a" * 64,
            size=1,
            type="x",
            blob="b",
            letters=1,
            state="built",
            now=world.now,
        )
        travelled = EmailId(b"t" * 16)
        note_packed_letters(tx, world.tenant, package, [PackedLetter(1, travelled, no)])
        assert roaming.wire_id(tx, world.tenant, no, "ann") == travelled
        assert roaming.find_wire(tx, world.tenant, travelled) == no


def test_how_its_writer_has_a_letter_is_said_of_those_written_here_only(world: World) -> None:
    with world.database.write() as tx:
        came = world.incoming(tx, [world.ann])
        written = world.written(tx, world.ann, to=("c@example.org",))
        lists.set_flag(tx, world.ann, written, "starred", True, "device-1")
        assert roaming.written_entries(tx, world.tenant, came) == ()
        assert roaming.written_entries(tx, world.tenant, written) == (
            EntryState("ann", "sent", read=True, starred=True, written=True),
        )
        assert roaming.written_entries(tx, world.tenant + 1, written) == ()


def test_letters_of_neighbours_travel_when_one_of_them_roams(world: World) -> None:
    with world.database.write() as tx:

        def waits() -> list[int]:
            return list(packages.waiting_emails(tx, world.tenant, "up"))

        here = f"@{world.ann.domain}"
        of_others = world.written(tx, world.eve, to=(f"bob{here}",))
        before = world.written(tx, world.bob, to=(f"ann{here}",))
        outside = world.written(tx, world.ann, to=("c@example.org",))
        assert waits() == [outside]
        accounts.set_password(tx, world.ann, "hash")
        accounts.set_roaming(tx, world.ann, True)
        accounts.set_roaming(tx, world.ann, True)
        assert waits() == [before, outside]
        to_her = world.written(tx, world.bob, to=(f"eve{here}", f"ann{here}"))
        ann = accounts.get_account(tx, world.tenant, world.ann.no)
        by_her = world.written(tx, ann, to=(f"eve{here}",))
        world.written(tx, world.eve, to=(f"bob{here}",))
        assert waits() == [before, outside, to_her, by_her]
        assert of_others not in waits()
        accounts.set_roaming(tx, world.ann, False)
        world.written(tx, world.bob, to=(f"ann{here}",))
        assert waits() == [before, outside, to_her, by_her]
