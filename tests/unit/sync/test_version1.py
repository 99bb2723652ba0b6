from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from lokole.mail.errors import BadPackage
from lokole.mail.model import Address, Attachment, Contact, Email
from lokole.sync import version1
from lokole.sync.limits import BOX, MIB, SERVER
from lokole.sync.records import AccountRecord, AttachmentRecord, BadRecord, EmailRecord

LETTER = Email(
    sender=Contact("ann@village.lokole.ca", "Ann"),
    to=(Contact("bob@example.com", "Bob"), Contact("carol@example.com")),
    cc=(Contact("cc@example.com"),),
    bcc=(Contact("bcc@example.com"),),
    reply_to=(Contact("reply@example.com"),),
    subject="Été",
    body="<p>\U0001f600</p>",
    attachments=(
        Attachment("a.txt", b"hello", "text/plain"),
        Attachment("b.png", b"\x89PNG", "image/png", "img@x"),
    ),
    sent_at=datetime(2026, 11, 23, 17, 5, tzinfo=UTC),
    message_id="<1@village.lokole.ca>",
    in_reply_to="<0@example.com>",
    references=("<0@example.com>",),
    recipients=(Address("bob", "example.com"), Address("Bcc", "example.com")),
)


def line_of(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_a_letter_to_a_first_box_has_exactly_the_keys_it_knows() -> None:
    line = version1.write_email_line(EmailRecord("u1", LETTER), own_box=False)
    assert line == (
        b'{"_uid":"u1","attachments":[{"content":"aGVsbG8=","filename":"a.txt"},'
        b'{"cid":"img@x","content":"iVBORw==","filename":"b.png"}],"bcc":["bcc@example.com"],'
        b'"body":"<p>\\ud83d\\ude00</p>","cc":["cc@example.com"],"from":"ann@village.lokole.ca",'
        b'"sent_at":"2026-11-23 17:05","subject":"\\u00c9t\\u00e9","to":["bob@example.com","carol@example.com"]}'
    )


def test_an_empty_letter_to_a_first_box_has_no_null_and_a_date() -> None:
    line = version1.write_email_line(EmailRecord("u1", Email(Contact(""))), own_box=False)
    assert json.loads(line) == {
        "_uid": "u1",
        "attachments": [],
        "bcc": [],
        "body": "",
        "cc": [],
        "from": "",
        "sent_at": "1970-01-01 00:00",
        "subject": "",
        "to": [],
    }


def test_a_letter_without_a_date_takes_the_one_it_was_packed_with() -> None:
    line = version1.write_email_line(
        EmailRecord("u1", Email(Contact(""))), own_box=False, undated=datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    )
    assert json.loads(line)["sent_at"] == "2026-01-02 03:04"


def test_our_own_box_gets_every_word_of_a_letter() -> None:
    line = version1.write_email_line(EmailRecord("u1", LETTER), own_box=True)
    assert version1.read_email_line(line) == EmailRecord("u1", LETTER)
    fields = json.loads(line)
    assert line == json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    assert fields["names"] == {"ann@village.lokole.ca": "Ann", "bob@example.com": "Bob"}
    assert fields["recipients"] == ["bob@example.com", "Bcc@example.com"]
    assert fields["attachments"][0]["type"] == "text/plain"


def test_a_date_is_written_in_utc_and_with_four_digits_of_year() -> None:
    assert version1.write_minute(datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == "2025-12-31 23:30"
    assert version1.write_minute(datetime(33, 4, 5, 6, 7, 8, tzinfo=UTC)) == "0033-04-05 06:07"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-01-02 03:04", datetime(2020, 1, 2, 3, 4, tzinfo=UTC)),
        ("2020-01-02 03:04:05", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2020-01-02T03:04:05.5", datetime(2020, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
        ("2020-01-02T03:04:05Z", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2020-01-02T03:04+01:00", datetime(2020, 1, 2, 2, 4, tzinfo=UTC)),
        (None, None),
        ("", None),
    ],
)
def test_dates_of_every_known_writer_are_read(text: str | None, moment: datetime | None) -> None:
    record = version1.read_email_line(line_of(_uid="1", sent_at=text))
    assert record.email.sent_at == moment
    assert record.notes == ()


@pytest.mark.parametrize("value", ["yesterday", 12, ["2020-01-02 03:04"], "0001-01-01T00:00+14:00", "9999-99-99 00:00"])
def test_an_unreadable_date_costs_the_date_and_not_the_letter(value: object) -> None:
    record = version1.read_email_line(line_of(_uid="1", sent_at=value, subject="s"))
    assert (record.email.subject, record.email.sent_at, record.email.sent_at_doubtful) == ("s", None, True)
    assert record.notes == ("sent_at-unreadable",)


@pytest.mark.parametrize("key", ["to", "cc", "bcc", "subject", "body", "attachments", "from", "sent_at", "_uid"])
@pytest.mark.parametrize("how", ["absent", "null"])
def test_a_letter_arrives_without_any_one_of_its_keys(key: str, how: str) -> None:
    fields = json.loads(version1.write_email_line(EmailRecord("u1", LETTER), own_box=False))
    if how == "null":
        fields[key] = None
    else:
        del fields[key]
    line = line_of(**fields)
    record = version1.read_email_line(line)
    if key == "_uid":
        assert record.uid == hashlib.sha256(line).hexdigest()
        assert record.notes == ("uid-derived",)
    else:
        assert record.uid == "u1"
        assert record.notes == ()
    assert record.email.subject == ("" if key == "subject" else LETTER.subject)


@pytest.mark.parametrize("uid", ["", 5, "x" * 201, [], None])
def test_a_uid_that_is_none_is_derived_from_the_line(uid: object) -> None:
    line = line_of(_uid=uid, subject="s")
    assert version1.read_email_line(line).uid == hashlib.sha256(line).hexdigest()


def test_one_address_that_stands_alone_is_a_list_of_one() -> None:
    assert version1.read_email_line(line_of(to="bob@example.com")).email.to == (Contact("bob@example.com"),)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"to": 5}, "to is not a list of texts"),
        ({"to": ["a@b.c", 5]}, "to is not a list of texts"),
        ({"subject": ["x"]}, "subject is not text"),
        ({"from": {"a": 1}}, "from is not text"),
        ({"attachments": "x", "to": []}, "attachments is not a list"),
        ({"names": [], "to": []}, "names is not an object of texts"),
        ({"names": {"a": None}, "to": []}, "names is not an object of texts"),
        ({"recipients": ["nobody"]}, "recipients holds something that is no address"),
        ({"email": "a@b.c"}, "the object has no key of a letter"),
        ({}, "the object has no key of a letter"),
    ],
)
def test_a_wrong_type_is_a_bad_record_with_its_bytes(fields: dict[str, Any], reason: str) -> None:
    line = line_of(**fields)
    assert version1.read_line("emails.jsonl", 7, line, limits=SERVER) == [BadRecord("emails.jsonl", 7, reason, line)]
    with pytest.raises(BadPackage, match=reason):
        version1.read_email_line(line)


@pytest.mark.parametrize(
    ("attachment", "reason"),
    [
        ({"filename": "x.jpg"}, "attachment 2: it has no content"),
        ({"filename": "x.jpg", "content": None}, "attachment 2: it has no content"),
        ({"filename": "x.jpg", "content": {"deep": [1]}}, "attachment 2: it has no content"),
        ({"filename": "x.jpg", "content": "not base64!"}, "attachment 2: its content is not base64"),
        ({"filename": "x.jpg", "content": "YWJj\u00e9"}, "attachment 2: its content is not base64"),
        ({"filename": "x.jpg", "content": "YWJ"}, "attachment 2: its content is not base64"),
        ({"filename": 5, "content": "YWJj"}, "attachment 2: filename is not text"),
        ("x.jpg", "attachment 2: it is not an object"),
        (None, "attachment 2: it is not an object"),
    ],
)
def test_a_broken_attachment_never_costs_the_letter(attachment: object, reason: str) -> None:
    good = {"filename": "good.txt", "content": "Z29vZA=="}
    line = line_of(_uid="u1", subject="s", attachments=[good, attachment, good])
    record, bad = version1.read_line("emails.jsonl", 3, line, limits=SERVER)
    assert isinstance(record, EmailRecord)
    assert record.email.subject == "s"
    assert record.email.attachments == (Attachment("good.txt", b"good"),) * 2
    assert record.notes == ("attachment-unreadable:2",)
    assert isinstance(bad, BadRecord)
    assert (bad.member, bad.line, bad.reason) == ("emails.jsonl", 3, reason)
    kept = json.loads(bad.raw)
    assert (kept["_uid"], kept["attachment"]) == ("u1", 2)
    if isinstance(attachment, dict) and "content" in attachment and not isinstance(attachment["content"], dict):
        assert kept["fields"] == attachment


def test_folded_base64_and_an_empty_file_are_read() -> None:
    content = base64.encodebytes(b"x" * 100).decode()
    line = line_of(attachments=[{"filename": "a", "content": content}, {"filename": "b", "content": ""}])
    assert [item.content for item in version1.read_email_line(line).email.attachments] == [b"x" * 100, b""]


def test_an_attachment_without_a_name_is_given_one() -> None:
    line = line_of(attachments=[{"content": "YQ=="}, {"content": "YQ==", "filename": None, "cid": None}])
    assert [item.filename for item in version1.read_email_line(line).email.attachments] == [
        "attachment-1",
        "attachment-2",
    ]


def test_what_no_store_can_hold_is_replaced_in_texts() -> None:
    record = version1.read_email_line(
        b'{"_uid":"a\\u0000b","subject":"\\ud800x","to":["\\udfff@b.c"],"body":"\\ud83d\\ude00"}'
    )
    assert record.uid == "a\ufffdb"
    assert record.email.subject == "\ufffdx"
    assert record.email.to == (Contact("\ufffd@b.c"),)
    assert record.email.body == "\U0001f600"


def test_a_long_file_is_read_from_where_it_stands_in_the_line() -> None:
    content = bytes(range(256)) * 8192
    email = replace(LETTER, attachments=(Attachment("a", content), Attachment("b", b"short"), Attachment("c", content)))
    line = version1.write_email_line(EmailRecord("u1", email), own_box=True)
    assert len(line) > 5 * MIB
    assert version1.read_email_line(line).email == email
    apart = AttachmentRecord("f1", Attachment("big.bin", content), ("u1",))
    line = b"".join(version1.attachment_line_pieces(apart, own_box=True))
    assert version1.read_attachment_line(line) == apart


def test_a_long_file_with_damage_is_kept_apart_with_its_bytes() -> None:
    content = "A" * (3 * MIB - 1)  # not a multiple of four
    line = line_of(_uid="u1", attachments=[{"filename": "x", "content": content}])
    record, bad = version1.read_line("emails.jsonl", 1, line, limits=SERVER)
    assert isinstance(record, EmailRecord)
    assert isinstance(bad, BadRecord)
    assert record.email.attachments == ()
    assert json.loads(bad.raw)["fields"] == {"filename": "x", "content": content}


@pytest.mark.parametrize(
    "broken",
    [
        b'{"attachments":[{"filename":"x"content":"%s"}]}',
        b'{"attachments":[{"filename":"x","content":"%s"}]',
        b'{"body":"\\"content":"%s"}',
        b'{"a" "content":"%s"}',
        b'["content":"%s"]',
    ],
)
def test_a_line_that_is_wrong_around_a_long_file_stays_wrong(broken: bytes) -> None:
    line = broken % (b"AAAA" * MIB)
    (bad,) = version1.read_line("emails.jsonl", 1, line, limits=SERVER)
    assert isinstance(bad, BadRecord)
    assert bad.raw == line


def test_a_key_that_only_ends_like_content_is_not_taken_for_it() -> None:
    line = b'{"_uid":"1","x\\"content":"%s","subject":"s"}' % (b"AAAA" * MIB)
    assert version1.read_email_line(line).email.subject == "s"


def test_more_text_than_a_letter_has_is_a_bad_record() -> None:
    line = line_of(_uid="1", body="x" * (4 * MIB))
    (bad,) = version1.read_line("emails.jsonl", 1, line, limits=BOX)
    assert isinstance(bad, BadRecord)
    assert bad.reason == "the line holds too much text"
    assert (
        version1.what_does_not_fit(EmailRecord("1", Email(Contact(""), body="x" * (4 * MIB))), own_box=True, limits=BOX)
        == "text"
    )


@pytest.mark.parametrize("size", [0, 1000, 60_000, 17 * MIB])
@pytest.mark.parametrize("body", ["", "x" * (4 * MIB - 2000), "\U0001f600" * (MIB // 4)])
def test_what_is_said_to_fit_is_read(size: int, body: str) -> None:
    email = Email(Contact("a@b.c"), body=body, attachments=(Attachment("f", bytes(size)),) if size else ())
    record = EmailRecord("u" * 200, email)
    unfit = version1.what_does_not_fit(record, own_box=True, limits=BOX)
    line = version1.write_email_line(record, own_box=True)
    result = version1.read_line("emails.jsonl", 1, line, limits=BOX)
    if unfit is None:
        assert len(line) <= BOX.max_line_bytes
        assert result == [record]
    else:
        assert len(line) > BOX.max_line_bytes or isinstance(result[0], BadRecord)


def test_an_account_is_what_each_side_may_know_of_a_person() -> None:
    record = AccountRecord("ann@village.lokole.ca", "$2b$12$x", "fr", 4)
    assert (
        version1.write_account_line(record, own_box=False) == b'{"email":"ann@village.lokole.ca","password":"$2b$12$x"}'
    )
    assert version1.read_account_line(version1.write_account_line(record, own_box=True)) == record
    bare = AccountRecord("ann@village.lokole.ca")
    assert version1.write_account_line(bare, own_box=False) == b'{"email":"ann@village.lokole.ca"}'
    assert version1.read_account_line(b'{"email":"ann@village.lokole.ca","password":null}') == bare


@pytest.mark.parametrize(
    "fields",
    [{}, {"email": None}, {"email": ""}, {"email": 5}, {"email": "a@b.c", "password": 5}]
    + [{"email": "a@b.c", "version": version} for version in (-1, 1.5, True, "1", 2**63, 10**30)],
)
def test_an_account_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadPackage):
        version1.read_account_line(line_of(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"filename": "x", "content": "YQ==", "emails": ["u1"]},
        {"_uid": "f1", "filename": "x", "emails": ["u1"]},
        {"_uid": "f1", "filename": "x", "content": "YQ==", "emails": [1]},
    ],
)
def test_an_attachment_apart_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadPackage):
        version1.read_attachment_line(line_of(**fields))
