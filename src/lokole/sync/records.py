"""What a package carries: typed records, and nothing about how they are written down.

``Record = EmailRecord | AttachmentRecord | AccountRecord | BadRecord``; receipts, flags, requests and health come with protocol version 2.
Version 1 is one written form of it (``sync/version1.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from lokole.mail.model import Attachment, Email


@dataclass(frozen=True, slots=True)
class EmailRecord:
    """One letter. ``uid`` is the sender's name for it: unique under (device, uid) only."""

    uid: str
    email: Email


@dataclass(frozen=True, slots=True)
class AttachmentRecord:
    """A file sent apart from the letters it belongs to (version 1 ``zattachments.jsonl``)."""

    uid: str
    attachment: Attachment
    email_uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A person of the box. ``password_hash`` is bcrypt and only there when the person turned roaming on (or the box speaks version 1)."""

    address: str
    password_hash: str | None = None
    language: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A line that cannot be read: kept apart with its reason, its neighbours are not touched. ``raw`` may be cut at a limit."""

    member: str
    line: int
    reason: str
    raw: bytes


Record = EmailRecord | AttachmentRecord | AccountRecord | BadRecord
