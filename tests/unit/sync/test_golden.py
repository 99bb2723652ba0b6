"""Packages of the first Lokole, made by code that shares nothing with ours (``tests/golden/README.md``)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lokole.mail.model import Attachment, Contact
from lokole.sync.package import BOX, SERVER, Limits, read_package
from lokole.sync.records import AccountRecord, AttachmentRecord, EmailRecord, Record

GOLDEN = Path(__file__).parents[2] / "golden" / "version1"


def records_of(name: str, limits: Limits = SERVER) -> list[Record]:
    with (GOLDEN / name).open("rb") as file:
        return list(read_package(file, limits=limits))


@pytest.mark.parametrize(
    ("name", "users"),
    [
        ("client-upload.tar.zstd", 2),
        ("client-upload-empty-users.tar.zstd", 0),
        ("client-upload-no-users.tar.gz", 0),
    ],
)
@pytest.mark.parametrize("limits", [SERVER, BOX])
def test_what_a_first_box_uploads_is_read_whole(name: str, users: int, limits: Limits) -> None:
    records = records_of(name, limits)
    first, second, *accounts = records
    assert isinstance(first, EmailRecord)
    assert isinstance(second, EmailRecord)
    assert first.uid == "5b1d4e9e-6a55-4c21-9c36-0a7d3dc9f0a1"
    assert first.notes == ()
    assert first.email.sender == Contact("ann@village.lokole.ca")
    assert first.email.to == (Contact("bob@example.com"), Contact("carol@example.com"))
    assert first.email.cc == (Contact("cc@example.org"),)
    assert first.email.bcc == (Contact("secret@example.org"),)
    assert first.email.subject == "Récolte"
    assert first.email.body == "<p>Mbote na yo, ça va\u00a0? \U0001f600</p>"
    assert first.email.sent_at is None
    assert not first.email.sent_at_doubtful
    assert first.email.attachments == (Attachment("photo été.jpg", bytes(range(256)) * 8),)
    assert second.email.subject == ""
    assert (second.email.cc, second.email.bcc, second.email.attachments) == ((), (), ())
    assert [account.address for account in accounts if isinstance(account, AccountRecord)] == [
        "ann@village.lokole.ca",
        "joe@village.lokole.ca",
    ][:users]
    if users:
        assert isinstance(accounts[0], AccountRecord)
        assert isinstance(accounts[1], AccountRecord)
        assert str(accounts[0].password_hash).startswith("$2b$12$")
        assert accounts[1].password_hash is None
        assert accounts[0].version == 0


def test_what_the_first_server_offered_is_read_whole() -> None:
    first, second = records_of("server-download.tar.zstd")
    assert isinstance(first, EmailRecord)
    assert isinstance(second, EmailRecord)
    assert first.email.sent_at == datetime(2019, 12, 31, 23, 59, tzinfo=UTC)
    assert first.email.attachments == (
        Attachment("a.txt", b"hello"),
        Attachment("b.png", b"\x89PNG", cid="img1@example.com"),
    )
    assert second.email.cc == (Contact("ann@village.lokole.ca"),)
    assert second.email.to == ()
    assert second.email.body == ""


def test_attachments_apart_and_unknown_members_are_understood() -> None:
    with (GOLDEN / "server-download-attachments.tar.gz").open("rb") as file:
        reader = read_package(file)
        records = list(reader)
    assert reader.skipped == 1
    assert [type(record) for record in records] == [EmailRecord, EmailRecord, AttachmentRecord, AttachmentRecord]
    assert isinstance(records[0], EmailRecord)
    assert isinstance(records[2], AttachmentRecord)
    assert records[2].email_uids == (records[0].uid,)
    assert records[2].attachment == Attachment("a.txt", b"hello")
