"""Messages built to hurt: each must become a letter, and in less than ten seconds of CPU (a bound of ours, not a measurement)."""

from __future__ import annotations

import time

import pytest

from lokole.mail.mime import parse_email
from lokole.mail.model import Contact


def _nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return b"Subject: deep\n" + head + b"\nAt the bottom.\n"


def _forwarded(depth: int) -> bytes:
    return b"Subject: deep\n" + b"Content-Type: message/rfc822\n\n" * depth + b"\nAt the bottom.\n"


HOSTILE = {
    "10,000 multiparts inside one another": _nested(10_000),
    "10,000 messages inside one another": _forwarded(10_000),
    "40 multiparts inside one another, 400,000 lines": _nested(40) + b"x\n" * 400_000,
    "100,000 parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000,
    "1,000,000 headers": b"X: y\n" * 1_000_000 + b"\nbody",
    "1,000,000 different headers": b"".join(b"X%d: y\n" % n for n in range(300_000)) + b"\nbody",
    "5,000 recipients": b"To: "
    + b",\n ".join(b'"Person, %d" <p%d@example.org>' % (n, n) for n in range(5000))
    + b"\n\nx",
    "100,000 opening brackets": b"To: " + b"(" * 100_000 + b"\n\nx",
    "100,000 quotation marks": b'To: "' + b'\\"' * 100_000 + b"\n\nx",
    "one line of 5 MB": b"Subject: x\n\n" + b"y" * 5_000_000,
    "5,000,000 empty lines": b"Subject: x\n\n" + b"\n" * 5_000_000,
    "a megabyte of parameters": b"Content-Type: text/plain" + b'; a="\\' * 200_000 + b"\n\nx",
    "a megabyte of encoded words": b"Subject: " + b"=?utf-8?q?=C3?= " * 60_000 + b"\n\nx",
    "markup nested 100,000 deep": b"Content-Type: text/html\n\n" + b"<div><b>" * 50_000 + b"At the bottom.",
    "100,000 attributes": b"Content-Type: text/html\n\n<p " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">",
    "formatting repeated for every block": b"Content-Type: text/html\n\n"
    + b"".join(b"<font size=%d>" % n for n in range(450))
    + b"<p>x" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_message_built_to_hurt_is_a_letter(name: str) -> None:
    raw = HOSTILE[name]
    before = time.process_time()
    parsed = parse_email(raw)
    assert time.process_time() - before < 10
    assert parsed.email.body or parsed.email.attachments or b"\n\n" not in raw or name == "100,000 attributes"


def test_deep_message_keeps_its_depths_as_a_file() -> None:
    parsed = parse_email(_nested(60))
    assert "too-deep" in parsed.problems
    assert b"At the bottom." in parsed.email.attachments[0].content


def test_message_past_the_limit_of_parts_travels_whole() -> None:
    raw = HOSTILE["100,000 parts"]
    parsed = parse_email(b"Subject: many\nFrom: a@example.org\n" + raw)
    assert (parsed.email.subject, parsed.email.sender.address) == ("many", "a@example.org")
    assert parsed.problems == ("too-many-parts",)
    assert parsed.email.attachments[0].content.endswith(raw)


def test_5000_recipients_are_all_there() -> None:
    email = parse_email(HOSTILE["5,000 recipients"]).email
    assert len(email.to) == 5000
    assert email.to[4999] == Contact("p4999@example.org", "Person, 4999")
