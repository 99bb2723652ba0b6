"""Headers that the standard library does not write, block by block."""

from __future__ import annotations

import io
import tarfile

import pytest

from lokole.sync import tar
from tests.unit.sync.archives import archive, letter, read_all, uids

END = bytes(1024)
LETTERS = letter("1")


def block(name: str, size: bytes, kind: bytes = b"0", *, at: dict[int, bytes] | None = None) -> bytes:
    """A header with any size field and type, its sum right."""
    header = bytearray(tar.header(name, 0, mtime=0))
    header[124:136] = size.ljust(12, b"\0")
    header[156:157] = kind
    for place, content in (at or {}).items():
        header[place : place + len(content)] = content
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def emails(content: bytes = LETTERS) -> bytes:
    return block("emails.jsonl", b"%o" % len(content)) + padded(content)


def pax(*records: tuple[str, str]) -> bytes:
    content = b""
    for key, value in records:
        rest = f" {key}={value}\n".encode()
        length = len(rest)
        while length != len(str(length)) + len(rest):
            length = len(str(length)) + len(rest)
        content += str(length).encode() + rest
    return block("x", b"%o" % len(content), b"x") + padded(content)


def test_our_headers_are_read_by_the_standard_library() -> None:
    data = tar.header("emails.jsonl", 3, mtime=1_700_000_000) + padded(b"abc") + END
    with tarfile.open(fileobj=io.BytesIO(data)) as archive_:
        (member,) = archive_
    assert (member.name, member.size, member.mtime, member.mode, member.type) == (
        "emails.jsonl",
        3,
        1_700_000_000,
        0o644,
        b"0",
    )


@pytest.mark.parametrize(
    "data",
    [
        emails() + END,
        emails() + bytes(512),  # one zero block
        block("emails.jsonl", b"%11o " % len(LETTERS)) + padded(LETTERS) + END,  # spaces for zeros
        block("emails.jsonl", b"\x80" + len(LETTERS).to_bytes(11, "big")) + padded(LETTERS) + END,  # GNU base-256
        block("emails.jsonl", b"%o" % len(LETTERS), b"\0") + padded(LETTERS) + END,  # before POSIX
        block("emails.jsonl", b"%o" % len(LETTERS), b"7") + padded(LETTERS) + END,  # contiguous
        pax(("path", "emails.jsonl"), ("size", str(len(LETTERS)))) + block("?", b"0") + padded(LETTERS) + END,
        block("k", b"15", b"L") + padded(b"emails.jsonl\0") + block("?", b"%o" % len(LETTERS)) + padded(LETTERS) + END,
        block("g", b"14", b"g") + padded(b"12 path=zzz\n") + emails() + END,  # global headers say nothing of ours
        block("d", b"777", b"5") + emails() + END,  # a folder has no data whatever it says
    ],
)
def test_every_way_to_name_and_size_a_file_is_understood(data: bytes) -> None:
    assert read_all(data) == read_all(emails() + END)
    assert uids(read_all(data)[0]) == ["1"]


@pytest.mark.parametrize(
    "sparse",
    [
        block("emails.jsonl", b"1000", b"S") + bytes(512),
        block("emails.jsonl", b"1000", b"S", at={482: b"\1"}) + bytes(504) + b"\1" + bytes(7) + bytes(512) + bytes(512),
        pax(("GNU.sparse.major", "1"), ("GNU.sparse.name", "emails.jsonl"))
        + block("emails.jsonl", b"1000")
        + bytes(512),
    ],
)
def test_a_sparse_file_is_stepped_over(sparse: bytes) -> None:
    assert uids(read_all(sparse + emails() + END)[0]) == ["1"]


@pytest.mark.parametrize(
    "data",
    [
        emails(),
        emails() + bytes(100),
        emails() + END + b"x",
        emails()[:-1],
        block("emails.jsonl", b"\xff" * 12) + END,
        block("emails.jsonl", b"12x") + END,
        block("emails.jsonl", b"77777777777") + END,
        block("emails.jsonl", b"\x80" + b"\xff" * 11) + END,
        pax(("size", "99999999999999999999")) + emails() + END,
        pax(("size", "-1")) + emails() + END,
        pax(("size", "\u0661")) + emails() + END,
        block("x", b"7777777", b"x") + bytes(2_100_000) + emails() + END,
        block("x", b"12", b"x") + padded(b"99 path=zz\n") + emails() + END,
        block("x", b"12", b"x") + padded(b"0 path=zzz\n") + emails() + END,
        block("x", b"12", b"x") + padded(b"x path=zzz\n") + emails() + END,
        block("x", b"12", b"x") + padded(b"11 pathzzz\n") + emails() + END,
        block("x", b"12", b"x"),
        block("emails.jsonl", b"1000", b"S", at={482: b"\1"}) + bytes(100),
    ],
)
def test_a_damaged_archive_ends_in_a_bad_package(data: bytes) -> None:
    records, error = read_all(data)
    assert error is not None
    assert uids(records) in ([], ["1"])


def test_headers_without_end_are_counted() -> None:
    assert read_all(pax(("path", "x")) * 2000 + emails() + END)[1] == "too many members in the archive"


def test_a_member_beyond_what_the_header_can_say_is_not_written() -> None:
    with pytest.raises(ValueError, match="8 GiB"):
        tar.header("emails.jsonl", 8**11, mtime=0)


def test_a_name_longer_than_a_header_is_not_one_of_ours() -> None:
    assert read_all(archive(("p" * 150 + "/emails.jsonl", LETTERS), form=tarfile.USTAR_FORMAT))[0] == []
