"""What a package carries: typed records, and nothing about how they are written down.

``Record = EmailRecord | AttachmentRecord | AccountRecord | BadRecord``; receipts, flags, requests and health come with protocol version 2.
Version 1 is one written form of it (``sync/version1.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from lokole.mail.model import Attachment, Email


@dataclass(frozen=True, slots=True)
class EmailRecord:
    """One letter. ``uid`` is the sender's name for it: unique under (device, uid) only.

    ``notes`` say in stable words what the reader had to do without (protocol 2.4):
    ``uid-derived``, ``sent_at-unreadable``, ``attachment-unreadable:N`` with N counting from 1.
    """

    uid: str
    email: Email
    notes: tuple[str, ...] = ()


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
    """A line that cannot be read: kept apart with its reason, its neighbours are not touched.

    ``reason`` holds nothing of the content, so that it may be logged; ``raw`` does, and is cut when the line is too long to be kept.
    ``line`` counts from 1. An attachment that cannot be read is a BadRecord of its own behind its letter, ``raw`` being its part of the line.
    """

    member: str
    line: int
    reason: str
    raw: bytes


Record = EmailRecord | AttachmentRecord | AccountRecord | BadRecord
