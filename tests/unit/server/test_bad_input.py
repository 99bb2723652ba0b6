"""What the world brings that is too large, too many, without an end or forged; and a disk or a database that is away for a minute.

Mail comes over a real SMTP line and by the webhook. The program on the other side gets the code that makes it do the right thing,
what can be kept is kept, and the others are served meanwhile. What a single sequence of bytes does is in ``test_smtp_intake.py``,
what providers of ours say is in the tests of their adapters.
"""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lokole.mail.errors import Temporary
from lokole.mail.model import Contact, Email
from lokole.mailbox.database import Database
from lokole.sync.records import EmailRecord
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, message, place_in

ANN, CARL = "ann@a.lokole.test", "carl@a.lokole.test"
BOB = "bob@example.org"
MEBI = 2**20


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, smtp_listen="127.0.0.1:0") as place:
        yield place


@pytest.fixture
def box(edge: Place) -> BoxAtPlace:
    return edge.box("a.lokole.test", ["ann", "carl"])


@contextmanager
def calling(place: Place) -> Iterator[smtplib.SMTP]:
    assert place.server.smtp is not None
    with smtplib.SMTP("127.0.0.1", place.server.smtp.port, timeout=60) as line:
        line.ehlo()
        yield line


def say(place: Place, raw: bytes, to: str = ANN, sender: str = BOB) -> int:
    """Hand a letter over by SMTP; the last code."""
    with calling(place) as line:
        line.mail(sender)
        code, _ = line.rcpt(to)
        return line.data(raw)[0] if code == 250 else code


def subjects(box: BoxAtPlace) -> list[str]:
    return [one.email.subject for one in box.fetch()]


def test_thirty_megabytes_by_smtp_are_taken_and_one_byte_more_is_not(edge: Place, box: BoxAtPlace) -> None:
    head = message(subject="big").replace(b"\r\n\r\nhello there", b"\r\nContent-Type: application/octet-stream\r\n\r\n")
    line = b"x" * 998 + b"\r\n"
    raw = head + line * ((30 * MEBI - len(head)) // 1000)
    raw += b"x" * (30 * MEBI - len(raw) - 2) + b"\r\n"
    assert len(raw) == 30 * MEBI
    assert say(edge, raw) == 250
    assert say(edge, b"x" + raw) == 552
    assert say(edge, message(subject="after")) == 250
    assert subjects(box) == ["big", "after"]


@pytest.mark.parametrize(
    "field", [b"X-Filler: x\r\n", b"Received: from x by y\r\n", b"To: ann@a.lokole.test\r\n", b" x\r\n"]
)
def test_a_hundred_thousand_headers_hold_nobody_up_and_are_not_lost(edge: Place, box: BoxAtPlace, field: bytes) -> None:
    raw = b"From: Bob <bob@example.org>\r\nSubject: long\r\n" + field * 100_000 + b"\r\nhello\r\n"
    assert edge.webhook(box.webhook, raw, [ANN]).status_code == 200
    assert say(edge, raw) == (554 if field.startswith(b"Received") else 250)  # so many hops are a circle
    assert say(edge, message(subject="after")) == 250
    found = subjects(box)
    apart = [one for one in edge.quarantined() if one.kind == "mime"]
    assert found[-1] == "after"
    assert len(found) - 1 + len(apart) == 1


def test_ten_thousand_recipients_in_an_envelope_keep_the_letter_from_nobody(edge: Place, box: BoxAtPlace) -> None:
    many = [f"nobody{n}@example.org" for n in range(10_000)]
    answer = edge.webhook(box.webhook, message(to=", ".join([*many, ANN]), subject="many"), [*many, ANN])
    assert answer.status_code == 200
    arrived = box.fetch()
    assert [(one.email.subject, [str(to) for to in one.email.recipients]) for one in arrived] == [("many", [ANN])]
    assert edge.quarantined() == []
    # nobody reads so long a field; without an envelope the letter stands where the operator sees it
    assert edge.webhook(box.webhook, message(to=", ".join([*many, CARL]))).status_code == 200
    assert [one.kind for one in edge.quarantined()] == ["dead-letter"]
    assert edge.world.sent == []


def test_a_post_without_an_end_is_answered_when_it_is_too_large_and_keeps_nothing(edge: Place, box: BoxAtPlace) -> None:
    began = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n'
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        piece = began if read == 0 else b"y" * MEBI
        read += len(piece)
        assert read < 200 * MEBI, "it reads without an end"
        return {"type": "http.request", "body": piece, "more_body": True}

    answers: list[dict[str, Any]] = []

    async def send(told: Any) -> None:
        answers.append(told)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": f"/api/email/sendgrid/{box.webhook}", "raw_path": b"", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"x"), (b"content-type", b"multipart/form-data; boundary=x")],
        "client": ("127.0.0.1", 1), "server": ("x", 80),
    }  # fmt: skip

    async def post() -> None:
        await edge.server.app(scope, receive, send)

    asyncio.run(post())
    assert answers[0]["status"] == 503, "SendGrid would drop what is answered with 413"
    assert list(edge.ports.blobs.list("a.lokole.test/raw/")) == []
    assert edge.webhook(box.webhook, message(), [ANN]).status_code == 200


def test_a_letter_by_smtp_for_nobody_for_two_boxes_and_for_the_world(edge: Place, box: BoxAtPlace) -> None:
    other = edge.box("b.lokole.test", ["dora"])
    with calling(edge) as line:
        line.mail(BOB)
        everybody = [ANN, "dora@b.lokole.test", "nobody@c.lokole.test", "eve@example.com", "zoe@a.lokole.test"]
        assert [line.rcpt(one)[0] for one in everybody] == [250, 250, 550, 550, 450]
        assert line.data(message(subject="two"))[0] == 250
    assert [[str(to) for to in one.email.recipients] for one in box.fetch()] == [[ANN]]
    assert [[str(to) for to in one.email.recipients] for one in other.fetch()] == [["dora@b.lokole.test"]]
    assert edge.world.sent == []


def test_who_only_says_to_be_of_a_box_is_neither_believed_nor_swallowed(edge: Place, box: BoxAtPlace) -> None:
    """A letter that names somebody of the box in From, and a Message-ID of its domain, which no box has written."""
    forged = message(to=CARL, extra="Message-ID: <1@a.lokole.test>\r\n").replace(b"Bob <bob@example.org>", ANN.encode())
    claimed = b"Authentication-Results: a.lokole.test; dkim=pass header.d=a.lokole.test\r\n" + forged
    assert say(edge, forged, CARL, ANN) == 250
    assert say(edge, claimed, CARL, ANN) == 250
    assert edge.webhook(box.webhook, forged + b"x", [CARL], sender=ANN).status_code == 200
    assert [one.proven for one in box.fetch()] == [False] * 3


def test_a_package_in_anothers_name_is_nobodys(edge: Place, box: BoxAtPlace) -> None:
    other = edge.box("b.lokole.test", ["dora"])
    letter = EmailRecord("u1", Email(sender=Contact(ANN), to=(Contact(BOB),), subject="x"))
    other.put([letter])
    forger = BoxAtPlace(edge, "a.lokole.test", box.webhook)
    forger.seed = other.seed
    forger.put([letter], expect=401)
    assert edge.world.sent == []
    assert [one.kind for one in edge.quarantined()] == ["record"]


def test_a_key_taken_back_in_mid_visit_ends_the_visit_and_loses_nothing(edge: Place, box: BoxAtPlace) -> None:
    assert say(edge, message(subject="waits")) == 250
    (offered,) = box.offers()
    assert edge.client.delete("/api/email/register/a.lokole.test/keys", auth=OPERATOR).status_code == 200
    letter = EmailRecord("u1", Email(sender=Contact(ANN), to=(Contact(BOB),), subject="not gone"))
    ack = b'{"epoch": 1, "seq": 1, "beyond": []}'
    package = f"/api/exchange/packages/{offered['sha256']}"
    box.put([letter], expect=403)
    for method, path, body in (
        ("GET", package, b""),
        ("GET", "/api/exchange/packages?after=0", b""),
        ("POST", "/api/exchange/ack", ack),
    ):
        answer = box.call(method, path, body, {"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (403, "revoked")
    assert edge.world.sent == []
    details = edge.client.get("/api/email/register/a.lokole.test", auth=OPERATOR).json()
    found_again = BoxAtPlace(edge, "a.lokole.test", details["webhook"])
    found_again.claim(details["code"])
    assert subjects(found_again) == ["waits"]
    found_again.epoch += 1
    found_again.put([letter])
    assert [one.recipient for one in edge.world.sent] == [BOB]


class _Full:
    """A store whose disk is full: it reads, and takes nothing."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def put(self, key: str, content: object) -> bool:
        raise Temporary("no space left")

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@pytest.mark.parametrize("what", ["disk", "database"])
def test_a_minute_without_a_disk_or_a_database_puts_everybody_off_and_loses_nothing(
    edge: Place, box: BoxAtPlace, what: str
) -> None:
    assert say(edge, message(subject="before")) == 250
    gone = Database("postgresql://nobody@127.0.0.1:1/gone")  # nobody listens there
    name, instead = ("blobs", _Full(edge.ports.blobs)) if what == "disk" else ("database", gone)
    there = getattr(edge.ports, name)
    object.__setattr__(edge.ports, name, instead)
    assert say(edge, message(subject="by line")) == 451
    answer = edge.webhook(box.webhook, message(subject="by post"), [ANN])
    assert (answer.status_code, answer.json()["code"]) == (503, "temporary")
    assert int(answer.headers["retry-after"]) > 0
    letter = EmailRecord("u1", Email(sender=Contact(ANN), to=(Contact(BOB),), subject="out"))
    box.put([letter], seq=1000, expect=503)
    summary = edge.client.get("/status/summary", auth=OPERATOR)
    assert summary.status_code == (200 if what == "disk" else 503)
    assert summary.headers["content-type"].startswith("text/html")
    assert ("its database does not answer" in summary.text) == (what == "database")
    ping, ready = edge.client.get("/healthcheck/ping"), edge.client.get("/healthcheck/ready")
    assert (ping.status_code, ping.json()) == (200, "pong"), "the process lives, whatever else does not"
    assert ready.status_code == (200 if what == "disk" else 503)
    assert ready.headers["access-control-allow-origin"] == "*"
    object.__setattr__(edge.ports, name, there)
    gone.close()
    # everybody comes again, as they do
    assert say(edge, message(subject="by line")) == 250
    assert edge.webhook(box.webhook, message(subject="by post"), [ANN]).status_code == 200
    box.put([letter], seq=1000)
    assert subjects(box) == ["before", "by line", "by post"]
    assert [one.recipient for one in edge.world.sent] == [BOB]
    assert edge.quarantined() == []
