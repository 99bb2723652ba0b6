"""A complaint by mail does what one by SendGrid's events does, for the letter that it can name and for no other."""

from __future__ import annotations

import pytest

from lokole.mail.model import DeliveryState
from lokole.server import intake
from tests.unit.mail.test_complaint import feedback
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place
from tests.unit.server.test_receipts import DOMAIN, home, letter, receipts, state

BOB = "bob@example.org"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box(DOMAIN, ["ann"])


def report(sender: str, kind: str = "abuse", recipient: str = BOB) -> bytes:
    fields = f"Feedback-Type: {kind}\r\nVersion: 1\r\nOriginal-Mail-From: <{sender}>\r\nOriginal-Rcpt-To: <{recipient}>"
    return feedback(fields)


def suppressed(place: Place) -> dict[str, str]:
    answer = place.client.get(f"/api/email/register/{DOMAIN}/suppressed", auth=OPERATOR)
    return {one["address"]: one["cause"] for one in answer.json()["suppressed"]}


@pytest.mark.parametrize("to", ["abuse", "Postmaster", "bounce"])
@pytest.mark.parametrize("shown", [BOB, "redacted@example.org", ""])
def test_a_complaint_refuses_the_letter_holds_the_address_back_and_the_writer_reads_it(
    place: Place, box: BoxAtPlace, to: str, shown: str
) -> None:
    box.put_sealed([letter()])
    assert receipts(box) == [("accepted", "", 1)]
    (sent,) = place.world.sent
    where = sent.sender if to == "bounce" else f"{to}@{DOMAIN}"
    for _ in range(2):  # it may come twice
        intake.accept(place.ports, "fbl@provider.example", [where], report(sent.sender, recipient=shown))
    assert receipts(box) == [("refused", "complaint", 2)]
    assert state(place) is DeliveryState.REFUSED
    assert suppressed(place) == {BOB: "complaint"}
    assert place.quarantined() == []
    box.put_sealed([letter("0" * 31 + "2")])
    assert len(place.world.sent) == 1


def test_who_asks_for_no_more_letters_is_held_back_and_the_letter_was_read(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter()])
    home(box)
    raw = report(place.world.sent[0].sender, "opt-out")
    intake.accept(place.ports, "fbl@provider.example", [f"abuse@{DOMAIN}"], raw)
    assert suppressed(place) == {BOB: "unsubscribed"}
    assert state(place) is DeliveryState.ACCEPTED


def test_a_complaint_about_no_letter_of_ours_or_none_is_for_the_operator(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter()])
    home(box)
    sender = place.world.sent[0].sender
    guessed = f"bounce-{'a' * 26}@{DOMAIN}"
    for raw in (report(guessed), report(f"ann@{DOMAIN}"), report(sender, "not-spam"), report("")):
        intake.accept(place.ports, "fbl@provider.example", [f"abuse@{DOMAIN}"], raw)
    assert suppressed(place) == {}
    assert state(place) is DeliveryState.ACCEPTED
    assert [one.reason for one in place.quarantined()] == ["for the operator of this domain"] * 4


def test_a_report_at_one_domain_may_be_about_a_letter_of_another(place: Place, box: BoxAtPlace) -> None:
    """Providers send all reports to the one address that the operator gave them."""
    place.box("b.lokole.test", ["zoe"])
    box.put_sealed([letter()])
    home(box)
    intake.accept(place.ports, "fbl@provider.example", ["abuse@b.lokole.test"], report(place.world.sent[0].sender))
    assert suppressed(place) == {BOB: "complaint"}
    assert state(place) is DeliveryState.REFUSED
