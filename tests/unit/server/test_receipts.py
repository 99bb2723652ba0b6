"""What became of a letter goes home as a receipt, and what the world sends back is matched by the envelope alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lokole.mail.errors import Permanent
from lokole.mail.model import Contact, DeliveryState, Email, EmailId
from lokole.mailbox.recipients import deliveries
from lokole.mailbox.roaming import find_wire
from lokole.server import intake, strangers
from lokole.server.strangers import Verdict
from lokole.sync.records import AccountRecord, EmailRecord, ReceiptRecord, ToldRecord, UnknownRecord
from tests.unit.mail.test_dsn import report
from tests.unit.server.place import BoxAtPlace, Place

DOMAIN = "a.lokole.test"
UID = "0" * 31 + "1"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box(DOMAIN, ["ann"])


def letter(uid: str = UID, to: str = "bob@example.org") -> EmailRecord:
    return EmailRecord(uid, Email(sender=Contact(f"ann@{DOMAIN}"), to=(Contact(to),), subject="Hello"))


def home(box: BoxAtPlace) -> list[object]:
    """All records of what waits for the box, acknowledged; without the word about its own packages."""
    found: list[object] = []
    for offered in box.offers():
        found += [one for one in box.get(offered) if type(one).__name__ != "AckRecord"]
        box.acknowledge(offered["epoch"], 0, [offered["seq"]])
    return found


def receipts(box: BoxAtPlace) -> list[tuple[str, str, int]]:
    return [
        (one.state.value, one.reason or one.code, one.version) for one in home(box) if isinstance(one, ReceiptRecord)
    ]


def state(place: Place) -> DeliveryState:
    row = place.row(DOMAIN)
    with place.ports.database.read() as tx:
        no = find_wire(tx, row.no, EmailId(bytes.fromhex(UID)))
        assert no is not None
        return deliveries(tx, row.no, no)[0].state


def test_an_accepted_letter_goes_home_as_one_receipt(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter()])
    assert receipts(box) == [("accepted", "", 1)]
    assert box.offers() == []


def test_a_refused_letter_goes_home_as_a_receipt_and_not_as_a_letter(place: Place, box: BoxAtPlace) -> None:
    place.world.troubles = [Permanent("no", reason="550 no such user")]
    box.put_sealed([letter()])
    (one,) = home(box)
    assert isinstance(one, ReceiptRecord)
    assert (one.email_id.hex(), one.address, one.state) == (UID, "bob@example.org", DeliveryState.REFUSED)
    assert one.reason == "550 no such user"


def test_a_word_of_ours_travels_as_a_code(place: Place, box: BoxAtPlace) -> None:
    place.box("b.lokole.test", ["zoe"])
    place.world.troubles = [Permanent("no", reason="nobody")]
    box.put_sealed([letter()])
    (one,) = home(box)
    assert isinstance(one, ReceiptRecord)
    assert (one.code, one.reason) == ("nobody", "")


@pytest.mark.parametrize("way", ["smtp", "webhook"])
def test_a_notification_refuses_and_is_nobodys_letter(place: Place, box: BoxAtPlace, way: str) -> None:
    box.put_sealed([letter()])
    assert receipts(box) == [("accepted", "", 1)]
    (sent,) = place.world.sent
    raw = report(
        "Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; full"
    )
    for back in (sent.sender, sent.sender.upper()):
        if way == "smtp":
            assert strangers.decide(place.ports, "", back) is Verdict.HERE
            intake.accept(place.ports, "", [back], raw)
        else:
            place.webhook(box.webhook, raw, [back], sender="")
    assert receipts(box) == [("refused", "full", 2)]
    assert state(place) is DeliveryState.REFUSED
    assert place.quarantined() == []


def test_a_delay_is_no_failure(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter()])
    home(box)
    back = place.world.sent[0].sender
    intake.accept(place.ports, "", [back], report("Action: delayed\r\nStatus: 4.4.1"))
    assert state(place) is DeliveryState.ACCEPTED
    assert home(box) == []


def test_what_is_no_notification_is_for_the_operator(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter()])
    home(box)
    intake.accept(place.ports, "", [place.world.sent[0].sender], b"Subject: I am away\r\n\r\nuntil May")
    assert [one.kind for one in place.quarantined()] == ["dead-letter"]
    assert home(box) == []


def test_an_envelope_that_nobody_made_is_nobodys(place: Place, box: BoxAtPlace) -> None:
    stranger = f"bounce-{'a' * 26}@{DOMAIN}"
    assert strangers.decide(place.ports, "", stranger) is Verdict.NOBODY
    other = place.box("b.lokole.test", ["zoe"])
    box.put_sealed([letter()])
    elsewhere = place.world.sent[0].sender.replace("@a.", "@b.")
    assert strangers.decide(place.ports, "", elsewhere) is Verdict.NOBODY
    assert other.offers() == []


def test_what_could_not_be_taken_is_told_and_what_is_not_known_is_kept(place: Place, box: BoxAtPlace) -> None:
    foreign = EmailRecord("0" * 31 + "2", Email(sender=Contact("eve@else.test"), to=(Contact("bob@example.org"),)))
    box.put_sealed([UnknownRecord(99, b"of later"), foreign, letter(), AccountRecord(f"ben@{DOMAIN}", version=1)])
    told = [one for one in home(box) if isinstance(one, ToldRecord)]
    assert [(one.record, one.code) for one in told] == [(2, "record")]
    assert sorted(one.kind for one in place.quarantined()) == ["record", "unknown"]
    assert state(place) is DeliveryState.ACCEPTED


def test_a_package_for_another_server_is_set_aside_and_told(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter()], tenant="b.lokole.test")
    (told,) = [one for one in home(box) if isinstance(one, ToldRecord)]
    assert (told.record, told.code) == (0, "unknown-sender")
    assert [one.kind for one in place.quarantined()] == ["package"]


def test_one_name_for_two_letters_loses_neither(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter()])
    box.put_sealed([letter()])
    box.put_sealed([letter(to="carl@example.org")])
    assert [one.recipient for one in place.world.sent] == ["bob@example.org", "carl@example.org"]
    assert [one.kind for one in place.quarantined()] == ["twin"]


def namesake() -> EmailRecord:
    """Another letter to the same person under the same name: a restored box has made it."""
    plain = letter()
    return EmailRecord(UID, replace(plain.email, subject="Hello again"))


def test_what_became_of_one_of_two_letters_of_a_name_is_heard_though_the_other_is_further(
    place: Place, box: BoxAtPlace
) -> None:
    box.put_sealed([letter()])
    back = place.world.sent[0].sender
    intake.accept(place.ports, "", [back], report("Action: failed\r\nStatus: 5.2.2"))
    assert [one[0] for one in receipts(box)] == ["refused"]
    box.put_sealed([namesake()])
    assert [one[0] for one in receipts(box)] == ["accepted"]


def test_a_refusal_of_one_of_two_letters_of_a_name_is_a_letter_to_the_writer_and_refuses_not_the_other(
    place: Place, box: BoxAtPlace
) -> None:
    box.put_sealed([letter()])
    back = place.world.sent[0].sender
    box.put_sealed([namesake()])
    home(box)
    intake.accept(place.ports, "", [back], report("Action: failed\r\nStatus: 5.2.2"))
    (told,) = home(box)
    assert isinstance(told, EmailRecord)
    assert told.email.subject == "Your letter did not arrive: Hello"
