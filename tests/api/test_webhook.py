"""The webhook's answers, as a provider sees them; what becomes of the letters is in tests/unit/server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lokole.mailbox import tenants
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, message, place_in

ANN = "ann@a.lokole.test"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def test_a_letter_is_received(place: Place, box: BoxAtPlace) -> None:
    answer = place.webhook(box.webhook, message(), [ANN], headers="x", attachments="0")
    assert (answer.status_code, answer.json()) == (200, "received")


def test_a_message_of_thirty_megabytes_is_received_and_one_more_byte_is_not(place: Place, box: BoxAtPlace) -> None:
    head = b"From: bob@example.org\r\nTo: ann@a.lokole.test\r\nSubject: big\r\nContent-Type: application/octet-stream\r\n\r\n"
    raw = head + b"x" * (30 * 2**20 - len(head))
    assert place.webhook(box.webhook, raw, [ANN]).status_code == 200
    assert place.pending("a.lokole.test") == 1
    answer = place.webhook(box.webhook, raw + b"x", [ANN])
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (413, "too-large", "email")
    assert [one.reason for one in place.quarantined()] == [  # SendGrid brings no letter again that is refused
        "A post of mail was not taken, and its sender does not know: the letter is too large."
    ]
    assert len(list(place.ports.blobs.list("a.lokole.test/raw/"))) == 1


def test_an_announced_body_beyond_everything_is_refused_unread(place: Place, box: BoxAtPlace) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(10**12)}
    answer = place.client.post(f"/api/email/sendgrid/{box.webhook}", headers=headers)
    assert answer.status_code == 413


def test_a_form_without_the_field_and_what_is_no_form_are_400(place: Place, box: BoxAtPlace) -> None:
    path = f"/api/email/sendgrid/{box.webhook}"
    without = place.client.post(path, files={"other": (None, b"x")})
    cut = place.client.post(path, content=b"--x\r\n", headers={"Content-Type": "multipart/form-data; boundary=x"})
    for answer in (without, cut):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
    assert without.json()["field"] == "email"
    assert place.jobs("ready") == 0
    assert list(place.ports.blobs.list("a.lokole.test/raw/")) == []


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "message/rfc822"])
def test_what_is_no_form_is_415(place: Place, box: BoxAtPlace, content_type: str) -> None:
    path = f"/api/email/sendgrid/{box.webhook}"
    assert place.client.post(path, content=message(), headers={"Content-Type": content_type}).status_code == 415


def test_an_unknown_segment_is_403_in_the_words_of_the_first_lokole(place: Place, box: BoxAtPlace) -> None:
    for secret in ("nobody", box.device_id, box.domain, box.webhook[:-1], box.webhook + "0", "%00", "é"):
        answer = place.webhook(secret, message(), [ANN])
        assert (answer.status_code, answer.json()) == (403, "client is not registered")


def test_only_posting_is_understood(place: Place, box: BoxAtPlace) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = place.client.request(method, f"/api/email/sendgrid/{box.webhook}")
        assert answer.status_code in (404, 405)


def test_the_letter_limit_is_a_setting(tmp_path: Path) -> None:
    with place_in(tmp_path, max_letter_mb=1) as place:
        box = place.box("a.lokole.test", ["ann"])
        assert place.webhook(box.webhook, b"x" * (2**20 + 1), [ANN]).status_code == 413


def test_a_two_hundred_means_durable(place: Place, box: BoxAtPlace) -> None:
    """The work behind has not begun: the bytes and the row are all there is, and enough."""
    place.ports.bell.work_inline(lambda: None)
    assert place.webhook(box.webhook, message(), [ANN]).status_code == 200
    (key,) = place.ports.blobs.list("a.lokole.test/raw/")
    assert place.ports.blobs.read(key) == message()
    assert place.jobs("ready", "receive") == 1
    place.work()
    assert len(box.fetch()) == 1


def test_envelopes_of_every_shape_are_answered(place: Place, box: BoxAtPlace) -> None:
    shapes = [
        '{"to": "ann@a.lokole.test"}',
        "{}",
        "[]",
        "nonsense",
        json.dumps({"to": [None]}),
        json.dumps({"to": ["x"] * 2000}),
    ]
    for n, envelope in enumerate(shapes):
        form = {"email": (None, message(subject=str(n))), "envelope": (None, envelope.encode())}
        assert place.client.post(f"/api/email/sendgrid/{box.webhook}", files=form).status_code == 200
    assert sorted(one.email.subject for one in box.fetch()) == ["0", "1", "2", "3", "4"]
    assert [one.kind for one in place.quarantined()] == ["dead-letter"]


@pytest.mark.parametrize("order", [0, 1])
def test_a_post_whose_envelope_names_two_domains_of_this_server_is_for_both_and_once(
    place: Place, box: BoxAtPlace, order: int
) -> None:
    boxes = [box, place.box("b.lokole.test", ["ben"])]
    both = ["ann@a.lokole.test", "ben@b.lokole.test", "no address", "eve@elsewhere.test"]
    raw = message(to=", ".join(both[:2]))
    assert place.webhook(boxes[order].webhook, raw, both).status_code == 200
    for one, to in zip(boxes, both, strict=False):
        (letter,) = one.fetch()
        assert [str(address) for address in letter.email.recipients] == [to]
    for one in boxes:  # a provider that posts for each of them
        assert place.webhook(one.webhook, raw, both).status_code == 200
    assert [one.fetch() for one in boxes] == [[], []]
    assert place.quarantined() == []


@pytest.mark.parametrize(("owner", "proven"), [(OPERATOR[0], True), ("neighbour", False)])
def test_who_knows_the_path_of_one_domain_proves_nothing_to_the_people_of_another_owner(
    place: Place, box: BoxAtPlace, owner: str, proven: bool
) -> None:
    other = place.box("b.lokole.test", ["ben"])
    with place.ports.database.write() as tx:
        tenants.set_owner(tx, place.row("b.lokole.test").no, owner)
    to = ["ann@a.lokole.test", "ben@b.lokole.test"]
    said = {"SPF": "pass", "dkim": "{@example.org : pass}"}
    assert place.webhook(box.webhook, message(to=", ".join(to)), to, **said).status_code == 200
    assert [letter.proven for letter in box.fetch()] == [True]
    assert [letter.proven for letter in other.fetch()] == [proven]
