"""MIME bytes into an :class:`~lokole.mail.model.Email` that a person can read; whatever the bytes are.

``mail/parts.py`` takes the message apart, ``mail/reading.py`` finds body and files, ``mail/headers.py`` the people and dates.
What is inside an attached message stays inside it: it is kept as an ``.eml`` file, byte for byte.

A message past a limit is not taken apart: its headers are read and the whole of it is the file ``message.eml``.
Writing is ``mail/compose.py``; its two functions can be imported from here as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lokole.mail import headers
from lokole.mail.compose import build_mime, message_id_for
from lokole.mail.errors import Refused
from lokole.mail.model import Attachment, Contact, Email
from lokole.mail.parts import MimeLimits, Part, PastLimit, headers_only, take_apart
from lokole.mail.reading import Reader

__all__ = ["MimeLimits", "ParsedEmail", "build_mime", "message_id_for", "parse_email"]

_LEADING = re.compile(rb"\A(?:\xef\xbb\xbf)?[\r\n]+|\A\xef\xbb\xbf")


@dataclass(frozen=True, slots=True)
class ParsedEmail:
    """A letter and the stable words that say what was wrong with its message, such as ``unknown-charset:x`` or ``bad-date``."""

    email: Email
    problems: tuple[str, ...] = ()


def parse_email(
    raw: bytes,
    *,
    limits: MimeLimits | None = None,
    sanitise: bool = True,
    received_at: datetime | None = None,
) -> ParsedEmail:
    """The letter in the message ``raw`` (RFC 5322, RFC 2045 to 2049).

    ``sanitise=False`` leaves markup as it came (plain text is escaped all the same); such a body must not be shown.
    ``received_at`` is when we got it: a Date more than two days later becomes ``received_at`` and doubtful;
    one before 1971, or from 2100 on when ``received_at`` is not given, becomes None and doubtful; none at all is None.

    Raises :class:`Refused` with code ``too-big`` when ``raw`` is longer than ``limits.max_bytes``, and nothing else.
    """
    limits = limits or MimeLimits()
    if len(raw) > limits.max_bytes:
        raise Refused("the message is too big", code="too-big")
    raw = _LEADING.sub(b"", raw, count=1)
    problems: dict[str, None] = {}
    try:
        part = take_apart(raw, limits, problems)
        body, attachments = Reader(limits, problems, sanitise=sanitise).read(part)
    except (PastLimit, RecursionError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as reason:
        problems[reason.args[0] if isinstance(reason, PastLimit) else "unreadable"] = None
        part = headers_only(raw)
        body, attachments = "", (Attachment("message.eml", raw, "message/rfc822"),)
    return ParsedEmail(_letter(part, body, attachments, limits, received_at, problems), tuple(problems)[:20])


def _letter(
    part: Part,
    body: str,
    attachments: Iterable[Attachment],
    limits: MimeLimits,
    received_at: datetime | None,
    problems: dict[str, None],
) -> Email:
    charset = part.kind()[1].get("charset")

    def people(name: str) -> tuple[Contact, ...]:
        found: list[Contact] = []
        for key, value in part.raw_items():
            if key.lower() == name and len(found) <= limits.max_recipients:
                found.extend(headers.contacts(str(value), charset, limits.max_recipients + 1))
        if len(found) > limits.max_recipients:
            problems["too-many-recipients"] = None
        return tuple(found[: limits.max_recipients])

    sender = people("from") or people("sender")
    if not sender:
        problems["no-sender"] = None
    sent_at, doubtful = _sent_at(part.raw_header("date"), received_at)
    if doubtful:
        problems["bad-date"] = None
    reply = headers.message_ids(part.raw_header("in-reply-to"))
    return Email(
        sender=sender[0] if sender else Contact(""),
        to=people("to"),
        cc=people("cc"),
        bcc=people("bcc"),
        reply_to=people("reply-to"),
        subject=headers.text_of(part.raw_header("subject"), charset),
        body=body,
        attachments=tuple(attachments),
        sent_at=sent_at,
        sent_at_doubtful=doubtful,
        message_id=headers.message_id(part.raw_header("message-id")),
        in_reply_to=reply[0] if reply else "",
        references=headers.message_ids(part.raw_header("references")),
        automatic=_is_automatic(part),
    )


def _is_automatic(part: Part) -> bool:
    """Whether a machine or a list wrote it: what RFC 3834 section 2 says not to answer."""
    said = part.raw_header("auto-submitted").partition(";")[0].strip().lower()
    if said not in ("", "no"):
        return True
    if part.raw_header("list-id").strip() or part.raw_header("list-unsubscribe").strip():
        return True
    if part.raw_header("precedence").strip().lower() in ("bulk", "junk", "list"):
        return True
    return part.raw_header("return-path").strip() == "<>" or part.kind()[0].startswith("multipart/report")


def _sent_at(raw: str, received_at: datetime | None) -> tuple[datetime | None, bool]:
    if not raw.strip():
        return None, False
    sent_at = headers.date(raw)
    if sent_at is None or sent_at.year < 1971:
        return None, True
    if received_at is not None:
        return (received_at, True) if sent_at > received_at + timedelta(days=2) else (sent_at, False)
    return (None, True) if sent_at.year >= 2100 else (sent_at, False)
