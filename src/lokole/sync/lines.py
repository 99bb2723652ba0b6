"""Records as lines that people and scripts read: what ``lokole package read`` prints and ``lokole package write`` takes.

Each line is the version 1 line of the record with a ``kind`` in front: ``email``, ``attachment`` or ``account``.
A letter that was read with a concession says so in ``notes``.
What only version 2 has is its body with its name in front, such as ``{"kind": "receipt", …}`` (protocol 7.13); it cannot be written here.
What could not be read is ``{"kind": "quarantined", "member", "line", "reason", "raw"}`` with its bytes in base64.
A line without ``kind`` is a letter, so that ``lokole mail parse FILE | lokole package write OUT`` works.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lokole.mail.errors import BadPackage, Refused
from lokole.sync import bodies, jsontext, version1
from lokole.sync.compression import Compression
from lokole.sync.limits import SERVER, Limits
from lokole.sync.package import read_package, write_jsonl_gz, write_package
from lokole.sync.payload2 import KIND_OF
from lokole.sync.records import (
    AccountRecord,
    AnyRecord,
    AttachmentRecord,
    BadRecord,
    EmailRecord,
    HealthRecord,
    Record,
    RequestRecord,
    UnknownRecord,
)

#: What ``write_from_lines`` calls the formats; ``jsonl.gz`` is the one without an archive.
FORMATS = {
    "gz": Compression.GZ,
    "zst": Compression.ZSTD,
    "zstd": Compression.ZSTD,
    "bz2": Compression.BZ2,
    "xz": Compression.XZ,
    "tar": Compression.TAR,
    "jsonl.gz": None,
}


@dataclass(frozen=True, slots=True)
class Written:
    """How many letters were written, and how many quarantined lines were left out."""

    letters: int
    quarantined: int


def record_lines(package: BinaryIO, *, limits: Limits = SERVER) -> Iterator[bytes]:
    """The records of ``package``, a line with its line end each; raises :class:`BadPackage` after the last that can be read."""
    for record in read_package(package, limits=limits):
        yield record_line(record)


def record_line(record: AnyRecord) -> bytes:
    """``record`` as one line with its line end."""
    match record:
        case EmailRecord():
            line = version1.write_email_line(record, own_box=True)
            notes = b',"notes":' + jsontext.write(list(record.notes)) if record.notes else b""
            if record.entries:
                notes += b',"entries":' + jsontext.write([bodies.entry_fields(one) for one in record.entries])
            return b'{"kind":"email",' + line[1:-1] + notes + b"}\n"
        case AttachmentRecord():
            return b'{"kind":"attachment",' + b"".join(version1.attachment_line_pieces(record, own_box=True))[1:]
        case AccountRecord():
            return b'{"kind":"account",' + version1.write_account_line(record, own_box=True)[1:] + b"\n"
        case BadRecord():
            fields = {
                "line": record.line,
                "member": record.member,
                "raw": base64.b64encode(record.raw).decode("ascii"),
                "reason": record.reason,
            }
            return b'{"kind":"quarantined",' + jsontext.write(fields)[1:] + b"\n"
        case UnknownRecord():
            raw = base64.b64encode(record.raw).decode("ascii")
            return b'{"kind":"unknown",' + jsontext.write({"number": record.kind, "raw": raw})[1:] + b"\n"
        case _:
            name = KIND_OF[type(record)].name.lower().encode("ascii")
            fields = bodies.small_fields(record)
            if isinstance(record, RequestRecord):
                fields["request"] = fields.pop("kind")
            elif isinstance(record, HealthRecord):
                fields = {"body": fields}
            return b'{"kind":"' + name + b'",' + jsontext.write(fields)[1:] + b"\n"


def read_record_line(line: bytes, *, limits: Limits = SERVER) -> Record | None:
    """The record that :func:`record_line` wrote, None for a quarantined one; raises :class:`BadPackage` when there is anything wrong with it."""
    fields = jsontext.read_line(line, limits=limits)
    match fields.pop("kind", "email"):
        case "email":
            fields.pop("notes", None)
            record, bad = version1.read_email(fields, digest=lambda: hashlib.sha256(line).hexdigest())
            if bad:
                raise BadPackage(bad[0][0])
            return record
        case "attachment":
            return version1.read_attachment(fields)
        case "account":
            return version1.read_account(fields)
        case "quarantined":
            return None
        case _:
            raise BadPackage("the kind of the record is not known")


def write_from_lines(lines: BinaryIO, out: Path, form: str, *, limits: Limits = SERVER) -> Written:
    """Write the records of ``lines`` into the package ``out``, written beside and renamed.

    ``form`` is one of :data:`FORMATS`. Raises :class:`Refused` with the number of the line that is wrong; nothing is written then.
    """
    if form not in FORMATS:
        raise Refused(f"the format {form} is not known", code="format", field="format")
    compression = FORMATS[form]
    quarantined = 0

    def records() -> Iterator[Record]:
        nonlocal quarantined
        for number, line in _numbered(lines, limits):
            try:
                record = read_record_line(line, limits=limits)
            except BadPackage as error:
                raise Refused(f"line {number}: {error}", code="line") from error
            if record is None:
                quarantined += 1
            elif compression is None and not isinstance(record, EmailRecord):
                raise Refused(f"line {number}: this format holds letters only", code="line")
            else:
                yield record

    descriptor, beside = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if compression is None:
                letters = write_jsonl_gz(file, records())
            else:
                letters = write_package(file, records(), compression=compression, own_box=True, spool_dir=out.parent)
        Path(beside).replace(out)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return Written(letters, quarantined)


def _numbered(lines: BinaryIO, limits: Limits) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := lines.readline(limits.max_line_bytes + 2):
        number += 1
        stripped = line.rstrip(b"\r\n")
        if len(stripped) > limits.max_line_bytes:
            raise Refused(f"line {number}: the line is too long", code="line")
        if stripped:
            yield number, stripped
