"""Records into a sealed package and out of it: container and payload put together (protocol 6 and 7).

For whoever has records and keys; numbers, tables and what to do with a record are not known here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lokole.mail.errors import BadPackage, Refused
from lokole.sync import jsontext
from lokole.sync.container import NO_PRIME, Header, Opened, PayloadKind, open_sealed, open_unverified, seal
from lokole.sync.limits import SERVER, Limits
from lokole.sync.lines import record_line
from lokole.sync.package import read_package
from lokole.sync.payload2 import payload_chunks, read_numbered
from lokole.sync.records import AnyRecord
from lokole.sync.signing import decode_key


@dataclass(frozen=True, slots=True)
class SealedRecords:
    """A package that was verified as a whole, and its records, which can be read once while the stream is open.

    Each of ``numbered`` comes with the number of its first frame, from 1: what the other end is told by (protocol 7.11).
    """

    header: Header
    numbered: Iterator[tuple[int, AnyRecord]]

    @property
    def records(self) -> Iterator[AnyRecord]:
        """The records alone."""
        return (record for _number, record in self.numbered)


def write_sealed(
    out: BinaryIO,
    header: Header,
    records: Iterable[AnyRecord],
    *,
    sender_seed: bytes,
    recipient_public: bytes,
    entropy: Callable[[int], bytes],
    level: int | None = None,
) -> None:
    """Write ``records`` as one sealed package, as a stream; ``header.payload`` is GZ or ZSTD of :class:`PayloadKind`."""
    pieces = payload_chunks(records, kind=PayloadKind(header.payload), level=level)
    seal(out, header, pieces, sender_seed=sender_seed, recipient_public=recipient_public, entropy=entropy)


def read_sealed(
    stream: BinaryIO,
    *,
    recipient_seed: bytes,
    sender_public: Callable[[Header], bytes | None],
    limits: Limits = SERVER,
) -> SealedRecords:
    """Open the package in ``stream``; raises :class:`BadPackage` as ``open_sealed`` does, and unknown-payload, unknown-prime.

    While the records are read, :class:`BadPackage` says that the payload cannot be read on; those before are good.
    """
    opened = open_sealed(stream, recipient_seed=recipient_seed, sender_public=sender_public)
    return SealedRecords(opened.header, payload_records(opened, limits=limits))


def payload_records(opened: Opened, *, limits: Limits = SERVER) -> Iterator[tuple[int, AnyRecord]]:
    """The records of a package that was opened with their numbers, whatever its payload; raises unknown-payload and unknown-prime at once."""
    if opened.header.prime != NO_PRIME:
        raise BadPackage("the package builds on a history that is not here", code="unknown-prime")
    if opened.header.payload == PayloadKind.VERSION1:
        return enumerate(read_package(opened.payload, limits=limits), start=1)
    return read_numbered(opened.payload, opened.header.payload, limits=limits)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What an operator needs to look into a package: the taker's seed, and the maker's public key when it is at hand."""

    recipient_seed: bytes
    sender_public: bytes | None = None


def read_key_file(text: str) -> KeyFile:
    """The first line is the taker's secret seed, a second one the maker's public key: 32 bytes each, base64, base64url or hexadecimal.

    Empty lines and those that begin with ``#`` do not count. Raises :class:`Refused` with code ``key``.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not 1 <= len(lines) <= 2:
        raise Refused("a key file has one line, or two", code="key")
    keys = [_key(line) for line in lines]
    return KeyFile(keys[0], keys[1] if len(keys) == 2 else None)


def _key(line: str) -> bytes:
    if re.fullmatch(r"[0-9a-fA-F]{64}", line):
        return binascii.unhexlify(line)
    return decode_key(line)


def sealed_record_lines(stream: BinaryIO, key: KeyFile, *, limits: Limits = SERVER) -> Iterator[bytes]:
    """A sealed package as lines for people and scripts (protocol 7.13), a line with its line end each.

    Without the maker's key the signature stays unchecked, and the first line says ``"verified":false``: for looking, never for taking.
    """
    if key.sender_public is None:
        opened = open_unverified(stream, recipient_seed=key.recipient_seed)
    else:
        opened = open_sealed(stream, recipient_seed=key.recipient_seed, sender_public=lambda _header: key.sender_public)
    header = opened.header
    fields = {
        "direction": header.direction,
        "tenant": header.tenant,
        "device": header.device_id,
        "epoch": header.epoch,
        "seq": header.seq,
        "payload": int(header.payload),
        "prime": base64.b16encode(header.prime).decode("ascii").lower() if header.prime != NO_PRIME else "",
        "letters": header.letters,
        "verified": key.sender_public is not None,
    }
    yield b'{"kind":"package",' + jsontext.write(fields)[1:] + b"\n"
    for _number, record in payload_records(opened, limits=limits):
        yield record_line(record)
