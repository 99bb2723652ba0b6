"""DKIM signatures of ours, checked by a second implementation, which signatures of others prove."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lokole.adapters.mail_out.dkim import DkimKey, SignedMailOut, new_private_key, public_record, sender_domain, sign
from lokole.adapters.mail_out.recorder import RecorderMailOut
from lokole.mail.mime import build_mime
from lokole.mail.model import Attachment, Contact, Email
from lokole.server.dkim_keys import dkim_records, keys_of
from lokole.testing import shared_dir
from tests.dkim_verifier import verify
from tests.unit.server.place import place_in

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = [DkimKey("s1", "rsa", new_private_key("rsa")), DkimKey("s1-ed", "ed25519", new_private_key("ed25519"))]
RECORDS = {f"{key.selector}._domainkey.a.lokole.test": public_record(key) for key in KEYS}


def letter(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "sender": Contact("ann@a.lokole.test", "Änn, the teacher of the school of the village by the great river"),
        "to": (Contact("bob@example.org", "Bob"), *(Contact(f"p{n}@example.org") for n in range(30))),
        "subject": "Élan  vital",
        "body": "<p>a  b\t c</p>\n\n\n",
        "attachments": (Attachment("a b.bin", bytes(range(256))),),
    }
    return build_mime(Email(**(fields | changes)), message_id="<1@a.lokole.test>", date=NOW)  # type: ignore[arg-type]


def theirs() -> list[Path]:
    folder = shared_dir()
    return [] if folder is None else sorted((folder / "testdata/dkim/mail-auth").glob("*.txt"))


@pytest.mark.parametrize("path", theirs(), ids=lambda path: path.stem)
def test_the_second_implementation_is_right_about_what_others_signed(path: Path) -> None:
    lines, _, message = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    records = dict(line.split(" ", 1) for line in lines.decode().splitlines())
    message = message.replace(b"\n", b"\r\n")
    found = verify(message, records)
    assert found and all(one.holds for one in found), found
    assert not any(one.holds for one in verify(message + b"more\r\n", records))
    assert not any(one.holds for one in verify(message.replace(b"\r\nSubject:", b"\r\nSubject: Re:", 1), records))


@pytest.mark.parametrize(
    "message",
    [
        letter(),
        letter(body="", attachments=()),
        letter(subject="", to=(), cc=(Contact("c@example.org"),)),
        letter(reply_to=(Contact("x@a.lokole.test"),), in_reply_to="<1@example.org>", references=("<1@example.org>",)),
        b"From: ann@a.lokole.test\r\nSubject:  folded \r\n\tto  two \r\n\r\n",
        b"From: ann@a.lokole.test\r\n\r\n\r\n\r\n",
        b"From: ann@a.lokole.test\r\n\r\nno line end",
        b"From: ann@a.lokole.test\r\n\r\n  \t \r\nx \t\r\n\r\n\r\n",
    ],
)
def test_what_we_sign_holds(message: bytes) -> None:
    signed = sign(message, "a.lokole.test", KEYS, NOW)
    assert signed.endswith(message)
    verdicts = verify(signed, RECORDS)
    assert [(one.algorithm, one.holds, one.why) for one in verdicts] == [
        ("rsa-sha256", True, ""),
        ("ed25519-sha256", True, ""),
    ]
    assert all(len(line) <= 78 for line in signed[: -len(message)].split(b"\r\n"))


@pytest.mark.parametrize("name", [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"Cc"])
def test_nobody_can_add_or_change_what_a_reader_sees(name: bytes) -> None:
    signed = sign(letter(), "a.lokole.test", KEYS, NOW)
    added = name + b": mallory@example.net\r\n"
    assert not any(one.holds for one in verify(added + signed, RECORDS))
    head, _, body = signed.partition(b"\r\n\r\n")
    assert not any(one.holds for one in verify(head + b"\r\n" + added + b"\r\n" + body, RECORDS))
    assert not any(one.holds for one in verify(signed + b"x\r\n", RECORDS))
    received = b"Received: from a by b\r\n" + signed
    assert all(one.holds for one in verify(received, RECORDS))


def test_the_domain_is_that_of_the_from_field_alone() -> None:
    for field, domain in (
        (b"From: ann@A.Lokole.TEST", "a.lokole.test"),
        (b'From: "x@example.net" <ann@a.lokole.test>', "a.lokole.test"),
        (b"From: =?utf-8?q?a?=\r\n <ann@a.lokole.test>", "a.lokole.test"),
        (b"Sender: ann@a.lokole.test", ""),
        (b"From: nobody", ""),
    ):
        assert sender_domain(field + b"\r\nTo: b@example.org\r\n\r\nFrom: x@example.org") == domain


def test_only_what_is_ours_is_signed() -> None:
    world = RecorderMailOut()
    way = SignedMailOut(world, lambda domain: KEYS if domain == "a.lokole.test" else (), lambda: NOW)
    for message in (letter(), letter(sender=Contact("eve@example.net"))):
        way.send(sender="", recipient="bob@example.org", message=message)
    assert [len(verify(one.message, RECORDS)) for one in world.sent] == [2, 0]


def test_a_domain_has_its_keys_for_ever_and_shows_what_to_publish(tmp_path: Path) -> None:
    with place_in(tmp_path, dkim_selector="box", flat_domain="lokole.test") as place:
        place.register("a.lokole.test")
        place.register("b.lokole.test")
        database, settings = place.ports.database, place.ports.settings
        (first,) = keys_of(database, settings, "a.lokole.test")
        assert keys_of(database, settings, "a.lokole.test") == [first]
        assert keys_of(database, settings, "b.lokole.test") != [first]
        assert keys_of(database, settings, "example.net") == []
        assert len(keys_of(database, settings, "lokole.test")) == 1  # of everybody who is written flat
        (record,) = dkim_records(database, settings, "a.lokole.test")
        assert record.name == "box._domainkey.a.lokole.test"
        assert record.content.startswith("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")  # 2048 bits
        signed = sign(letter(), "a.lokole.test", [first], NOW)
        assert [one.holds for one in verify(signed, {record.name: record.content})] == [True]
