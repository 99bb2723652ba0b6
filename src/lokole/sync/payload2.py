"""The payload of version 2: typed records as frames, compressed as a whole (protocol 7).

Layout: frames (``sync/frames.py``) of JSON (``sync/bodies.py``) and of files; the files of a letter follow it.
The reader holds one letter at a time, counts everything against :class:`Limits`, and ends in records and :class:`BadPackage`
whatever bytes it is given: a kind that is not known is kept, a record that cannot be read stands apart beside good neighbours.
Who may say what is the business of whoever stores the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import BinaryIO

from lokole.mail.errors import BadPackage
from lokole.mail.model import Attachment
from lokole.sync import bodies, jsontext
from lokole.sync.compression import Compression, compressor, expand
from lokole.sync.container import PayloadKind
from lokole.sync.frames import Frame, read_frames, write_frame
from lokole.sync.limits import SERVER, Limits
from lokole.sync.records import (
    AccountRecord,
    AckRecord,
    AnyRecord,
    AttachmentRecord,
    BadRecord,
    DigestRecord,
    EmailRecord,
    FlagRecord,
    HealthRecord,
    ReceiptRecord,
    RequestRecord,
    ToldRecord,
    UnknownRecord,
)

COMPRESSIONS = {PayloadKind.GZ: Compression.GZ, PayloadKind.ZSTD: Compression.ZSTD}


class Kind(IntEnum):
    """The kinds of frames that this version knows; the names are those of bad records and of lines for people."""

    LETTER = 1
    FILE = 2
    ACCOUNT = 3
    RECEIPT = 4
    FLAG = 5
    REQUEST = 6
    HEALTH = 7
    ACK = 8
    DIGEST = 9
    TOLD = 10
    APART = 11


KIND_OF: dict[type[bodies.SmallRecord], Kind] = {
    AccountRecord: Kind.ACCOUNT,
    ReceiptRecord: Kind.RECEIPT,
    FlagRecord: Kind.FLAG,
    RequestRecord: Kind.REQUEST,
    HealthRecord: Kind.HEALTH,
    AckRecord: Kind.ACK,
    DigestRecord: Kind.DIGEST,
    ToldRecord: Kind.TOLD,
}
_READ: dict[int, Callable[[bodies.Fields], bodies.SmallRecord]] = {
    Kind.ACCOUNT: bodies.read_account,
    Kind.RECEIPT: bodies.read_receipt,
    Kind.FLAG: bodies.read_flag,
    Kind.REQUEST: bodies.read_request,
    Kind.HEALTH: bodies.read_health,
    Kind.ACK: bodies.read_ack,
    Kind.DIGEST: bodies.read_digest,
    Kind.TOLD: bodies.read_told,
}


def payload_chunks(
    records: Iterable[AnyRecord], *, kind: PayloadKind = PayloadKind.ZSTD, level: int | None = None
) -> Iterator[bytes]:
    """The payload of ``records`` in pieces, as ``container.seal`` takes them; the same records give the same bytes.

    A :class:`BadRecord` and a payload that is none of section 7 raise ``ValueError``. The notes of a letter are not written.
    """
    if kind not in COMPRESSIONS:
        raise ValueError("this payload does not hold frames")
    codec = compressor(COMPRESSIONS[kind], level)
    for record in records:
        for piece in _frames_of(record):
            if data := codec.compress(piece):
                yield data
    yield codec.flush()


def write_payload(
    out: BinaryIO, records: Iterable[AnyRecord], *, kind: PayloadKind = PayloadKind.ZSTD, level: int | None = None
) -> int:
    """Write the payload of ``records`` to ``out`` and return how many letters it carries; see :func:`payload_chunks`."""
    letters = 0

    def counted() -> Iterator[AnyRecord]:
        nonlocal letters
        for record in records:
            letters += isinstance(record, EmailRecord)
            yield record

    for piece in payload_chunks(counted(), kind=kind, level=level):
        out.write(piece)
    return letters


def _frames_of(record: AnyRecord) -> Iterator[bytes]:
    match record:
        case EmailRecord():
            yield from write_frame(Kind.LETTER, jsontext.write(bodies.letter_fields(record)))
            for attachment in record.email.attachments:
                yield from write_frame(Kind.FILE, attachment.content)
        case AttachmentRecord():
            yield from write_frame(Kind.APART, jsontext.write(bodies.apart_fields(record)))
            yield from write_frame(Kind.FILE, record.attachment.content)
        case UnknownRecord():
            if record.kind in Kind.__members__.values() or record.kind == 0:
                raise ValueError("this kind is known here")
            yield from write_frame(record.kind, record.raw)
        case BadRecord():
            raise ValueError("a record that cannot be read cannot be written")
        case _:
            yield from write_frame(KIND_OF[type(record)], jsontext.write(bodies.small_fields(record)))


def what_does_not_fit(record: EmailRecord, *, limits: Limits) -> str | None:
    """``"text"`` or ``"attachments"`` when a reader under ``limits`` refuses some of ``record``, else None."""
    if len(jsontext.write(bodies.letter_fields(record))) > limits.max_text_bytes:
        return "text"
    total = sum(len(attachment.content) for attachment in record.email.attachments)
    return "attachments" if total > limits.max_line_bytes else None


def size_of(record: EmailRecord) -> int:
    """How many bytes the frames of a letter are, before they are compressed."""
    return sum(len(piece) for piece in _frames_of(record))


def frames_of(record: EmailRecord) -> int:
    """How many frames a letter is written as: one, and one for each of its files."""
    return 1 + len(record.email.attachments)


def read_payload(stream: BinaryIO, kind: int, *, limits: Limits = SERVER) -> Iterator[AnyRecord]:
    """The records of a payload, one after the other; raises :class:`BadPackage` where it cannot be read on.

    A ``kind`` that holds no frames raises it with the code unknown-payload, before anything is read.
    What the stream itself raises passes through.
    """
    return (record for _number, record in read_numbered(stream, kind, limits=limits))


def read_numbered(stream: BinaryIO, kind: int, *, limits: Limits = SERVER) -> Iterator[tuple[int, AnyRecord]]:
    """As :func:`read_payload`, each record with the number of its frame from 1: what the other end is told by (protocol 7.11)."""
    expected = COMPRESSIONS.get(PayloadKind(kind)) if kind in PayloadKind.__members__.values() else None
    if expected is None:
        raise BadPackage("the payload is of a kind that is not known here", code="unknown-payload")
    return _read(stream, expected, limits)


def _read(stream: BinaryIO, expected: Compression, limits: Limits) -> Iterator[tuple[int, AnyRecord]]:
    compression, pieces = expand(stream, limits)
    if compression is not expected:
        raise BadPackage("the payload is not compressed as its header says")
    pending: _Pending | None = None

    def max_bytes(kind: int) -> int:
        if kind == Kind.FILE:
            # what the letter before may still take: its files count together, and none is read to be thrown away
            return limits.max_line_bytes - (pending.size if pending is not None else 0)
        return limits.max_text_bytes if kind in Kind.__members__.values() else limits.max_line_bytes

    for frame in read_frames(pieces, max_bytes=max_bytes, limits=limits):
        if frame.kind == Kind.FILE:
            if pending is None:
                reason = "it belongs to no letter that can be read"
                yield frame.number, BadRecord("file", frame.number, reason, frame.body)
                continue
            pending.take(frame)
            if pending.complete:
                yield from pending.records()
                pending = None
            continue
        if pending is not None:
            yield from pending.records()
            pending = None
        read = _record(frame, limits)
        if not isinstance(read, _Pending):
            yield frame.number, read
        elif read.complete:
            yield from read.records()
        else:
            pending = read
    if pending is not None:
        yield from pending.records()


def _record(frame: Frame, limits: Limits) -> AnyRecord | _Pending:
    """What ``frame`` is, no file; raises nothing."""
    if frame.kind not in Kind.__members__.values():
        if frame.whole:
            return UnknownRecord(frame.kind, frame.body)
        return BadRecord("unknown", frame.number, "the frame is too long", frame.body)
    name = Kind(frame.kind).name.lower()
    if not frame.whole:
        return BadRecord(name, frame.number, "the frame is too long", frame.body)
    try:
        fields = jsontext.read_whole(frame.body, limits=limits)
        match frame.kind:
            case Kind.LETTER:
                letter, files = bodies.read_letter(fields)
                return _Pending(frame.number, letter, files)
            case Kind.APART:
                uid, file, letters = bodies.read_apart(fields)
                return _Pending(frame.number, AttachmentRecord(uid, file, letters), [file])
            case _:
                return _READ[frame.kind](fields)
    except BadPackage as error:
        return BadRecord(name, frame.number, str(error), frame.body)
    except MemoryError:
        return BadRecord(name, frame.number, "it needs too much memory", frame.body[: limits.max_kept_of_long_line])


@dataclass(slots=True)
class _Pending:
    """A letter, or a file apart, whose files are still to come; ``size`` is what came, in bytes."""

    number: int
    record: EmailRecord | AttachmentRecord
    files: list[Attachment]
    taken: list[Attachment | None] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    size: int = 0

    @property
    def complete(self) -> bool:
        return len(self.taken) == len(self.files)

    def take(self, frame: Frame) -> None:
        n = len(self.taken)
        if frame.whole:
            self.size += len(frame.body)
            self.taken.append(replace(self.files[n], content=frame.body))
        else:
            self.taken.append(None)
            self.bad.append(BadRecord("file", frame.number, f"attachment {n + 1}: it is too long", frame.body))

    def records(self) -> Iterator[tuple[int, AnyRecord]]:
        """The letter with the files that came, and what is wrong with the others."""
        if missing := len(self.files) - len(self.taken):
            self.taken += [None] * missing
            self.bad.append(BadRecord("file", self.number, f"the last {missing} of its files are missing", b""))
        if isinstance(self.record, EmailRecord):
            lost = tuple(f"attachment-unreadable:{n}" for n, one in enumerate(self.taken, start=1) if one is None)
            there = tuple(one for one in self.taken if one is not None)
            email = replace(self.record.email, attachments=there)
            yield self.number, replace(self.record, email=email, notes=self.record.notes + lost)
        elif self.taken[0] is not None:
            yield self.number, replace(self.record, attachment=self.taken[0])
        yield from ((one.line, one) for one in self.bad)
