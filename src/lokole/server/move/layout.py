"""How the first Lokole's server keeps things: containers, names, and objects in gzip.

| container | name | content |
| --- | --- | --- |
| ``clientsauth`` (tables) | ``domain/DOMAIN.msgpack.gz``, ``client_id/ID.msgpack.gz`` | ``client_id``, ``owner``, ``domain`` |
| the same, before that | ``DOMAIN.txt.gz``, ``ID.txt.gz`` | the other one of the two |
| ``pendingemails`` (tables) | ``DOMAIN/UID.txt.gz`` | a mark: the letter waits for the box |
| ``DOMAIN`` with hyphens for dots, before that | ``UID.txt.gz`` | the same |
| ``users`` (blobs) | ``DOMAIN/ADDRESS.msgpack.gz`` | ``email``, ``password`` |
| ``emails`` (blobs) | ``UID.msgpack.gz`` | a letter as version 1 of the protocol has it, files as bytes |
| ``mailbox`` (blobs) | ``DOMAIN/ADDRESS/received/N/UID.txt.gz`` (or ``sent``) | a mark; N is 2100000000 less the seconds of ``sent_at`` |
| ``sendgridinboundemails`` (blobs) | ``SHA256.txt.gz`` | a message as it came, not read yet |
| ``compressedpackages`` (clients) | ``UUID.tar.zstd`` and so on | packages on their way |

An object is msgpack and a line end, text is UTF-8. Whatever bytes are read here give a value or BadPackage.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgpack

from lokole.mail.errors import BadPackage
from lokole.sync.version1 import read_moment

AUTH, PENDING = "clientsauth", "pendingemails"
USERS, EMAILS, INDEX, RAW = "users", "emails", "mailbox", "sendgridinboundemails"
PACKAGES = "compressedpackages"
RECEIVED, SENT = "received", "sent"

OBJECT, TEXT = ".msgpack.gz", ".txt.gz"
#: what one object may have as it is stored, and when it is expanded
MAX_BYTES, MAX_EXPANDED = 128 * 2**20, 256 * 2**20
_NEWEST_FIRST = 2_100_000_000
_INDEX = re.compile(rf"(?:[^/]+/)?([^/]+@[^/]+)/({RECEIVED}|{SENT})/([^/]+)/([^/]+?)(?:{OBJECT}|{TEXT})")
_OUTSIDE = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A letter in somebody's mailbox; ``folder`` is received or sent, ``at`` when it was sent as far as the name says."""

    address: str
    folder: str
    at: datetime | None
    uid: str


def expand(content: bytes) -> bytes:
    """What the gzip stream ``content`` holds; raises BadPackage."""
    reader = zlib.decompressobj(wbits=31)
    try:
        whole = reader.decompress(content, MAX_EXPANDED)
    except zlib.error:
        raise BadPackage("it is not gzip, or damaged") from None
    if not reader.eof:
        raise BadPackage("it is too large" if reader.unconsumed_tail else "it is cut short")
    return whole


def read_object(content: bytes) -> dict[str, Any]:
    """The object in ``content`` (gzip, msgpack, a line end); raises BadPackage."""
    whole = expand(content)
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, max_buffer_size=max(len(whole), 1))
    try:
        unpacker.feed(whole)
        value = unpacker.unpack()
    except (ValueError, msgpack.OutOfData, msgpack.UnpackException, RecursionError, OverflowError):
        raise BadPackage("it is not msgpack, or damaged") from None
    if whole[unpacker.tell() :] not in (b"", b"\n") or not isinstance(value, dict):
        raise BadPackage("it is not one object")
    return value


def read_text(content: bytes) -> str:
    """The text in ``content`` (gzip, UTF-8) without blanks around it; raises BadPackage."""
    try:
        return expand(content).decode("utf-8").strip()
    except UnicodeDecodeError:
        raise BadPackage("it is not text") from None


def bare(name: str) -> str:
    """``name`` without the endings of its kind."""
    return name.removesuffix(OBJECT).removesuffix(TEXT)


def read_index(name: str) -> IndexEntry:
    """What the name of an object in ``mailbox`` says; raises BadPackage when it says nothing."""
    found = _INDEX.fullmatch(name)
    if found is None:
        raise BadPackage("its name is not one of a letter in a mailbox")
    address, folder, when, uid = found.groups()
    return IndexEntry(address, folder, _moment(when), uid)


def came_from_outside(uid: str) -> bool:
    """Whether the server gave the letter its name (64 hex digits): a box gives UUIDs."""
    return _OUTSIDE.fullmatch(uid) is not None


def _moment(text: str) -> datetime | None:
    if not text.isascii() or not text.isdigit():
        return read_moment(text)[0]
    try:
        return datetime.fromtimestamp(_NEWEST_FIRST - int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None
