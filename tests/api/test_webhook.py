"""The webhook's answers, as a provider sees them; what becomes of the letters is in tests/unit/server."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from lokole.mailbox import accounts, tenants
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, message, place_in
from tests.unit.server.test_edge import counted

ANN = "ann@a.lokole.test"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def test_a_letter_is_received(place: Place, box: BoxAtPlace) -> None:
    answer = place.webhook(box.webhook, message(), [ANN], headers="x", attachments="0")
    assert (answer.status_code, answer.json()) == (200, "received")


def told(place: Place) -> list[str]:
    """What the operator reads at /api/email/metrics/trouble."""
    return [one["reason"] for one in place.client.get("/api/email/metrics/trouble", auth=OPERATOR).json()["newest"]]


def test_a_message_of_thirty_megabytes_is_received(place: Place, box: BoxAtPlace) -> None:
    head = b"From: bob@example.org\r\nTo: ann@a.lokole.test\r\nSubject: big\r\nContent-Type: application/octet-stream\r\n\r\n"
    raw = head + b"x" * (30 * 2**20 - len(head))
    assert place.webhook(box.webhook, raw, [ANN]).status_code == 200
    assert place.pending("a.lokole.test") == 1
    assert len(list(place.ports.blobs.list("a.lokole.test/raw/"))) == 1


def test_of_a_letter_that_is_too_large_the_beginning_is_kept_and_both_ends_are_told(tmp_path: Path) -> None:
    with place_in(tmp_path, max_letter_mb=1) as place:
        box = place.box("a.lokole.test", ["ann"])
        with place.ports.database.write() as tx:
            ann = accounts.find_account(tx, place.row("a.lokole.test").no, "ann")
            assert ann is not None
            accounts.set_language(tx, ann, "fr")
        raw = message(subject="The <photos>") + b"x" * 2**20
        for to in ([ANN, "zoe@a.lokole.test", "x@b.test"], [ANN, "nonsense"]):
            answer = place.webhook(box.webhook, raw, to, sender="bounce@example.org")
            assert (answer.status_code, answer.json()) == (200, "received"), (
                "SendGrid would drop it, or bring it for ever"
            )
        (apart,) = place.quarantined()
        assert (apart.kind, apart.tenant) == ("too-large", place.row("a.lokole.test").no)
        assert told(place) == ["larger than LOKOLE_MAX_LETTER_MB (1): only its beginning is kept"]
        assert apart.raw_ref is not None
        assert place.ports.blobs.read(apart.raw_ref) == raw[: 64 * 1024]
        assert place.jobs("ready") == 0
        (letter,) = [one.email for one in box.fetch()]
        assert letter.subject == "Une lettre pour vous était trop grosse : The <photos>"
        assert "Bob vous a écrit une lettre, « The &lt;photos&gt; ». Elle fait plus de 1 Mo" in letter.body
        assert [one.address for one in letter.reply_to] == ["bob@example.org"]
        assert counted(place, "letter_too_large") == 2


def test_a_letter_that_is_too_large_reaches_its_people_without_an_envelope_and_in_the_other_form(
    tmp_path: Path,
) -> None:
    with place_in(tmp_path, max_letter_mb=1) as place:
        box = place.box("a.lokole.test", ["ann"])
        raw = (message(subject="two") + b"x" * 2**20).decode()
        form = urlencode({"email": raw, "spam_score": "0.1"}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert place.client.post(f"/api/email/sendgrid/{box.webhook}", content=form, headers=headers).status_code == 200
        assert [one.email.subject for one in box.fetch()] == ["A letter to you was too large: two"]


def test_junk_that_is_too_large_is_kept_for_the_operator_alone(tmp_path: Path) -> None:
    with place_in(tmp_path, max_letter_mb=1, junk_score=5.0) as place:
        box = place.box("a.lokole.test", ["ann"])
        assert place.webhook(box.webhook, message() + b"x" * 2**20, [ANN], spam_score="9.1").status_code == 200
        assert [one.kind for one in place.quarantined()] == ["too-large"]
        assert box.fetch() == []


def test_what_is_no_form_with_a_letter_comes_again_and_the_operator_is_told_once_a_day(
    place: Place, box: BoxAtPlace
) -> None:
    """SendGrid drops what is answered with 4xx, and nobody hears of the letter."""
    path = f"/api/email/sendgrid/{box.webhook}"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n' + message()
    posts: list[tuple[str, bytes, dict[str, str]]] = [
        ("the form was cut off", part, form),
        ("the form has no boundary", part + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data"}),
        ("the form has no field email", part.replace(b"email", b"other") + b"\r\n--x--\r\n", form),
        ("the form cannot be read", b"nonsense", form),
        ("the request is too large", b"", form | {"Content-Length": str(10**12)}),
        *(("it is no form", message(), {"Content-Type": one}) for one in ("application/json", "", "message/rfc822")),
    ]
    for _, content, headers in posts * 2:
        answer = place.client.post(path, content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "temporary")
        assert int(answer.headers["retry-after"]) > 0
    reasons = list(dict.fromkeys(reason for reason, _, _ in posts))
    assert told(place) == [
        f"A post of mail was not understood: {one}. It comes again for three days, and is lost after that."
        for one in reversed(reasons)
    ]
    assert counted(place, "post_put_off") == 2 * len(posts)
    assert place.jobs("ready") == 0
    assert list(place.ports.blobs.list("a.lokole.test/raw/")) == []


def test_a_body_without_an_end_comes_again_too(tmp_path: Path) -> None:
    with place_in(tmp_path, max_letter_mb=1) as place:
        box = place.box("a.lokole.test", ["ann"])
        pieces = (b"x" * 2**20 for _ in range(40))
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = place.client.post(f"/api/email/sendgrid/{box.webhook}", content=pieces, headers=headers)
        assert answer.status_code == 503
        assert ["the request is too large" in one for one in told(place)] == [True]


def test_an_unknown_segment_is_403_in_the_words_of_the_first_lokole(place: Place, box: BoxAtPlace) -> None:
    for secret in ("nobody", box.device_id, box.domain, box.webhook[:-1], box.webhook + "0", "%00", "é"):
        answer = place.webhook(secret, message(), [ANN])
        assert (answer.status_code, answer.json()) == (403, "client is not registered")


def test_only_posting_is_understood(place: Place, box: BoxAtPlace) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = place.client.request(method, f"/api/email/sendgrid/{box.webhook}")
        assert answer.status_code in (404, 405)


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
