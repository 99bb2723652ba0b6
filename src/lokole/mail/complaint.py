"""Complaints: what the provider of somebody who marked a letter as unwanted reports to its sender (RFC 5965, ARF).

Only what can name the letter is read; the person who complained is mostly made unreadable in it, and nothing of that is believed anyway.
"""

from __future__ import annotations

import email
import email.policy
from dataclasses import dataclass
from email.message import Message
from email.utils import parseaddr

_MEDIA_TYPE = "message/feedback-report"
_MAX_PARTS = 50


@dataclass(frozen=True, slots=True)
class Complaint:
    """``kind`` is the feedback type (section 3.1 and 7.3), in lower case; ``senders`` are the envelope senders that it names, ``recipient`` whom the letter was for, as far as that is said."""

    kind: str
    senders: tuple[str, ...]
    recipient: str


def read_complaint(raw: bytes) -> Complaint | None:
    """The report in ``raw``; None when it is none, whatever the bytes. Raises nothing."""
    if _MEDIA_TYPE.encode() not in raw.lower():
        return None
    try:
        return _complaint(email.message_from_bytes(raw, policy=email.policy.compat32))
    except Exception:
        # the parser of the standard library has its limits with hostile headers; then it says nothing
        return None


def _complaint(message: Message) -> Complaint | None:
    fields: Message | None = None
    letter: Message | None = None
    for n, part in enumerate(message.walk()):
        kind = part.get_content_type()
        if n >= _MAX_PARTS:
            break
        if kind == _MEDIA_TYPE and fields is None:
            fields = _headers(part)
        elif kind in ("message/rfc822", "text/rfc822-headers") and letter is None:
            letter = _headers(part)
    if fields is None:
        return None
    senders = [_address(fields, "Original-Mail-From")]
    if letter is not None:
        senders.append(_address(letter, "Return-Path"))
    kind = str(fields.get("Feedback-Type", "")).strip().lower()
    found = tuple(dict.fromkeys(one for one in senders if one))
    return Complaint(kind, found, _address(fields, "Original-Rcpt-To"))


def _headers(part: Message) -> Message:
    """The fields in a part, which the parser takes for a message of its own or for plain text."""
    inner = part.get_payload()
    if isinstance(inner, list) and inner and isinstance(inner[0], Message):
        return inner[0]
    content = part.get_payload(decode=True)
    return email.message_from_bytes(
        content.lstrip() if isinstance(content, bytes) else b"", policy=email.policy.compat32
    )


def _address(fields: Message, name: str) -> str:
    return parseaddr(str(fields.get(name, "")))[1]
