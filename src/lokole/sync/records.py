"""What a package carries: typed records, and nothing about how they are written down.

Letters, files apart and people are in both versions of the protocol; ``sync/version1`` writes them as lines.
Receipts, flags and the rest are in version 2 only; ``sync/payload2.py`` writes all of them as frames (protocol 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from lokole.mail.model import Attachment, DeliveryState, Email, EmailId

#: What ``FlagRecord.flag`` may be.
FLAGS = ("read", "starred", "deleted", "folder")


@dataclass(frozen=True, slots=True)
class EntryState:
    """How a person has a letter that they wrote or filed at the other end; ``account`` is the local part of their address."""

    account: str
    folder: str = "inbox"
    read: bool = False
    starred: bool = False
    written: bool = False


@dataclass(frozen=True, slots=True)
class EmailRecord:
    """One letter. ``uid`` is the sender's name for it: unique under (device, uid) only.

    ``notes`` say in stable words what the reader had to do without (protocol 2.4):
    ``uid-derived``, ``sent_at-unreadable``, ``attachment-unreadable:N`` with N counting from 1.
    ``entries``, ``proven`` (the server has proven who sent it) and ``posted`` (a service of the server hangs it on the board,
    until then) travel in version 2 only (protocol 7.3).
    """

    uid: str
    email: Email
    notes: tuple[str, ...] = ()
    entries: tuple[EntryState, ...] = ()
    proven: bool = False
    posted: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttachmentRecord:
    """A file sent apart from the letters it belongs to (version 1 ``zattachments.jsonl``)."""

    uid: str
    attachment: Attachment
    email_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A person of the box. ``password_hash`` is bcrypt and only there when the person turned roaming on (or the box speaks version 1).

    ``name`` is how they write their own name, empty when they have not said it; ``removed``, that they have left for good.
    """

    address: str
    password_hash: str | None = None
    language: str | None = None
    version: int = 0
    name: str = ""
    removed: bool = False


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A line that cannot be read: kept apart with its reason, its neighbours are not touched.

    ``reason`` holds nothing of the content, so that it may be logged; ``raw`` does, and is cut when the line is too long to be kept.
    ``line`` counts from 1. An attachment that cannot be read is a BadRecord of its own behind its letter, ``raw`` being its part of the line.
    In version 2 ``member`` is the name of the kind and ``line`` the number of the frame.
    """

    member: str
    line: int
    reason: str
    raw: bytes


#: so much of a letter's print travels in a receipt
PRINT_BYTES = 8


@dataclass(frozen=True, slots=True)
class ReceiptRecord:
    """What became of a letter for one recipient (protocol 7.5). The highest ``version`` for (letter, recipient) is right.

    ``email_id`` is the letter as its writer's end knows it, ``code`` an RFC 3463 status or a stable word, ``at`` is aware and in UTC.
    ``print`` begins the print of the letter that is meant (protocol 8.8), 8 bytes, or is empty: its writer's end may have given the name anew.
    """

    email_id: EmailId
    address: str
    state: DeliveryState
    version: int
    code: str = ""
    reason: str = ""
    at: datetime | None = None
    print: bytes = b""


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """One mark of one person on one letter (protocol 7.6); the highest (lamport, origin) is right on both ends.

    ``flag`` is one of :data:`FLAGS`; ``value`` is text for ``folder``, else a truth value.
    """

    email_id: EmailId
    account: str
    flag: str
    value: bool | str
    lamport: int
    origin: str


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """Something asked of the other end (protocol 7.7); a newer one of equal ``kind`` and ``key`` replaces it. ``body`` is a JSON object."""

    kind: str
    key: str
    body: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """How the maker of the package is; ``body`` is a JSON object of at most :data:`MAX_HEALTH_BYTES` bytes (protocol 7.8)."""

    body: Mapping[str, Any]


MAX_HEALTH_BYTES = 300
#: The request of a box that heard of a refused letter which it does not have (protocol 7.7).
TELL_WRITER = "tell-writer"


@dataclass(frozen=True, slots=True)
class AckRecord:
    """What the maker of this package has taken of the other direction, where no answer can say it (protocol 7.9).

    ``check`` is what ``digest.ack_check`` makes of the packages that are named; empty when the maker does not say.
    """

    epoch: int
    seq: int
    beyond: tuple[int, ...] = ()
    check: bytes = b""


@dataclass(frozen=True, slots=True)
class PackageDigest:
    """The letters that one package carried and that an end holds: their number and all ids combined by exclusive or (protocol 8.5).

    ``direction`` is "up" or "down", ``xor`` 16 bytes; ``name`` the first 8 bytes of the digest of the package, zeros when it is not said.
    """

    direction: str
    epoch: int
    seq: int
    count: int
    xor: bytes
    name: bytes = bytes(8)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The packages ``first`` to ``last`` of one direction and epoch."""

    direction: str
    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class DigestRecord:
    """What the maker holds in ``windows``: ``count`` letters, 16 bytes of ``hash`` over their packages; ``packages`` one by one when they differed."""

    windows: tuple[Window, ...]
    count: int
    hash: bytes
    packages: tuple[PackageDigest, ...] = ()


@dataclass(frozen=True, slots=True)
class ToldRecord:
    """What could not be taken of a package of the other end (protocol 7.11).

    ``package`` is the digest of its bytes in hexadecimal, ``record`` the number of its line or frame from 1, 0 for the whole.
    ``reason`` holds nothing of the content.
    """

    package: str
    record: int
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UnknownRecord:
    """A frame of a kind that a later version knows: kept and stepped over (protocol 7.2)."""

    kind: int
    raw: bytes


#: What a version 1 package gives.
Record = EmailRecord | AttachmentRecord | AccountRecord | BadRecord
#: What a version 2 package gives: all of those and more.
AnyRecord = (
    Record
    | ReceiptRecord
    | FlagRecord
    | RequestRecord
    | HealthRecord
    | AckRecord
    | DigestRecord
    | ToldRecord
    | UnknownRecord
)
