"""What SendGrid tells of letters becomes receipts, and addresses that came back are written to no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.config import Url
from lokole.mail.errors import Permanent
from lokole.mail.model import Contact, DeliveryState
from lokole.mailbox.suppressions import is_hard
from lokole.server import intake
from lokole.sync.records import ReceiptRecord
from tests.sendgrid import KEY, SendGrid, sendgrid
from tests.unit.mail.test_dsn import report
from tests.unit.server.place import NEIGHBOUR, NOON, OPERATOR, BoxAtPlace, Place, place_in
from tests.unit.server.test_send import letter, states
from tests.unit.server.test_signed_webhook import public_text, signed

BOB, EVE = "bob@example.org", "eve@example.com"
PATH = "/api/email/sendgrid/events"
SUPPRESSED = "/api/email/register/a.lokole.test/suppressed"


@pytest.fixture
def world() -> Iterator[SendGrid]:
    with sendgrid() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, world: SendGrid) -> Iterator[Place]:
    way = SendGridMailOut(KEY, base_url=world.url, timeout=5)
    with place_in(tmp_path, mail_out_port=way, sendgrid_key=KEY, mail_out=Url("sendgrid:")) as found:
        yield found


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    box = place.box("a.lokole.test", ["ann"])
    box.put([letter(to=(BOB, EVE))])
    return box


def tell(place: Place, events: Any, **more: Any) -> httpx2.Response:
    return place.client.post(PATH, content=json.dumps(events).encode(), **more)


def suppressed(place: Place) -> dict[str, str]:
    found = place.client.get(SUPPRESSED, auth=OPERATOR).json()["suppressed"]
    return {one["address"]: one["cause"] for one in found}


def test_a_bounce_becomes_a_receipt_for_its_recipient_alone(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    event = world.events("bounce", "Eve@Example.com", type="bounce", status="5.1.1", reason="550 5.1.1 no such user")
    for _ in range(2):
        answer = tell(place, event)
        assert (answer.status_code, answer.json()) == (200, "received")
    assert states(place) == {BOB: (DeliveryState.ACCEPTED, ""), EVE: (DeliveryState.REFUSED, "550 5.1.1 no such user")}
    assert len(box.fetch()) == 1
    assert suppressed(place) == {EVE: "bounce"}


def test_the_box_reads_it_as_a_receipt(place: Place, world: SendGrid) -> None:
    box = place.box("b.lokole.test", ["ann"])
    box.put_sealed([letter("0" * 31 + "1", (BOB,), "b.lokole.test")])
    tell(place, world.events("spamreport", BOB))
    records = [one for offered in box.offers() for one in box.get(offered) if isinstance(one, ReceiptRecord)]
    assert [(one.state, one.code) for one in records][-1] == (DeliveryState.REFUSED, "complaint")


@pytest.mark.parametrize(
    ("event", "more", "state", "cause"),
    [
        ("bounce", {"type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 our policy"}, "refused", None),
        ("bounce", {"type": "bounce", "reason": "500 gone"}, "refused", "bounce"),
        ("dropped", {"reason": "Bounced Address"}, "refused", "bounce"),
        ("dropped", {"reason": "Spam Reporting Address"}, "refused", "complaint"),
        ("dropped", {"reason": "Unsubscribed Address"}, "refused", "unsubscribed"),
        ("dropped", {"reason": "Spam Content (if spam checker app enabled)"}, "refused", None),
        ("spamreport", {}, "refused", "complaint"),
        ("unsubscribe", {}, "accepted", "unsubscribed"),
        ("delivered", {"response": "250 OK"}, "accepted", None),
        ("deferred", {"response": "450 later"}, "accepted", None),
        ("processed", {}, "accepted", None),
        ("open", {}, "accepted", None),
        ("of-tomorrow", {}, "accepted", None),
    ],
)
def test_each_event(
    place: Place, box: BoxAtPlace, world: SendGrid, event: str, more: dict[str, str], state: str, cause: str | None
) -> None:
    assert tell(place, world.events(event, BOB, **more)).status_code == 200
    assert states(place)[BOB][0].value == state
    assert suppressed(place) == ({} if cause is None else {BOB: cause})


def test_a_delivery_that_is_told_after_its_bounce_takes_nothing_back(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    tell(place, world.events("bounce", BOB, reason="full") + world.events("delivered", BOB))
    assert states(place)[BOB] == (DeliveryState.REFUSED, "full")


def test_what_is_about_no_letter_of_ours_changes_nothing(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    right = world.events("bounce", BOB, type="bounce", reason="x")[0]
    wrong = [
        right | {"lokole_envelope": f"bounce-{'a' * 26}@a.lokole.test"},
        right | {"lokole_envelope": right["lokole_envelope"].replace("@a.", "@b.")},
        right | {"lokole_envelope": None},
        right | {"email": "somebody@example.org"},
        right | {"email": 7},
        {key: value for key, value in right.items() if key != "lokole_envelope"},
        {},
    ]
    assert tell(place, [*wrong, "text", None, 3]).status_code == 200
    assert set(states(place).values()) == {(DeliveryState.ACCEPTED, "")}
    assert suppressed(place) == {}


@pytest.mark.parametrize("body", [b"", b"{", b'{"event": "bounce"}', b"[" * 100_000, b"\xff"])
def test_what_is_no_batch_is_400(place: Place, box: BoxAtPlace, body: bytes) -> None:
    assert place.client.post(PATH, content=body).status_code == 400


def test_the_next_letter_is_refused_at_once_until_an_operator_allows_it(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    tell(place, world.events("bounce", EVE, type="bounce", reason="550 5.1.1 nobody"))
    box.fetch()
    box.put([letter("u2", (BOB, "EVE@example.com"))])
    assert world.recipients()[2:] == [BOB]
    assert states(place, "u2")[
        "eve@example.com" if "eve@example.com" in states(place, "u2") else "EVE@example.com"
    ] == (
        DeliveryState.REFUSED,
        "suppressed",
    )
    (home,) = box.fetch()
    assert "come back before" in home.email.body
    assert place.client.delete(f"{SUPPRESSED}?address=Eve%40example.com", auth=OPERATOR).json() == "lifted"
    assert place.client.delete(f"{SUPPRESSED}?address=Eve%40example.com", auth=OPERATOR).status_code == 404
    box.put([letter("u3", (EVE,))])
    assert world.recipients()[3:] == [EVE]


def test_an_address_that_an_operator_allows_is_allowed_at_sendgrid_too_however_often_it_must_be_asked(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    tell(place, world.events("spamreport", EVE))
    world.held["suppression/spam_reports"].add(EVE)
    world.may_lift = False
    assert place.client.delete(f"{SUPPRESSED}?address={EVE}", auth=OPERATOR).json() == "lifted"
    assert suppressed(place) == {}
    assert place.jobs("ready", "lift") == 1
    assert ["Suppressions" in one.reason for one in place.quarantined()] == [True]
    world.may_lift = True
    place.clock.pass_by(minutes=1)
    place.work()
    assert world.held["suppression/spam_reports"] == set()
    assert (place.jobs("ready", "lift"), place.jobs("dead", "lift")) == (0, 0)


def test_it_is_for_one_domain_and_for_its_owner(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    tell(place, world.events("bounce", EVE, type="bounce", reason="550 5.1.1 nobody"))
    token = {"Authorization": f"Bearer {NEIGHBOUR}"}
    assert place.client.get(SUPPRESSED, headers=token).status_code == 403
    assert place.client.delete(f"{SUPPRESSED}?address={EVE}", headers=token).status_code == 403
    other = place.box("b.lokole.test", ["zoe"])
    other.put([letter(to=(EVE,), domain="b.lokole.test", sender=Contact("zoe@b.lokole.test"))])
    assert world.recipients()[2:] == [EVE]


def test_with_a_public_key_only_what_is_signed_is_heard(tmp_path: Path, world: SendGrid) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    way = SendGridMailOut(KEY, base_url=world.url, timeout=5)
    with place_in(tmp_path, mail_out_port=way, sendgrid_events_key=public_text(key)) as place:
        place.box("a.lokole.test", ["ann"]).put([letter(to=(BOB,))])
        body = json.dumps(world.events("bounce", BOB, reason="550 no")).encode() + b"\r\n"
        right = signed(key, body, NOON)
        for headers in ({}, {**right, "X-Twilio-Email-Event-Webhook-Timestamp": "1"}):
            assert place.client.post(PATH, content=body, headers=headers).status_code == 403
        assert place.client.post(PATH, content=body + b" ", headers=right).status_code == 403
        assert states(place)[BOB][0] is DeliveryState.ACCEPTED
        assert place.client.post(PATH, content=body, headers=right).status_code == 200
        assert states(place)[BOB][0] is DeliveryState.REFUSED


def test_a_notification_by_mail_does_the_same(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        box = place.box("a.lokole.test", ["ann"])
        box.put([letter(to=(BOB, EVE))])
        back = {one.recipient: one.sender for one in place.world.sent}
        full = "Final-Recipient: rfc822; {}\r\nAction: failed\r\nStatus: 5.2.2"
        gone = "Final-Recipient: rfc822; {}\r\nAction: failed\r\nStatus: 5.1.1"
        intake.accept(place.ports, "", [back[BOB]], report(full.format(BOB)))
        intake.accept(place.ports, "", [back[EVE]], report(gone.format(EVE)))
        place.work()
        assert suppressed(place) == {EVE: "bounce"}
        box.put([letter("u2", (BOB, EVE))])
        assert [one.recipient for one in place.world.sent][2:] == [BOB]


def test_so_does_a_relay_that_refuses_the_address(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.world.troubles = [
            Permanent("no", reason="550 5.7.1 spam"),
            Permanent("no", reason="550 5.1.1 unknown user"),
        ]
        box.put([letter(to=(BOB,)), letter("u2", to=(EVE,))])
        assert suppressed(place) == {EVE: "bounce"}


def test_what_is_gone_for_good_is_told_from_what_may_change() -> None:
    for said in ("5.1.1", "550 5.1.1 <x>: unknown", "550-5.1.10 null MX", "551 5.1.6 moved"):
        assert is_hard(said), said
    for said in ("", "550 no such user", "5.2.2", "5.7.1", "15.1.1", "5.1.11", "4.1.1", "10.5.1.1", "5.1.3", "5.1.8"):
        assert not is_hard(said), said
