"""A sealed package: for one taker, by one maker, under one number (protocol 6).

Layout inside the seal (``sync/seal.py``): header with its length, payload, 64 bytes of Ed25519 signature.
The signature covers prelude, taker, header and payload, so that none of them can be changed or used in another package.
Opening goes over the file twice: once to verify all of it, then to give the payload; so nothing unverified is used,
memory stays at a chunk or two, and no letter lies open on a disk.

What the payload means is not known here, nor which numbers came before: ``sync/payload2.py``, and whoever has the table of packages.
"""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

from nacl import bindings
from nacl.exceptions import CryptoError

from lokole.mail.errors import BadPackage
from lokole.sync import seal as sealing
from lokole.sync.varint import read_varint, varint

#: the media type and the end of the name of a sealed package
CONTENT_TYPE = "application/vnd.lokole.package.v2"
EXTENSION = ".lkl"

NO_PRIME = bytes(8)
MAX_NUMBER = 2**63 - 1

_PURPOSE = b"lokole-package-2\n"
_SIGNATURE = 64
_DIRECTIONS = ("up", "down")
_TENANT = re.compile(r"[a-z0-9.-]{1,253}")
_DEVICE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class PayloadKind(IntEnum):
    """What the payload of a package is; a later version has more."""

    VERSION1 = 0
    GZ = 1
    ZSTD = 2


@dataclass(frozen=True, slots=True)
class Header:
    """Whose package this is, and which (protocol 6.4).

    ``direction`` is "up" or "down", ``tenant`` the box's domain; ``epoch`` and ``seq`` number it, from 0 and from 1 to 2^63 - 1.
    ``payload`` is a :class:`PayloadKind`, or a number that is not known here; ``prime`` the first 8 bytes of the digest of what it builds on.
    ``letters`` is how many it carries, 0 also when the maker does not say.
    """

    direction: str
    tenant: str
    device_id: str
    epoch: int
    seq: int
    payload: int
    prime: bytes = NO_PRIME
    letters: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """A package that was verified as a whole. ``payload`` can be read as long as the sealed stream is open, and is seekable."""

    header: Header
    payload: BinaryIO


def seal(
    out: BinaryIO,
    header: Header,
    payload_chunks: Iterable[bytes],
    *,
    sender_seed: bytes,
    recipient_public: bytes,
    entropy: Callable[[int], bytes],
) -> None:
    """Write the sealed package of ``payload_chunks`` (pieces of any size) to ``out``, as a stream.

    ``sender_seed`` and ``recipient_public`` are 32 bytes of Ed25519 each; ``entropy(32)`` is taken once, and with the same
    the bytes are the same. A header or a key that cannot be raises ``ValueError``, before anything is written.
    """
    head = write_header(header)
    made = sealing.new_seal(recipient_public, entropy)
    secret = bindings.crypto_sign_seed_keypair(sender_seed)[1]
    covered = _covered(made, recipient_public)

    def content() -> Iterator[bytes]:
        covered.update(head)
        yield head
        for piece in payload_chunks:
            covered.update(piece)
            yield piece
        yield bindings.crypto_sign(_PURPOSE + covered.digest(), secret)[:_SIGNATURE]

    out.write(made.prelude)
    for chunk in sealing.closed_chunks(made, content()):
        out.write(chunk)


def open_sealed(stream: BinaryIO, *, recipient_seed: bytes, sender_public: Callable[[Header], bytes | None]) -> Opened:
    """The package in ``stream`` (seekable, read from where it stands), once every byte of it is verified.

    ``sender_public`` gets the header, which nobody has vouched for yet, and gives the Ed25519 key of the maker it names,
    or None when such a package is not for this exchange: wrong direction, tenant or device, key taken back or not known.

    Raises :class:`BadPackage` whose ``code`` is a word of protocol 6.6: not-sealed, future-version, not-for-us, truncated, altered, malformed,
    unknown-sender, forged. What ``stream`` itself raises passes through.
    """
    return _open(stream, recipient_seed, sender_public)


def open_unverified(stream: BinaryIO, *, recipient_seed: bytes) -> Opened:
    """As :func:`open_sealed`, but whoever made the package: for an operator who looks into one, never for taking it."""
    return _open(stream, recipient_seed, None)


def _open(stream: BinaryIO, recipient_seed: bytes, sender_public: Callable[[Header], bytes | None] | None) -> Opened:
    start = stream.tell()
    recipient_public = bindings.crypto_sign_seed_keypair(recipient_seed)[0]
    made = sealing.read_seal(stream, recipient_seed=recipient_seed, recipient_public=recipient_public)
    header, header_size, size, signature, digest = _verify_chunks(stream, made, recipient_public)
    if sender_public is not None:
        public = sender_public(header)
        if public is None:
            raise BadPackage("the package is not from anybody who may send it here", code="unknown-sender")
        try:
            bindings.crypto_sign_open(signature + _PURPOSE + digest, public)
        except (CryptoError, ValueError, TypeError):
            raise BadPackage("the package was not made by the one it names", code="forged") from None
    payload = _Payload(stream, made, start + sealing.PRELUDE, header_size, size)
    return Opened(header, io.BufferedReader(payload, sealing.CHUNK))


def is_sealed(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (3 bytes) is a sealed package of any version."""
    return head[: len(sealing.MAGIC)] == sealing.MAGIC


def for_exchange(
    keys: Callable[[Header], bytes | None], *, direction: str, tenant: str | None = None, device_id: str | None = None
) -> Callable[[Header], bytes | None]:
    """A ``sender_public`` for :func:`open_sealed` that asks ``keys`` only for what fits (protocol 6.6, check 7).

    A box names all three; a server names "up" and lets ``keys`` compare the tenant with that of the device.
    """

    def sender_public(header: Header) -> bytes | None:
        fits = (
            header.direction == direction and tenant in (None, header.tenant) and device_id in (None, header.device_id)
        )
        return keys(header) if fits else None

    return sender_public


def _covered(made: sealing.Seal, recipient_public: bytes) -> hashlib._Hash:
    return hashlib.sha512(made.prelude + recipient_public)


def _verify_chunks(
    stream: BinaryIO, made: sealing.Seal, recipient_public: bytes
) -> tuple[Header, int, int, bytes, bytes]:
    """Header, its size with its length, bytes of the payload, signature, and the digest that it covers."""
    covered = _covered(made, recipient_public)
    held = b""  # what may be the signature
    head = b""
    total = number = 0
    last = False
    while not last:
        content, last = sealing.open_chunk(made, number, stream)
        number += 1
        total += len(content)
        head = head or content  # a header always fits into the first chunk
        held += content
        covered.update(held[:-_SIGNATURE])
        held = held[-_SIGNATURE:]
    header, header_size = read_header(head)
    if total < header_size + _SIGNATURE:
        raise BadPackage("the package has no room for a signature", code="malformed")
    return header, header_size, total - header_size - _SIGNATURE, held, covered.digest()


class _Payload(io.RawIOBase):
    """The payload, opened again chunk by chunk from the file that was verified."""

    def __init__(self, stream: BinaryIO, made: sealing.Seal, first: int, skip: int, size: int) -> None:
        self._stream = stream
        self._seal = made
        self._first = first  # where the first chunk begins in the stream
        self._skip = skip  # bytes of header before the payload
        self._size = size
        self._at = 0
        self._number = -1
        self._chunk = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number, within = divmod(self._skip + self._at, sealing.CHUNK)
        if number != self._number:
            self._stream.seek(self._first + number * sealing.WRITTEN_CHUNK)
            # a disk that has changed its mind since: BadPackage, never other bytes
            self._chunk, _last = sealing.open_chunk(self._seal, number, self._stream)
            self._number = number
        piece = self._chunk[within : within + min(len(buffer), self._size - self._at)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def write_header(header: Header) -> bytes:
    """The header with its length; raises ``ValueError`` when a field is out of its range."""
    if (
        header.direction not in _DIRECTIONS
        or not 0 <= header.epoch <= MAX_NUMBER
        or not 1 <= header.seq <= MAX_NUMBER
        or not 0 <= header.payload <= 255
        or not 0 <= header.letters <= MAX_NUMBER
        or len(header.prime) != len(NO_PRIME)
        or not _TENANT.fullmatch(header.tenant)
        or not _DEVICE.fullmatch(header.device_id)
    ):
        raise ValueError("the header has a field that is out of its range")
    prime = b"" if header.prime == NO_PRIME else header.prime
    tenant = header.tenant.encode("ascii")
    fields = b"".join(
        (
            bytes((_DIRECTIONS.index(header.direction),)),
            header.epoch.to_bytes(8, "big"),
            varint(header.seq),
            bytes((header.payload, len(prime))),
            prime,
            varint(header.letters),
            bytes((len(tenant),)),
            tenant,
            _write_device(header.device_id),
        )
    )
    return len(fields).to_bytes(2, "big") + fields


def _write_device(device_id: str) -> bytes:
    if _is_plain_uuid(device_id):
        return b"\0" + uuid.UUID(device_id).bytes
    return bytes((len(device_id),)) + device_id.encode("ascii")


def _is_plain_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def read_header(data: bytes) -> tuple[Header, int]:
    """The header at the start of ``data`` and its size with its length; raises :class:`BadPackage` with code malformed."""
    size = 2 + int.from_bytes(data[:2], "big")
    stream = io.BytesIO(data[2:size])
    try:
        if len(data) < size:
            raise ValueError("the header is not whole")
        direction = _DIRECTIONS[_exactly(stream, 1)[0]]
        epoch = int.from_bytes(_exactly(stream, 8), "big")
        seq = read_varint(stream)
        payload, prime_size = _exactly(stream, 2)
        prime = _exactly(stream, prime_size) if prime_size else NO_PRIME
        letters = read_varint(stream)
        tenant = _exactly(stream, _exactly(stream, 1)[0]).decode("ascii")
        device_size = _exactly(stream, 1)[0]
        device = (
            _exactly(stream, device_size).decode("ascii") if device_size else str(uuid.UUID(bytes=_exactly(stream, 16)))
        )
        if seq is None or letters is None:
            raise ValueError("the header is not whole")
        header = Header(direction, tenant, device, epoch, seq, payload, prime, letters)
        write_header(header)
    except (ValueError, IndexError):
        raise BadPackage("the header of the package cannot be read", code="malformed") from None
    return header, size


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("the header is not whole")
    return data
