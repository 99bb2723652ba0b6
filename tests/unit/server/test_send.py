"""Letters of a box on their way to the world, and what the writer is told."""

from __future__ import annotations

import email
import re
from collections.abc import Iterable
from dataclasses import replace
from email.policy import default

import pytest
from sqlalchemy import update

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mail.errors import Permanent, Temporary
from lokole.mail.model import Attachment, Contact, DeliveryState, Email
from lokole.mailbox.recipients import deliveries
from lokole.mailbox.schema import job
from lokole.mailbox.seen import find_by_uid
from lokole.ports.identity import Caller
from lokole.server import devices
from lokole.server.bell import Doorbell
from lokole.sync.records import AccountRecord, EmailRecord
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place


def letter(
    uid: str = "u1", to: tuple[str, ...] = ("bob@example.org",), domain: str = "a.lokole.test", **more: object
) -> EmailRecord:
    fields: dict[str, object] = {
        "sender": Contact(f"ann@{domain}", "Ann"),
        "to": tuple(Contact(one) for one in to),
        "subject": "the well",
        "body": "<p>It is <b>repaired</b>.</p>",
    }
    return EmailRecord(uid, Email(**(fields | more)))  # type: ignore[arg-type]


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann", "carl"])


def states(place: Place, uid: str = "u1") -> dict[str, tuple[DeliveryState, str]]:
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        no = find_by_uid(tx, row.no, uid)
        assert no is not None
        return {one.address: (one.state, one.reason) for one in deliveries(tx, row.no, no)}


def test_a_letter_leaves_once_for_each_recipient(place: Place, box: BoxAtPlace) -> None:
    box.put([letter(to=("bob@example.org", "eve@example.com"), bcc=(Contact("secret@example.net"),))])
    assert sorted(one.recipient for one in place.world.sent) == [
        "bob@example.org",
        "eve@example.com",
        "secret@example.net",
    ]
    assert all(re.fullmatch(r"bounce-[a-z2-7]{26}@a\.lokole\.test", one.sender) for one in place.world.sent)
    read = email.message_from_bytes(place.world.sent[0].message, policy=default)
    assert read["from"] == "Ann <ann@a.lokole.test>"
    assert read["bcc"] is None
    assert b"secret@" not in place.world.sent[0].message
    body = read.get_body(("html",))
    assert body is not None
    assert "<b>repaired</b>" in body.get_content()
    assert set(states(place).values()) == {(DeliveryState.ACCEPTED, "")}


def test_work_that_comes_back_after_it_was_done_sends_nothing(place: Place, box: BoxAtPlace) -> None:
    """As after a restored database, or a row that an operator made due once more."""
    box.put([letter()])
    with place.ports.database.write() as tx:
        tx.execute(update(job).where(job.c.kind == "send").values(state="ready"))
    place.work()
    assert len(place.world.sent) == 1
    assert place.jobs("ready", "send") == 0


def test_files_travel_and_scripts_do_not(place: Place, box: BoxAtPlace) -> None:
    files = (Attachment("plan.pdf", b"%PDF-1.4 \x00", "application/pdf"),)
    box.put([letter(body="<p>look</p><script>alert(1)</script>", attachments=files)])
    read = email.message_from_bytes(place.world.sent[0].message, policy=default)
    (found,) = list(read.iter_attachments())
    assert (found.get_filename(), found.get_content()) == ("plan.pdf", b"%PDF-1.4 \x00")
    assert b"alert" not in place.world.sent[0].message


def test_the_same_letter_in_two_packages_leaves_once(place: Place, box: BoxAtPlace) -> None:
    box.put([letter()])
    box.put([letter(), letter("u2")])
    assert len(place.world.sent) == 2


def test_a_uid_is_known_under_its_own_box_only(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["ann"])
    box.put([letter()])
    other.put([letter(domain="b.lokole.test")])
    assert sorted(one.sender.partition("@")[2] for one in place.world.sent) == ["a.lokole.test", "b.lokole.test"]


def test_a_temporary_failure_is_tried_again_with_growing_gaps_and_one_message_id(place: Place, box: BoxAtPlace) -> None:
    place.world.troubles = [Temporary("busy")] * 3
    box.put([letter()])
    assert place.world.sent == []
    attempts = [len(place.world.attempts)]
    for minutes in (1, 5, 15):
        place.clock.pass_by(minutes=minutes, seconds=-1)
        place.work()
        assert len(place.world.attempts) == attempts[-1]
        place.clock.pass_by(seconds=1)
        place.work()
        attempts.append(len(place.world.attempts))
    assert attempts == [1, 2, 3, 4]
    assert len(place.world.sent) == 1
    assert len(set(place.world.attempts)) == 1  # the same bytes, so the same Message-ID and Date
    assert states(place) == {"bob@example.org": (DeliveryState.ACCEPTED, "")}


def test_after_five_days_the_writer_is_told_and_the_job_is_dead(place: Place, box: BoxAtPlace) -> None:
    place.world.troubles = [Temporary("busy")] * 1000
    box.put([letter()])
    for _ in range(60):
        place.clock.pass_by(hours=3)
        place.work()
    assert states(place) == {"bob@example.org": (DeliveryState.REFUSED, "expired")}
    assert 20 < len(place.world.attempts) < 35
    (home,) = box.fetch()
    assert "five days" in home.email.body
    assert place.jobs("dead", "send") == 1
    place.clock.pass_by(days=1)
    place.work()
    assert box.fetch() == []


def test_a_permanent_failure_becomes_a_letter_home_in_the_writers_language(place: Place, box: BoxAtPlace) -> None:
    box.put([AccountRecord("ann@a.lokole.test", language="fr", version=2)])
    place.world.troubles = [Permanent("no", reason="550 5.1.1 <nobody> & nothing")]
    box.put([letter()])
    assert states(place) == {"bob@example.org": (DeliveryState.REFUSED, "550 5.1.1 <nobody> & nothing")}
    (home,) = box.fetch()
    assert home.email.sender == Contact("postmaster@a.lokole.test", "Lokole")
    assert [one.address for one in home.email.to] == ["ann@a.lokole.test"]
    assert home.email.subject == "Votre lettre n’est pas arrivée : the well"
    assert "550 5.1.1 &lt;nobody&gt; &amp; nothing" in home.email.body
    assert "bob@example.org" in home.email.body
    assert [str(one) for one in home.email.recipients] == ["ann@a.lokole.test"]
    sent_id = email.message_from_bytes(place.world.attempts[0], policy=default)["message-id"]
    assert home.email.in_reply_to == sent_id
    assert place.world.sent == []  # nothing of it leaves by SMTP


def test_a_failure_for_one_recipient_does_not_hold_up_another(place: Place, box: BoxAtPlace) -> None:
    box.put([letter(to=("permanent-failure@example.org", "temporary-failure@example.org", "bob@example.org"))])
    assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
    assert {address: state for address, (state, _) in states(place).items()} == {
        "permanent-failure@example.org": DeliveryState.REFUSED,
        "temporary-failure@example.org": DeliveryState.AT_SERVER,
        "bob@example.org": DeliveryState.ACCEPTED,
    }
    (home,) = box.fetch()
    assert "permanent-failure@example.org" in home.email.body


def test_an_address_that_is_none_comes_home_and_the_others_get_theirs(place: Place, box: BoxAtPlace) -> None:
    box.put([letter(to=("not an address", "bob@example.org"))])
    assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
    (home,) = box.fetch()
    assert "not an address" in home.email.body
    assert "not a valid address" in home.email.body


def test_people_of_the_box_itself_are_left_to_the_box(place: Place, box: BoxAtPlace) -> None:
    box.put([letter(to=("carl@a.lokole.test", "bob@example.org"))])
    assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
    assert box.fetch() == []


def test_a_letter_to_another_box_of_this_server_takes_no_detour(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["dora"])
    box.put([letter(to=("dora@b.lokole.test", "bob@example.org"))])
    assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
    (arrived,) = other.fetch()
    assert arrived.email.sender == Contact("ann@a.lokole.test", "Ann")
    assert [str(one) for one in arrived.email.recipients] == ["dora@b.lokole.test"]
    assert states(place)["dora@b.lokole.test"] == (DeliveryState.ACCEPTED, "")


def test_a_letter_to_a_stranger_at_another_box_waits_for_its_visit_and_then_comes_home(
    place: Place, box: BoxAtPlace
) -> None:
    other = place.box("b.lokole.test", ["dora"])
    place.clock.pass_by(hours=1)
    box.put([letter(to=("nobody@b.lokole.test",))])
    assert states(place)["nobody@b.lokole.test"][0] is DeliveryState.AT_SERVER
    place.clock.pass_by(hours=1)
    place.work()
    assert states(place)["nobody@b.lokole.test"][0] is DeliveryState.AT_SERVER
    other.offers()
    place.clock.pass_by(hours=1)
    place.work()
    assert states(place)["nobody@b.lokole.test"] == (DeliveryState.REFUSED, "nobody")
    (home,) = box.fetch()
    assert "nobody there has this name" in home.email.body


def test_a_nonsense_clock_of_the_box_does_not_reach_the_world(place: Place, box: BoxAtPlace) -> None:
    from datetime import UTC, datetime

    box.put([letter(sent_at=datetime(1970, 1, 1, tzinfo=UTC)), letter("u2", sent_at=datetime(2038, 1, 1, tzinfo=UTC))])
    dates = {email.message_from_bytes(one.message, policy=default)["date"] for one in place.world.sent}
    assert dates == {"Sun, 01 Mar 2026 12:00:00 +0000"}


def test_the_boxes_message_id_is_kept_when_it_is_of_its_domain(place: Place, box: BoxAtPlace) -> None:
    own, foreign = "<0a1b@a.lokole.test>", "<x@example.org>"
    box.put(
        [
            letter(message_id=own),
            letter("u2", message_id=foreign),
            letter("u3", message_id="<a@a.lokole.test>\r\nBcc: x"),
        ]
    )
    ids = [email.message_from_bytes(one.message, policy=default)["message-id"] for one in place.world.sent]
    assert ids[0] == own
    assert foreign not in ids
    assert all(one.endswith("@a.lokole.test>") for one in ids)
    assert len(set(ids)) == 3


class _GoesMeanwhile(MemoryBlobStore):
    """The domain of the other box is deleted when the letter is about to be kept for it."""

    def __init__(self, place: Place, domain: str) -> None:
        super().__init__()
        self._place = place
        self._domain = domain

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        if key.startswith(f"{self._domain}/raw/"):
            somebody = replace(self._place.ports, bell=Doorbell())  # whose work is done later
            devices.delete(somebody, Caller(OPERATOR[0], may_override=True), self._domain)
        return super().put(key, content)


def test_a_letter_to_a_box_whose_domain_goes_at_that_moment_is_not_said_to_have_arrived(
    place: Place, box: BoxAtPlace
) -> None:
    place.box("b.lokole.test", ["zoe"])
    object.__setattr__(place.ports, "blobs", _GoesMeanwhile(place, "b.lokole.test"))
    box.put([letter(to=("zoe@b.lokole.test",))])
    assert states(place) == {"zoe@b.lokole.test": (DeliveryState.AT_SERVER, "")}
    place.clock.pass_by(hours=1)
    place.work()
    # from then on it is an address in the world, as any other
    assert [one.recipient for one in place.world.sent] == ["zoe@b.lokole.test"]
