"""A package: an archive of records, read and written as a stream (protocol 2).

Layout: a tar archive, compressed or not, with ``emails.jsonl``, ``zattachments.jsonl`` when there are any, ``zzusers.jsonl``;
one record a line, as ``sync/version1.py`` writes it.
The other written form is one gzip file of such lines without an archive around it (``.jsonl.gz``).

The reader trusts nothing: it holds one line at a time, counts everything against :class:`Limits`, extracts nothing,
and ends in records and :class:`BadPackage` whatever bytes it is given.
It does not look for equal uids and does not ask who may send what: that is the business of whoever stores the records.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from lokole.mail.errors import BadPackage
from lokole.sync import tar, version1
from lokole.sync.compression import Compression, compressor, expand
from lokole.sync.limits import BOX, SERVER, Limits
from lokole.sync.records import AccountRecord, AttachmentRecord, BadRecord, EmailRecord, Record

__all__ = ["BOX", "SERVER", "Compression", "Limits", "PackageReader", "read_package", "write_jsonl_gz", "write_package"]

#: the media type of a bare ``.jsonl.gz``
JSONL_CONTENT_TYPE = "application/vnd.lokole.package.v1+jsonl.gz"

_MEMBERS = (version1.EMAILS, version1.ATTACHMENTS, version1.ACCOUNTS)
#: What the spool holds in memory before it becomes a file.
_SPOOL_IN_MEMORY = 1024 * 1024
_COPY = 128 * 1024


class PackageReader(Iterator[Record]):
    """The records of a package, one after the other; ends with :class:`BadPackage` where the package cannot be read on.

    ``skipped`` counts members that are none of ours, ``compression`` is known from the start.
    What the stream itself raises (a broken disk, a broken line) passes through.
    """

    def __init__(self, stream: BinaryIO, *, limits: Limits = SERVER) -> None:
        self.skipped = 0
        self._limits = limits
        self._records = 0
        self._reading = self._read(stream)

    def __iter__(self) -> PackageReader:
        return self

    def __next__(self) -> Record:
        return next(self._reading)

    def _read(self, stream: BinaryIO) -> Iterator[Record]:
        compression, pieces = expand(stream, self._limits)
        source = tar.ByteSource(pieces)
        head = source.up_to(tar.BLOCK)
        source.put_back(head)
        if tar.looks_like_tar(head):
            yield from self._read_archive(source)
        elif compression is Compression.GZ and b"\0" not in head:
            yield from self._read_lines(version1.EMAILS, tar.rest(source))
        else:
            raise BadPackage("neither an archive nor gzip-compressed lines")

    def _read_archive(self, source: tar.ByteSource) -> Iterator[Record]:
        known = 0
        for member in tar.members(source, max_members=self._limits.max_members):
            name = member.name.removeprefix("./")
            if member.regular and name in _MEMBERS:
                known += 1
                yield from self._read_lines(name, member.pieces())
            else:
                self.skipped += 1
        if not known:
            raise BadPackage("the archive has none of the members of a package")

    def _read_lines(self, member: str, pieces: Iterator[memoryview]) -> Iterator[Record]:
        for number, (line, whole) in enumerate(_lines(pieces, self._limits), start=1):
            self._records += 1
            if self._records > self._limits.max_records:
                raise BadPackage("too many records in the package")
            if not line:
                continue
            if whole:
                yield from version1.read_line(member, number, line, limits=self._limits)
            else:
                yield BadRecord(member, number, "the line is too long", bytes(line))


def read_package(stream: BinaryIO, *, limits: Limits = SERVER) -> PackageReader:
    """The records of the package in ``stream``, whose compression is found by its first bytes; see :class:`PackageReader`."""
    return PackageReader(stream, limits=limits)


def _lines(pieces: Iterator[memoryview], limits: Limits) -> Iterator[tuple[bytearray, bool]]:
    """Each line without its line end, and whether it is whole; of one that is too long only the beginning."""
    line = bytearray()
    too_long = False
    for piece in pieces:
        data = bytes(piece)
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            if not too_long:
                line += data[at:end]
                too_long = _cut_if_too_long(line, limits)
            yield _without_return(line), not too_long
            line, too_long, at = bytearray(), False, end + 1
        if not too_long:
            line += data[at:]
            too_long = _cut_if_too_long(line, limits)
    if line:
        yield _without_return(line), not too_long


def _cut_if_too_long(line: bytearray, limits: Limits) -> bool:
    if len(line) <= limits.max_line_bytes:
        return False
    del line[limits.max_kept_of_long_line :]
    return True


def _without_return(line: bytearray) -> bytearray:
    if line.endswith(b"\r"):
        del line[-1]
    return line


def write_package(
    out: BinaryIO,
    records: Iterable[Record],
    *,
    compression: Compression = Compression.ZSTD,
    own_box: bool,
    spool_dir: Path | None = None,
    level: int | None = None,
    mtime: int = 0,
) -> int:
    """Write ``records`` to ``out`` as one package and return how many letters it holds.

    Memory is bounded whatever their number: the members are spooled to unnamed files in ``spool_dir`` (the system's place when None).
    The same records give the same bytes; ``mtime`` (seconds since 1970) is the only time in them.
    Of two letters with one uid the second gets a uid of its own, because a version 1 box loses a whole package to the pair.
    A :class:`BadRecord` cannot be written and raises ``ValueError``.
    """
    uids: set[str] = set()
    letters = 0
    with (
        _spool(spool_dir) as emails,
        _spool(spool_dir) as attachments,
        _spool(spool_dir) as accounts,
    ):
        for record in records:
            match record:
                case EmailRecord():
                    letters += 1
                    unique = _unique(record, uids)
                    emails.writelines(version1.email_line_pieces(unique, own_box=own_box))
                case AttachmentRecord():
                    attachments.writelines(version1.attachment_line_pieces(record, own_box=own_box))
                case AccountRecord():
                    accounts.write(version1.write_account_line(record, own_box=own_box) + b"\n")
                case BadRecord():
                    raise ValueError("a record that cannot be read cannot be written")
        archive = _Archive(out, compression, level, mtime)
        archive.add(version1.EMAILS, emails)
        if attachments.tell():
            archive.add(version1.ATTACHMENTS, attachments)
        archive.add(version1.ACCOUNTS, accounts)
        archive.close()
    return letters


def _spool(folder: Path | None) -> tempfile.SpooledTemporaryFile[bytes]:
    return tempfile.SpooledTemporaryFile(max_size=_SPOOL_IN_MEMORY, dir=None if folder is None else str(folder))


def _unique(record: EmailRecord, uids: set[str]) -> EmailRecord:
    uid = record.uid
    n = 1
    while uid in uids:
        n += 1
        uid = f"{record.uid}-{n}"
    uids.add(uid)
    return record if uid == record.uid else EmailRecord(uid, record.email, record.notes)


class _Archive:
    def __init__(self, out: BinaryIO, compression: Compression, level: int | None, mtime: int) -> None:
        self._out = out
        self._compressor = compressor(compression, level)
        self._mtime = mtime
        self._size = 0

    def add(self, name: str, content: IO[bytes]) -> None:
        size = content.tell()
        self._write(tar.header(name, size, mtime=self._mtime))
        content.seek(0)
        while data := content.read(_COPY):
            self._write(data)
        self._write(bytes(-size % tar.BLOCK))

    def close(self) -> None:
        end = 2 * tar.BLOCK
        self._write(bytes(end + -(self._size + end) % tar.RECORD))
        self._out.write(self._compressor.flush())

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        self._out.write(self._compressor.compress(data))


def write_jsonl_gz(out: BinaryIO, records: Iterable[Record], *, own_box: bool = True, level: int | None = None) -> int:
    """Write the letters of ``records`` to ``out`` as one gzip file of lines and return their number.

    This form has no place for anything else: another kind of record raises ``ValueError``.
    """
    lines = compressor(Compression.GZ, level)
    uids: set[str] = set()
    for record in records:
        if not isinstance(record, EmailRecord):
            raise ValueError("a file of lines without an archive holds letters only")
        for piece in version1.email_line_pieces(_unique(record, uids), own_box=own_box):
            out.write(lines.compress(piece))
    out.write(lines.flush())
    return len(uids)
