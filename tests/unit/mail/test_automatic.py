"""Letters that a machine or a list wrote are known as such, and what is written by itself says so to the world (RFC 3834)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lokole.mail.mime import build_mime, parse_email
from lokole.mail.model import Contact, Email

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "automatic"),
    [
        ("Auto-Submitted: auto-replied", True),
        ("Auto-Submitted: auto-generated; x=1", True),
        ("Auto-Submitted: no", False),
        ("Auto-Submitted: No (a person)", True),
        ("List-Id: <choir.example.org>", True),
        ("List-Unsubscribe: <mailto:off@example.org>", True),
        ("Precedence: bulk", True),
        ("Precedence: first-class", False),
        ("Return-Path: <>", True),
        ("Return-Path: <ruth@example.org>", False),
        ("Content-Type: multipart/report; boundary=x; report-type=delivery-status", True),
        ("X-Nothing: to see", False),
    ],
)
def test_headers_tell_who_wrote_it(header: str, automatic: bool) -> None:
    raw = f"From: ruth@example.org\r\nTo: ann@a.org\r\n{header}\r\nSubject: x\r\n\r\nHello\r\n"
    assert parse_email(raw.encode()).email.automatic is automatic


@pytest.mark.parametrize(
    ("in_reply_to", "said"),
    [("<1@example.org>", b"Auto-Submitted: auto-replied"), ("", b"Auto-Submitted: auto-generated")],
)
def test_what_is_written_by_itself_says_so_and_is_known_by_it(in_reply_to: str, said: bytes) -> None:
    email = Email(Contact("ann@a.org"), (Contact("ruth@example.org"),), in_reply_to=in_reply_to, automatic=True)
    raw = build_mime(email, message_id="<x@a.org>", date=NOW)
    assert said in raw
    assert parse_email(raw).email.automatic


def test_what_a_person_writes_says_nothing_of_the_kind() -> None:
    raw = build_mime(Email(Contact("ann@a.org"), (Contact("b@c.org"),)), message_id="<x@a.org>", date=NOW)
    assert b"Auto-Submitted" not in raw
    assert not parse_email(raw).email.automatic
