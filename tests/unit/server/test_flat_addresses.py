"""People written as ``user-box@domain``: what leaves, and that answers find box and person by every way."""

from __future__ import annotations

import email
import json
from collections.abc import Iterator
from email.policy import default
from pathlib import Path

import pytest

from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.mail.model import Contact, DeliveryState
from lokole.server import intake, strangers
from lokole.server.settings import SenderAddresses
from lokole.server.strangers import Verdict
from tests.sendgrid import KEY, sendgrid
from tests.unit.mail.test_dsn import report
from tests.unit.server.place import BoxAtPlace, Place, message, place_in
from tests.unit.server.test_send import letter, states

ROOT, SECRET = "lokole.test", "0123456789abcdef"
ANN, CARL = f"ann-a@{ROOT}", f"carl-a@{ROOT}"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, sender_addresses=SenderAddresses.FLAT, flat_domain=ROOT, flat_webhook=SECRET) as found:
        yield found


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box(f"a.{ROOT}", ["ann", "carl"])


def test_what_leaves_names_everybody_of_the_boxes_flat(place: Place, box: BoxAtPlace) -> None:
    people = tuple(Contact(one) for one in ("carl@a.lokole.test", "dora@b-c.lokole.test"))
    place.box("b-c.lokole.test", ["dora"])
    box.put([letter(cc=people, reply_to=(Contact("carl@a.lokole.test"),))])
    (sent,) = place.world.sent
    read = email.message_from_bytes(sent.message, policy=default)
    assert read["from"] == f"Ann <{ANN}>"
    assert read["reply-to"] == CARL
    assert read["cc"] == f"{CARL}, dora-b--c@{ROOT}"
    assert sent.sender.startswith("bounce--") and sent.sender.endswith(f"-a@{ROOT}")


def test_another_box_of_this_server_sees_people_as_they_are(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["dora"])
    for uid, to in (("u1", "dora@b.lokole.test"), ("u2", f"dora-b@{ROOT}")):
        box.put([letter(uid, (to,))])
        (arrived,) = other.fetch()
        assert arrived.email.sender.address == "ann@a.lokole.test"
        assert [str(one) for one in arrived.email.recipients] == ["dora@b.lokole.test"]
    assert place.world.sent == []


def test_an_answer_by_smtp_finds_box_and_person(place: Place, box: BoxAtPlace) -> None:
    assert strangers.decide(place.ports, "bob@example.org", ANN.upper()) is Verdict.HERE
    assert strangers.decide(place.ports, "bob@example.org", f"ann-z@{ROOT}") is Verdict.NO_DOMAIN
    assert strangers.decide(place.ports, "bob@example.org", f"ann@{ROOT}") is Verdict.NO_DOMAIN
    intake.accept(place.ports, "bob@example.org", [ANN], message(to=f"{ANN}, {CARL}, eve@example.org"))
    place.work()
    (arrived,) = box.fetch()
    assert [str(one) for one in arrived.email.recipients] == ["ann@a.lokole.test"]
    assert [one.address for one in arrived.email.to] == ["ann@a.lokole.test", "carl@a.lokole.test", "eve@example.org"]


@pytest.mark.parametrize("way", ["of the box", "shared"])
def test_an_answer_by_webhook_does_too(place: Place, box: BoxAtPlace, way: str) -> None:
    secret = SECRET if way == "shared" else box.webhook
    for _ in range(2):
        answer = place.webhook(secret, message(to=ANN), [ANN])
        assert (answer.status_code, answer.json()) == (200, "received")
    (arrived,) = box.fetch()
    assert [str(one) for one in arrived.email.recipients] == ["ann@a.lokole.test"]


def test_one_post_is_for_two_boxes_and_without_envelope_the_header_counts(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["dora"])
    place.webhook(SECRET, message(), [ANN, f"dora-b@{ROOT}"])
    assert (len(box.fetch()), len(other.fetch())) == (1, 1)
    place.webhook(SECRET, message(to=f"{ANN}, x@example.org", subject="two"))
    assert [one.email.subject for one in box.fetch()] == ["two"]


def test_what_is_for_nobody_stands_apart_and_is_not_lost(place: Place, box: BoxAtPlace) -> None:
    raw = message(to="nobody")
    for to in ([f"nobody@{ROOT}"], [f"ann-z@{ROOT}", "not an address"], []):
        assert place.webhook(SECRET, raw, to).status_code == 200
    (one,) = place.quarantined()
    assert (one.kind, one.tenant) == ("dead-letter", None)
    assert one.raw_ref is not None
    assert place.ports.blobs.read(one.raw_ref) == raw
    place.webhook(SECRET, message(to=f"zoe-a@{ROOT}"), [f"zoe-a@{ROOT}"])
    assert place.jobs("ready", "stranger") == 1
    assert box.fetch() == []


def test_a_notification_to_a_flat_envelope_becomes_its_receipt(place: Place, box: BoxAtPlace) -> None:
    box.put([letter()])
    back = place.world.sent[0].sender
    raw = report("Final-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.2.2")
    assert strangers.decide(place.ports, "", back) is Verdict.HERE
    place.webhook(SECRET, raw, [back], sender="")
    assert states(place)["bob@example.org"][0] is DeliveryState.REFUSED
    assert place.quarantined() == []


def test_an_event_of_sendgrid_too(tmp_path: Path) -> None:
    with (
        sendgrid() as world,
        place_in(
            tmp_path,
            mail_out_port=SendGridMailOut(KEY, base_url=world.url),
            sender_addresses=SenderAddresses.FLAT,
            flat_domain=ROOT,
        ) as place,
    ):
        place.box(f"a.{ROOT}", ["ann"]).put([letter()])
        assert world.taken[0]["from"]["email"] == ANN
        events = world.events("bounce", "bob@example.org", reason="full")
        place.client.post("/api/email/sendgrid/events", content=json.dumps(events).encode())
        assert states(place)["bob@example.org"] == (DeliveryState.REFUSED, "full")


def test_old_flat_addresses_are_understood_when_letters_leave_the_other_way(tmp_path: Path) -> None:
    with place_in(tmp_path, flat_domain=ROOT) as place:
        box = place.box(f"a.{ROOT}", ["ann"])
        box.put([letter()])
        assert place.world.sent[0].sender.endswith(f"@a.{ROOT}")
        place.webhook(box.webhook, message(to=ANN), [ANN])
        assert len(box.fetch()) == 1
        assert place.webhook(SECRET, message(), [ANN]).status_code == 403


def test_what_is_no_letter_comes_again_and_one_that_is_too_large_is_kept_for_each_box(tmp_path: Path) -> None:
    with place_in(tmp_path, flat_domain=ROOT, flat_webhook=SECRET, max_letter_mb=1) as place:
        boxes = [place.box(f"{name}.{ROOT}", ["ann"]) for name in ("a", "b")]
        answer = place.client.post(f"/api/email/sendgrid/{SECRET}", files={"other": (None, b"x")})
        assert answer.status_code == 503
        (told,) = place.quarantined()
        assert told.kind == "provider" and "the form has no field email" in told.reason
        large = message(to=ANN) + b"x" * 2**20
        assert place.webhook(SECRET, large, [ANN, f"ann-b@{ROOT}"]).status_code == 200
        assert place.webhook(SECRET, large + b"x", [f"nobody@{ROOT}"]).status_code == 200
        assert [len(box.fetch()) for box in boxes] == [1, 1]
        apart = [one.tenant for one in place.quarantined() if one.kind == "too-large"]
        assert sorted(apart, key=str) == sorted(
            [place.row(f"{name}.{ROOT}").no for name in ("a", "b")] + [None], key=str
        )
