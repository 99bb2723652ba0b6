from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Address, Attachment, Contact, Delivery, DeliveryState, Email, EmailId
from lokole.mailbox import accounts, attachments, letters, lists, packages, recipients, search, tenants
from tests.mailbox_world import DOMAIN, START, World, email_from, load_email, unknown_people

ID = EmailId(bytes(range(16)))
WHOLE = Email(
    sender=Contact("maria@example.org", "María Ñuñez"),
    to=(Contact(f"bob@{DOMAIN}", "Bob"), Contact("not an address")),
    cc=(Contact("cc@example.org"),),
    reply_to=(Contact("list@example.org", "The list"),),
    subject="Fête à l'école 🎉",
    body="<p>Bonjour <b>Bob</b></p>",
    sent_at=datetime(1999, 12, 31, 23, 59, tzinfo=UTC),
    sent_at_doubtful=True,
    message_id="<m1@example.org>",
    in_reply_to="<m0@example.org>",
    references=("<r@example.org>", "<m0@example.org>"),
)


def test_what_was_stored_is_read_back(world: World) -> None:
    with world.database.write() as tx:
        no, created = letters.store_email(
            tx, world.tenant, WHOLE, id=ID, received_at=START, uid="their-name", raw_ref="raw/1"
        )
        stored = letters.read_email(tx, world.tenant, no, private=True)
    assert created
    assert stored.email == Email(**{name: getattr(WHOLE, name) for name in WHOLE.__slots__} | {"id": ID})
    assert (stored.id, stored.received_at, stored.uid, stored.raw_ref) == (ID, START, "their-name", "raw/1")


def test_a_letter_stored_twice_is_one_letter_and_reaches_who_did_not_have_it(world: World) -> None:
    ann, bob, _ = world.people
    with world.database.write() as tx:
        first = letters.store_email(tx, world.tenant, WHOLE, id=ID, received_at=START, deliver_to=[ann.no])
        again = letters.store_email(tx, world.tenant, WHOLE, id=ID, received_at=START, deliver_to=[ann.no, bob.no])
        assert first == (again[0], True) and again[1] is False
        assert letters.count_letters(tx, world.tenant) == 1
        for person in (ann, bob):
            assert lists.counts(tx, person).inbox_total == 1
            assert [row.no for row in search.search(tx, person, "bonjour").rows] == [first[0]]


def test_the_same_id_in_two_tenants_is_two_letters_that_do_not_see_each_other(world: World) -> None:
    with world.database.write() as tx:
        other = tenants.add_tenant(
            tx, domain="other.lokole.ca", device_id="device-2", state="claimed", webhook_secret="hook-2", now=START
        )
        mine, _ = letters.store_email(tx, world.tenant, WHOLE, id=ID, received_at=START)
        theirs, created = letters.store_email(tx, other, WHOLE, id=ID, received_at=START)
        assert created and mine != theirs
        assert letters.find_email(tx, other, ID) == theirs
        with pytest.raises(NotFound):
            letters.read_email(tx, other, mine)


def test_text_that_no_database_takes_still_arrives(world: World) -> None:
    bad = "a\x00b\ud800c"
    letter = Email(
        sender=Contact(bad, bad),
        to=(Contact(bad, bad),),
        subject=bad,
        body=f"<p>{bad} findable</p>",
        message_id=bad,
        in_reply_to=bad,
        references=(bad,),
    )
    files = [attachments.StoredAttachment(bad, bad, bad, "0" * 64, 1)]
    with world.database.write() as tx:
        letters.store_email(
            tx, world.tenant, letter, id=ID, received_at=START, attachments=files, deliver_to=[world.ann.no]
        )
    with world.database.read() as tx:
        (row,) = lists.list_folder(tx, world.ann, "inbox").rows
        assert row.subject == "a\ufffdb\ufffdc"
        assert search.search(tx, world.ann, "findable").total == 1
        entry = lists.get_entry(tx, world.ann, row.no)
    assert entry is not None and entry.letter.attachments[0].filename == "a\ufffdb\ufffdc"


def test_bcc_is_seen_by_the_writer_and_by_nobody_else(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(
            tx,
            world.ann,
            to=(f"bob@{DOMAIN}", "open@example.org"),
            bcc=(Contact("hidden@example.org", "Hidden Friend"), f"eve@{DOMAIN}"),
            subject="Plan",
            body="<p>secret plan</p>",
        )
    with world.database.read() as tx:
        for reader in (world.bob, world.eve):
            entry = lists.get_entry(tx, reader, no)
            assert entry is not None
            assert entry.letter.email.bcc == () and entry.deliveries == ()
            assert entry.letter.email.recipients == ()
            (row,) = lists.list_folder(tx, reader, "inbox").rows
            shown = repr(entry) + repr(row)
            assert "hidden" not in shown.lower() and "eve@" not in shown
            for word in ("hidden", "friend", "hidden@example.org"):
                assert search.search(tx, reader, word).total == 0
        own = lists.get_entry(tx, world.ann, no)
        assert own is not None
        assert own.letter.email.bcc == (Contact("hidden@example.org", "Hidden Friend"), Contact(f"eve@{DOMAIN}"))
        assert {one.address: one.role for one in own.deliveries} == {
            f"bob@{DOMAIN}": "to",
            "open@example.org": "to",
            "hidden@example.org": "bcc",
            f"eve@{DOMAIN}": "bcc",
        }
        assert letters.read_email(tx, world.tenant, no).email.bcc == ()
        private = letters.read_email(tx, world.tenant, no, private=True).email
    assert private.bcc == own.letter.email.bcc
    assert private.recipients == (Address("open", "example.org"), Address("hidden", "example.org"))


def test_a_letter_between_people_of_one_box_is_there_at_once_and_never_waits(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(tx, world.ann, to=(f"Bob@{DOMAIN.upper()}",), cc=(f"eve@{DOMAIN}",), body="<p>Hi</p>")
        assert [row.no for row in lists.list_folder(tx, world.bob, "inbox").rows] == [no]
        assert [row.no for row in lists.list_folder(tx, world.eve, "inbox").rows] == [no]
        assert list(packages.waiting_emails(tx, world.tenant, "up")) == []
        assert lists.list_outbox(tx, world.ann).rows == ()
        assert {one.state for one in recipients.deliveries(tx, world.tenant, no)} == {DeliveryState.LOCAL}


def test_a_letter_to_the_world_waits_and_lies_in_the_outbox_of_its_writer_only(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(tx, world.ann, to=("out@example.org", f"bob@{DOMAIN}"))
        assert list(packages.waiting_emails(tx, world.tenant, "up")) == [no]
        assert [row.no for row in lists.list_outbox(tx, world.ann).rows] == [no]
        assert lists.list_outbox(tx, world.bob).rows == ()
        assert lists.counts(tx, world.ann).waiting == 1 and lists.counts(tx, world.bob).waiting == 0


def test_an_unknown_name_here_stops_the_letter_before_anything_is_written(world: World) -> None:
    with world.database.write() as tx:
        with pytest.raises(Refused) as refusal:
            world.written(tx, world.ann, to=("out@example.org", f"bobb@{DOMAIN}"))
        assert (refusal.value.code, refusal.value.field) == ("unknown-person", f"bobb@{DOMAIN}")
        assert letters.count_letters(tx, world.tenant) == 0


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({}, "no-recipient", "to"),
        ({"to": ("out@example.org",), "cc": ("not an address",)}, "address", "not an address"),
        ({"bcc": ("a@b@",)}, "address", "a@b@"),
    ],
)
def test_a_letter_that_can_reach_nobody_is_refused_by_the_field(
    world: World, values: dict[str, object], code: str, field: str
) -> None:
    with world.database.write() as tx:
        with pytest.raises(Refused) as refusal:
            world.written(tx, world.ann, **values)
        assert (refusal.value.code, refusal.value.field) == (code, field)
        assert letters.count_letters(tx, world.tenant) == 0


def test_a_letter_to_oneself_is_unread_in_the_inbox_and_among_the_sent(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(tx, world.ann, to=("out@example.org",), cc=(f"ann@{DOMAIN}",))
        assert [row.no for row in lists.list_folder(tx, world.ann, "inbox").rows] == [no]
        assert [row.no for row in lists.list_folder(tx, world.ann, "sent").rows] == [no]
        counted = lists.counts(tx, world.ann)
        assert (counted.unread, counted.totals) == (1, {"inbox": 1, "sent": 1})


def test_nobody_writes_in_the_name_of_another(world: World) -> None:
    forged = email_from(f"bob@{DOMAIN}", to=("out@example.org",))
    with world.database.write() as tx:
        no = letters.write_letter(tx, world.tenant, world.ann, forged, id=ID, now=START)
        assert letters.read_email(tx, world.tenant, no).email.sender.address == f"ann@{DOMAIN}"


def test_a_letter_written_twice_under_one_id_is_one_letter(world: World) -> None:
    letter = email_from("x", to=("out@example.org", f"bob@{DOMAIN}"))
    with world.database.write() as tx:
        first = letters.write_letter(tx, world.tenant, world.ann, letter, id=ID, now=START)
        again = letters.write_letter(tx, world.tenant, world.ann, letter, id=ID, now=START)
        assert first == again
        assert lists.counts(tx, world.ann).totals == {"sent": 1}
        assert lists.counts(tx, world.bob).inbox_total == 1
        assert list(packages.waiting_emails(tx, world.tenant, "up")) == [first]


def test_a_written_letter_carries_date_and_message_id(world: World) -> None:
    with world.database.write() as tx:
        no = letters.write_letter(tx, world.tenant, world.ann, email_from("x", to=("a@example.org",)), id=ID, now=START)
        stored = letters.read_email(tx, world.tenant, no).email
    assert stored.sent_at == START
    assert stored.message_id == f"<{ID.hex()}@{DOMAIN}>"


def test_one_recipient_named_twice_gets_one_delivery_state(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(tx, world.ann, to=("Out@example.org",), cc=("out@EXAMPLE.org",), bcc=("out@example.org",))
        assert recipients.deliveries(tx, world.tenant, no) == [Delivery("out@example.org", "to", DeliveryState.WAITING)]


_MAY = {
    (DeliveryState.WAITING, DeliveryState.AT_SERVER),
    (DeliveryState.WAITING, DeliveryState.LOCAL),
    (DeliveryState.WAITING, DeliveryState.ACCEPTED),
    (DeliveryState.WAITING, DeliveryState.REFUSED),
    (DeliveryState.AT_SERVER, DeliveryState.LOCAL),
    (DeliveryState.AT_SERVER, DeliveryState.ACCEPTED),
    (DeliveryState.AT_SERVER, DeliveryState.REFUSED),
    (DeliveryState.ACCEPTED, DeliveryState.REFUSED),
    (DeliveryState.LOCAL, DeliveryState.REFUSED),
}


@pytest.mark.parametrize("known", list(DeliveryState))
@pytest.mark.parametrize("told", list(DeliveryState))
def test_a_delivery_state_only_moves_forward(world: World, known: DeliveryState, told: DeliveryState) -> None:
    with world.database.write() as tx:
        no, _ = letters.store_email(tx, world.tenant, WHOLE, id=ID, received_at=START)
        recipients.set_recipients(tx, world.tenant, no, [Delivery("a@example.org", "to", known)])
        moved = recipients.set_recipient_state(tx, world.tenant, no, "a@example.org", told, "why")
        (after,) = recipients.deliveries(tx, world.tenant, no)
    assert moved is ((known, told) in _MAY)
    assert after == Delivery("a@example.org", "to", told if moved else known, "why" if moved else "")


def test_news_of_an_older_version_changes_nothing(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(tx, world.ann, to=("a@example.org",))
        state = recipients.set_recipient_state
        assert state(tx, world.tenant, no, "a@example.org", DeliveryState.AT_SERVER, version=5)
        assert not state(tx, world.tenant, no, "a@example.org", DeliveryState.REFUSED, version=4)
        assert not state(tx, world.tenant, no, "nobody@example.org", DeliveryState.REFUSED, version=9)


def test_files_travel_with_their_letter_and_are_kept_once(world: World) -> None:
    blobs = MemoryBlobStore()
    files = (
        Attachment("a.txt", b"same", "text/plain"),
        Attachment("b.png", b"other", "image/png", cid="pic@1"),
        Attachment("c.txt", b"same", "text/plain"),
    )
    stored = attachments.put_attachments(blobs, DOMAIN, files)
    attachments.put_attachments(blobs, DOMAIN, files)
    with world.database.write() as tx:
        no, _ = letters.store_email(tx, world.tenant, WHOLE, id=ID, received_at=START, attachments=stored)
        assert load_email(tx, blobs, world.tenant, DOMAIN, no).attachments == files
    assert len(list(blobs.list(f"{DOMAIN}/"))) == 2


def test_a_file_that_comes_later_joins_its_letter_once(world: World) -> None:
    late = attachments.StoredAttachment("Été.pdf", "application/pdf", None, "a" * 64, 7)
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        assert attachments.add_attachment_later(tx, world.tenant, no, late) == 0
        assert attachments.add_attachment_later(tx, world.tenant, no, late) == 0
        assert lists.list_folder(tx, world.ann, "inbox").rows[0].attachment_count == 1
        assert search.search(tx, world.ann, "ete").total == 1
        with pytest.raises(NotFound):
            attachments.add_attachment_later(tx, world.tenant, no + 1, late)


def test_answers_stay_in_the_conversation_they_belong_to(world: World) -> None:
    with world.database.write() as tx:
        ours = world.written(tx, world.ann, to=("out@example.org",), references=("<root@example.org>",))
        written = letters.read_email(tx, world.tenant, ours)
        full = world.incoming(
            tx, [world.ann], references=("<root@example.org>", written.email.message_id), message_id="<2@example.org>"
        )
        short = world.incoming(tx, [world.ann], in_reply_to=written.email.message_id)
        elsewhere = world.incoming(tx, [world.ann], message_id="<other@example.org>")
        talk = [letters.read_email(tx, world.tenant, no).conversation for no in (ours, full, short, elsewhere)]
    assert talk[0] == talk[1] == talk[2] != talk[3]


def test_the_envelope_travels_to_the_box_and_is_shown_to_nobody(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann, world.bob], to=("everybody@lists.example.org",))
        recipients.set_envelope(
            tx, world.tenant, no, {f"ann@{DOMAIN}": "delivered", f"zoe@{DOMAIN}": "unknown", "": "dead"}
        )
        assert unknown_people(tx, world.tenant) == [(no, f"zoe@{DOMAIN}")]
        assert letters.read_email(tx, world.tenant, no).email.recipients == ()
        assert letters.read_email(tx, world.tenant, no, private=True).email.recipients == (
            Address("ann", DOMAIN),
            Address("zoe", DOMAIN),
        )
        recipients.set_envelope_state(tx, world.tenant, no, f"zoe@{DOMAIN}", "delivered")
        assert unknown_people(tx, world.tenant) == []


def test_a_suspended_person_still_gets_letters(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_suspended(tx, world.bob, True)
        world.written(tx, world.ann, to=(f"bob@{DOMAIN}",))
        assert lists.counts(tx, world.bob).inbox_total == 1


def test_the_preview_is_the_beginning_of_what_is_read(world: World) -> None:
    with world.database.write() as tx:
        world.incoming(tx, [world.ann], body="<style>p{}</style><p>a &lt; b</p><p>wo<b>rd</b></p>" + "<br>x" * 200)
        (row,) = lists.list_folder(tx, world.ann, "inbox").rows
    assert row.preview.startswith("a < b word x x")
    assert len(row.preview) <= 120


def test_lists_are_ordered_by_arrival_whatever_the_clock_says(world: World) -> None:
    with world.database.write() as tx:
        numbers = []
        for days in (0, -4000, 9000, 1):
            world.now = START + timedelta(days=days)
            numbers.append(world.incoming(tx, [world.ann], sent_at=world.now))
        assert [row.no for row in lists.list_folder(tx, world.ann, "inbox").rows] == numbers[::-1]
