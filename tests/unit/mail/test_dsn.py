"""What a delivery status notification says, and what is none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lokole.mail.dsn import read_delivery_status

HEAD = b"From: mailer@example.org\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n"


def report(*blocks: str) -> bytes:
    fields = "\r\n\r\n".join(("Reporting-MTA: dns; mx.example.org", *blocks))
    part = f"--r\r\nContent-Type: message/delivery-status\r\n\r\n{fields}\r\n\r\n--r--\r\n"
    return HEAD + part.encode()


@pytest.mark.parametrize(
    ("fields", "action", "status", "reason"),
    [
        (
            "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no such user",
            "failed",
            "5.1.1",
            "550 no such user",
        ),
        ("Action: delayed\r\nStatus: 4.4.1", "delayed", "4.4.1", ""),
        ("Action: Delivered (to mailbox)\r\nStatus: 2.0.0", "delivered", "2.0.0", ""),
        ("Action: failed\r\nStatus: 4.4.7", "failed", "4.4.7", ""),
        ("Action: nonsense\r\nStatus: 4.2.2", "delayed", "4.2.2", ""),
        ("Status: 5.7.1 (no)", "failed", "5.7.1", ""),
    ],
)
def test_the_action_decides_and_the_status_where_there_is_none(
    fields: str, action: str, status: str, reason: str
) -> None:
    found = read_delivery_status(report(f"Final-Recipient: rfc822; bob@example.org\r\n{fields}"), "bob@example.org")
    assert found is not None
    assert (found.action, found.status, found.reason, found.recipient) == (action, status, reason, "bob@example.org")


def test_of_several_recipients_the_one_who_was_asked_for_counts_else_the_worst() -> None:
    raw = report(
        "Final-Recipient: rfc822; bob@example.org\r\nAction: delivered\r\nStatus: 2.0.0",
        "Final-Recipient: rfc822; eve@example.org\r\nAction: failed\r\nStatus: 5.1.1",
    )
    for who, action in (("BOB@example.org", "delivered"), ("eve@example.org", "failed"), ("forwarded@x.org", "failed")):
        found = read_delivery_status(raw, who)
        assert found is not None
        assert found.action == action


def test_what_is_no_notification_says_nothing() -> None:
    for raw in (b"", b"\xff" * 3000, b"Subject: I am away\r\n\r\nfor a week", report("Action: nonsense"), HEAD):
        assert read_delivery_status(raw, "bob@example.org") is None


def test_damage_raises_nothing() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    whole = (Path(__file__).parents[2] / "mail-data" / "delivery-status.eml").read_bytes()
    assert read_delivery_status(whole, "nobody@example.org") is not None
    for _ in range(300):
        raw = bytearray(whole)
        for _ in range(chance.randrange(1, 20)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        read_delivery_status(bytes(raw[: chance.randrange(len(raw) + 1)]), "nobody@example.org")
