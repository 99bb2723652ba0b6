"""Reports of complaints by mail (RFC 5965): what names the letter in them, and what is none."""

from __future__ import annotations

import random

import pytest

from lokole.mail.complaint import Complaint, read_complaint

BACK = "bounce-" + "a" * 26 + "@a.lokole.test"


def feedback(
    fields: str,
    letter: str = "From: ann@a.lokole.test\r\nSubject: Hello",
    letter_type: str = "message/rfc822",
    encoding: str = "",
) -> bytes:
    """A report whose machine-readable part has ``fields``, with the beginning of the letter."""
    return (
        "From: fbl@provider.example\r\nTo: abuse@a.lokole.test\r\nSubject: FW: Hello\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=r\r\n\r\n"
        "--r\r\nContent-Type: text/plain\r\n\r\nThis is an email abuse report.\r\n"
        f"--r\r\nContent-Type: message/feedback-report\r\n{encoding}\r\n{fields}\r\n\r\n"
        f"--r\r\nContent-Type: {letter_type}\r\n\r\n{letter}\r\n\r\nhello\r\n--r--\r\n"
    ).encode()


FULL = (
    "Feedback-Type: Abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n"
    f"Original-Mail-From: <{BACK}>\r\nOriginal-Rcpt-To: <bob@example.org>\r\nReported-Domain: a.lokole.test"
)


def test_the_envelope_is_read_and_nothing_else_is_needed() -> None:
    assert read_complaint(feedback(FULL)) == Complaint("abuse", (BACK,), "bob@example.org")
    assert read_complaint(feedback(FULL, encoding="Content-Transfer-Encoding: 7bit\r\n")) is not None


@pytest.mark.parametrize("letter_type", ["message/rfc822", "text/rfc822-headers"])
def test_without_an_envelope_the_letters_own_return_path_names_it(letter_type: str) -> None:
    short = "Feedback-Type: abuse\r\nUser-Agent: x\r\nVersion: 1"
    found = read_complaint(feedback(short, f"Return-Path: <{BACK}>\r\nFrom: ann@a.lokole.test", letter_type))
    assert found == Complaint("abuse", (BACK,), "")


def test_what_is_no_report_says_nothing() -> None:
    for raw in (
        b"",
        b"Subject: message/feedback-report\r\n\r\nmessage/feedback-report",
        b"Content-Type: multipart/report; boundary=r\r\n\r\n--r\r\nContent-Type: text/plain\r\n\r\nx\r\n--r--\r\n",
    ):
        assert read_complaint(raw) is None
    assert read_complaint(feedback("")) == Complaint("", (), "")


def test_damaged_reports_raise_nothing() -> None:
    rng = random.Random(5)
    whole = feedback(FULL)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        read_complaint(bytes(damaged[: rng.randrange(len(damaged))]))
