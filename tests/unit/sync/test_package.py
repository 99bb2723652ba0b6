from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from lokole.mail.model import Attachment, Contact, Email
from lokole.sync import compression as codecs
from lokole.sync.package import (
    BOX,
    SERVER,
    Compression,
    read_package,
    write_jsonl_gz,
    write_package,
)
from lokole.sync.records import AccountRecord, AttachmentRecord, BadRecord, EmailRecord, Record
from lokole.testing import shared_dir
from tests.unit.sync.archives import archive, letter, read_all, uids

LETTERS = letter("1") + letter("2") + letter("3")


def compress(data: bytes, compression: Compression) -> bytes:
    writer = codecs.compressor(compression)
    return writer.compress(data) + writer.flush()


def written(records: list[Record], compression: Compression = Compression.ZSTD, *, own_box: bool = True) -> bytes:
    out = io.BytesIO()
    write_package(out, records, compression=compression, own_box=own_box)
    return out.getvalue()


# --- archives as others make them ---


@pytest.mark.parametrize("compression", list(Compression))
def test_every_compression_is_found_by_its_first_bytes(compression: Compression) -> None:
    data = compress(archive(("emails.jsonl", LETTERS), ("zzusers.jsonl", b"")), compression)
    assert read_all(data) == read_all(archive(("emails.jsonl", LETTERS)))
    assert uids(read_all(data)[0]) == ["1", "2", "3"]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_is_read(form: int) -> None:
    long_name = ("d" * 90 + "/" + "f" * 90, b"x" * 700)
    assert uids(read_all(archive(long_name, ("emails.jsonl", LETTERS), form=form))[0]) == ["1", "2", "3"]


def test_members_may_come_in_any_order_and_more_than_once() -> None:
    data = archive(
        ("zzusers.jsonl", b'{"email":"a@b.c"}\n'), ("emails.jsonl", letter("1")), ("./emails.jsonl", letter("1"))
    )
    assert uids(read_all(data)[0]) == ["a@b.c", "1", "1"]


def test_only_regular_files_with_known_names_are_read() -> None:
    def entry(kind: bytes, name: str = "emails.jsonl") -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        return info

    data = archive(
        entry(tarfile.SYMTYPE),
        entry(tarfile.LNKTYPE),
        entry(tarfile.DIRTYPE),
        entry(tarfile.FIFOTYPE),
        entry(tarfile.CHRTYPE),
        ("../emails.jsonl", letter("no")),
        ("/emails.jsonl", letter("no")),
        ("emails.jsonl/emails.jsonl", letter("no")),
        ("EMAILS.JSONL", letter("no")),
        ("emails.jsonl", letter("yes")),
    )
    reader = read_package(io.BytesIO(data))
    assert uids(list(reader)) == ["yes"]
    assert reader.skipped == 9


def test_a_stream_that_gives_a_byte_at_a_time_is_read() -> None:
    class Dripping(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 1))

    for compression in Compression:
        data = compress(archive(("emails.jsonl", LETTERS)), compression)
        assert uids(list(read_package(Dripping(data)))) == ["1", "2", "3"]


def test_concatenated_streams_and_padding_are_one_archive() -> None:
    data = archive(("emails.jsonl", LETTERS))
    for make in (gzip.compress, bz2.compress, lzma.compress, lambda part: compress(part, Compression.ZSTD)):
        assert read_all(make(data[:600]) + make(data[600:])) == read_all(data)
    assert read_all(gzip.compress(data) + bytes(1000)) == read_all(data)


def test_empty_lines_and_carriage_returns_do_no_harm() -> None:
    lines = b"\n\r\n" + letter("1").replace(b"\n", b"\r\n") + b"\n" + letter("2").rstrip()
    assert uids(read_all(archive(("emails.jsonl", lines)))[0]) == ["1", "2"]


def test_a_bad_line_stands_beside_its_good_neighbours() -> None:
    lines = letter("1") + b"{broken\n" + letter("2") + b"\xff\xfe\n" + letter("3") + b"[1]\n"
    records, error = read_all(archive(("emails.jsonl", lines), ("zzusers.jsonl", b"{}\n")))
    assert error is None
    assert uids(records) == ["1", "bad", "2", "bad", "3", "bad", "bad"]
    assert [record for record in records if isinstance(record, BadRecord)] == [
        BadRecord("emails.jsonl", 2, "the line is not JSON at character 1", b"{broken"),
        BadRecord("emails.jsonl", 4, "the line is not UTF-8", b"\xff\xfe"),
        BadRecord("emails.jsonl", 6, "the line is JSON, but not an object", b"[1]"),
        BadRecord("zzusers.jsonl", 1, "the account has no email", b"{}"),
    ]


def test_a_file_of_lines_without_an_archive_is_read() -> None:
    assert uids(read_all(gzip.compress(LETTERS))[0]) == ["1", "2", "3"]
    assert uids(read_all(gzip.compress(b"{oops\n" + LETTERS))[0]) == ["bad", "1", "2", "3"]
    assert read_all(gzip.compress(b"")) == ([], None)


# --- damage ---


@pytest.mark.parametrize("compression", [Compression.TAR, Compression.GZ])
def test_a_truncated_package_gives_its_good_letters_and_then_says_so(compression: Compression) -> None:
    lines = b"".join(letter(str(n), body=f"{n * 7919}") for n in range(2000))
    data = compress(archive(("emails.jsonl", lines)), compression)
    records, error = read_all(data[: len(data) // 2])
    assert 500 < len(records) < 1500
    assert uids(records) == [str(n) for n in range(len(records))]
    assert error is not None
    assert "ends" in error


@pytest.mark.parametrize("compression", list(Compression))
def test_a_package_cut_anywhere_is_never_taken_for_whole(compression: Compression) -> None:
    data = compress(archive(("emails.jsonl", LETTERS)), compression)
    whole = len(data) if compression is not Compression.TAR else 512 * 3  # up to the end marker
    for end in range(whole):
        records, error = read_all(data[:end])
        assert error is not None
        assert uids(records) in (["1", "2", "3"][:n] for n in range(4))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"hello, this is no package at all\n" * 100,
        LETTERS,
        bytes(511),
        bytes(10240),
        b"\x1f\x8b",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"\x28\xb5\x2f\xfd",
        gzip.compress(bytes(range(256)) * 100),
        archive(("letters.jsonl", LETTERS)),
        archive(("emails.jsonl", LETTERS)) + archive(("emails.jsonl", LETTERS)),
        gzip.compress(archive(("emails.jsonl", LETTERS))) + b"garbage",
    ],
)
def test_what_is_no_package_is_said_to_be_none(data: bytes) -> None:
    assert read_all(data)[1] is not None


def test_a_header_that_was_changed_ends_the_package() -> None:
    data = bytearray(archive(("emails.jsonl", LETTERS), ("zzusers.jsonl", b"")))
    second = data.index(b"zzusers.jsonl")
    data[second] ^= 1
    records, error = read_all(bytes(data))
    assert uids(records) == ["1", "2", "3"]
    assert error == "a header of the archive is damaged"


def test_trouble_of_the_disk_is_not_blamed_on_the_package() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "input/output error")

    with pytest.raises(OSError, match="input/output error"):
        list(read_package(cast(BinaryIO, Broken())))


# --- limits ---


def test_a_line_that_is_too_long_is_kept_in_part_beside_its_neighbours() -> None:
    limits = replace(SERVER, max_line_bytes=1000, max_kept_of_long_line=10)
    lines = letter("1") + b"x" * 1001 + b"\n" + letter("2") + b"y" * 200_000 + b"\n" + letter("3")
    records, error = read_all(archive(("emails.jsonl", lines)), limits)
    assert error is None
    assert uids(records) == ["1", "bad", "2", "bad", "3"]
    assert records[1] == BadRecord("emails.jsonl", 2, "the line is too long", b"x" * 10)
    assert records[3] == BadRecord("emails.jsonl", 4, "the line is too long", b"y" * 10)


def test_too_many_records_members_or_bytes_end_the_package() -> None:
    data = archive(("a", b""), ("emails.jsonl", LETTERS), ("zzusers.jsonl", b'{"email":"a@b.c"}\n'))
    assert read_all(data, replace(SERVER, max_records=3)) == (
        read_all(data)[0][:3],
        "too many records in the package",
    )
    assert read_all(data, replace(SERVER, max_members=3))[1] is None
    assert read_all(data, replace(SERVER, max_members=2))[1] == "too many members in the archive"
    assert read_all(data, replace(SERVER, max_expanded_bytes=len(data)))[1] is None
    assert (
        read_all(data, replace(SERVER, max_expanded_bytes=len(data) - 1))[1] == "the package expands beyond its limit"
    )


@pytest.mark.parametrize("compression", [Compression.GZ, Compression.ZSTD, Compression.BZ2, Compression.XZ])
def test_a_package_that_unfolds_out_of_proportion_is_not_read_on(compression: Compression) -> None:
    data = compress(archive(("emails.jsonl", letter("1") + b" " * 10_000_000)), compression)
    limits = replace(SERVER, max_ratio=100, ratio_counts_from=1_000_000)
    assert read_all(data, limits)[1] == "the package expands too much for its size"


def test_a_window_or_dictionary_beyond_the_limit_is_refused() -> None:
    data = archive(("emails.jsonl", LETTERS))
    large_xz = lzma.compress(data, preset=9)
    assert read_all(large_xz, SERVER)[1] is None
    assert read_all(large_xz, BOX)[1] == "not readable as xz"
    zstd = compress(data, Compression.ZSTD)
    error = read_all(zstd, replace(SERVER, zstd_window_log=10))[1]
    assert error is not None
    assert error.startswith("not readable as zstd")


# --- writing ---


def test_a_package_has_its_members_in_order_and_always_a_users_file() -> None:
    photo = AttachmentRecord("f1", Attachment("x", b"y"), ("1",))
    one = EmailRecord("1", Email(Contact("a@b.c")))
    person = AccountRecord("a@b.c")
    for records, names in (
        ([], ["emails.jsonl", "zzusers.jsonl"]),
        ([one], ["emails.jsonl", "zzusers.jsonl"]),
        ([person, photo, one], ["emails.jsonl", "zattachments.jsonl", "zzusers.jsonl"]),
    ):
        data = written(cast(list[Record], records), Compression.TAR)
        assert len(data) % 10240 == 0
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as tar:
            members = list(tar)
        assert [member.name for member in members] == names
        assert all(member.isreg() and member.mode == 0o644 and member.mtime == 0 for member in members)


@pytest.mark.parametrize("compression", list(Compression))
@pytest.mark.parametrize("own_box", [True, False])
def test_the_standard_library_reads_what_is_written(compression: Compression, own_box: bool) -> None:
    records: list[Record] = [EmailRecord(str(n), Email(Contact("a@b.c"), subject="é" * n)) for n in range(50)]
    data = written(records, compression, own_box=own_box)
    plain = b"".join(codecs.expand(io.BytesIO(data), SERVER)[1])
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        content = tar.extractfile("emails.jsonl")
        assert content is not None
        lines = content.read().splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["é" * n for n in range(50)]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    records: list[Record] = [EmailRecord(str(n), Email(Contact("a@b.c"), body="x" * 1000)) for n in range(3000)]
    for compression in Compression:
        one, two = io.BytesIO(), io.BytesIO()
        assert write_package(one, records, compression=compression, own_box=True, mtime=7) == 3000
        write_package(two, iter(records), compression=compression, own_box=True, mtime=7, spool_dir=tmp_path)
        assert one.getvalue() == two.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_two_letters_never_share_a_uid_in_one_package() -> None:
    one = EmailRecord("1", Email(Contact("a@b.c")))
    assert uids(read_all(written([one, one, EmailRecord("1-2", one.email), one]))[0]) == ["1", "1-2", "1-2-2", "1-3"]


def test_zstd_has_neither_checksum_nor_size_in_its_frame() -> None:
    data = written([])
    assert data[:4] == b"\x28\xb5\x2f\xfd"
    assert data[4] & 0b11100100 == 0  # RFC 8878 section 3.1.1.1.1: no content size, not a single segment, no checksum


def test_a_bad_record_is_not_written() -> None:
    bad = BadRecord("emails.jsonl", 1, "no", b"")
    with pytest.raises(ValueError, match="cannot be written"):
        written([bad])
    with pytest.raises(ValueError, match="letters only"):
        write_jsonl_gz(io.BytesIO(), [bad])


def test_a_file_of_lines_is_written_and_read_back() -> None:
    records = [EmailRecord(str(n), Email(Contact("a@b.c"), subject="s")) for n in range(3)]
    out = io.BytesIO()
    assert write_jsonl_gz(out, records) == 3
    assert gzip.decompress(out.getvalue()).count(b"\n") == 3
    assert read_all(out.getvalue()) == (records, None)


# --- data nobody of this project made ---


def hostile_archives() -> list[Path]:
    shared = shared_dir()
    if shared is None:
        return []
    return sorted(path for path in (shared / "testdata" / "tar").rglob("*") if path.is_file())


@pytest.mark.skipif(not hostile_archives(), reason="the shared archives are not here; ours above cover the same forms")
@pytest.mark.parametrize("path", hostile_archives(), ids=lambda path: path.name)
def test_archives_of_other_projects_do_no_harm(path: Path) -> None:
    data = path.read_bytes()
    records, error = read_all(data)
    assert error is not None
    assert records == []
    if path.suffix == ".tar" and path.name not in ("simple_missing_last_header.tar", "empty_filename.tar"):
        # A package behind them in the same archive is found: every form of header is stepped over by its true length.
        body = data.rstrip(b"\0")
        body += bytes(-len(body) % 512)
        found = [read_all(body + bytes(512 * more) + archive(("emails.jsonl", LETTERS))) for more in range(3)]
        assert any(uids(records) == ["1", "2", "3"] for records, _error in found)
