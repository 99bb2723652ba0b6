from __future__ import annotations

import base64
import gzip
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lokole.mail.errors import BadPackage, Refused
from lokole.mail.model import Address, Attachment, Contact, Email
from lokole.sync import lines, version1
from lokole.sync.package import read_package
from lokole.sync.records import AccountRecord, AttachmentRecord, BadRecord, EmailRecord, Record
from tests.unit.sync.archives import archive, letter

LETTER = EmailRecord(
    "u1",
    Email(
        Contact("a@b.c", "Ä"),
        to=(Contact("x@y.z"),),
        subject="s",
        attachments=(Attachment("f", b"1"),),
        sent_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        recipients=(Address("x", "y.z"),),
    ),
)
RECORDS: list[Record] = [
    LETTER,
    AttachmentRecord("f1", Attachment("g", b"2"), ("u1",)),
    AccountRecord("a@b.c", "$2b$12$x", "fr", 3),
]


def text_of(records: list[Record]) -> bytes:
    return b"".join(map(lines.record_line, records))


def test_every_kind_of_record_says_what_it_is() -> None:
    kinds = [json.loads(line) for line in text_of([*RECORDS, BadRecord("emails.jsonl", 4, "no", b"\xff")]).splitlines()]
    assert [next(iter(fields)) for fields in kinds] == ["kind"] * 4
    assert [fields["kind"] for fields in kinds] == ["email", "attachment", "account", "quarantined"]
    assert kinds[0] == {"kind": "email"} | json.loads(version1.write_email_line(LETTER, own_box=True))
    assert kinds[3] == {
        "kind": "quarantined",
        "member": "emails.jsonl",
        "line": 4,
        "reason": "no",
        "raw": base64.b64encode(b"\xff").decode(),
    }


def test_notes_are_told() -> None:
    (line,) = lines.record_lines(io.BytesIO(archive(("emails.jsonl", b'{"subject":"s"}\n'))))
    assert json.loads(line)["notes"] == ["uid-derived"]


@pytest.mark.parametrize("form", ["gz", "zst", "zstd", "bz2", "xz", "tar"])
def test_lines_become_the_package_they_came_from(form: str, tmp_path: Path) -> None:
    text = text_of([*RECORDS, BadRecord("emails.jsonl", 4, "no", b"\xff")])
    written = lines.write_from_lines(io.BytesIO(text), tmp_path / "out", form)
    assert written == lines.Written(letters=1, quarantined=1)
    with (tmp_path / "out").open("rb") as file:
        assert list(read_package(file)) == RECORDS
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_lines_become_a_file_of_lines(tmp_path: Path) -> None:
    bare = version1.write_email_line(LETTER, own_box=True)
    lines.write_from_lines(io.BytesIO(bare + b"\n\n" + bare.replace(b"u1", b"u2")), tmp_path / "out", "jsonl.gz")
    with gzip.open(tmp_path / "out") as file:
        assert [json.loads(line)["_uid"] for line in file] == ["u1", "u2"]


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        (b"{}\n{broken\n", "gz", "line 1: the object has no key of a letter"),
        (letter("1") + b"{broken\n", "gz", "line 2: the line is not JSON at character 1"),
        (b'{"kind":"parcel"}\n', "gz", "line 1: the kind of the record is not known"),
        (b'{"kind":["email"]}\n', "gz", "line 1: the kind of the record is not known"),
        (b'{"to":[],"attachments":[{}]}\n', "gz", "line 1: attachment 1: it has no content"),
        (b'{"kind":"account","email":"a@b.c"}\n', "jsonl.gz", "line 1: this format holds letters only"),
        (b"", "rar", "the format rar is not known"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(text: bytes, form: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    with pytest.raises(Refused, match=said):
        lines.write_from_lines(io.BytesIO(text), tmp_path / "out", form)
    assert (tmp_path / "out").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_truncated_package_gives_its_lines_first() -> None:
    data = archive(("emails.jsonl", letter("1") + letter("2")))
    found = lines.record_lines(io.BytesIO(data[: data.index(b'"2"')]))
    assert json.loads(next(found))["_uid"] == "1"
    with pytest.raises(BadPackage):
        next(found)
