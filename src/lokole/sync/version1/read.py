"""Lines of version 1 to records: strict about JSON, forgiving about everything that a box in the field may send.

What is missing or null takes its empty value; a wrong type is a bad record; a broken attachment never costs the letter.
No reason that is given here holds anything of the content.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lokole.mail.errors import BadPackage, Refused
from lokole.mail.model import Address, Attachment, Contact, Email
from lokole.sync import jsontext
from lokole.sync.limits import SERVER, Limits
from lokole.sync.records import AccountRecord, AttachmentRecord, BadRecord, EmailRecord, Record

EMAILS = "emails.jsonl"
ATTACHMENTS = "zattachments.jsonl"
ACCOUNTS = "zzusers.jsonl"

_LETTER_KEYS = frozenset(
    ("_uid", "sent_at", "to", "cc", "bcc", "from", "subject", "body", "attachments", "message_id", "recipients")
)
_MAX_UID = 200


def read_email_line(line: bytes, *, limits: Limits = SERVER) -> EmailRecord:
    """The letter of one line; raises :class:`BadPackage` with a reason that holds nothing of the content.

    Attachments that cannot be read are left out and named in ``notes``; :func:`read_line` keeps them.
    """
    record, _bad = read_email(jsontext.read_line(line, limits=limits), digest=lambda: _digest(line))
    return record


def read_attachment_line(line: bytes, *, limits: Limits = SERVER) -> AttachmentRecord:
    """The attachment of one line of ``zattachments.jsonl``; raises :class:`BadPackage`."""
    return read_attachment(jsontext.read_line(line, limits=limits))


def read_account_line(line: bytes, *, limits: Limits = SERVER) -> AccountRecord:
    """The person of one line of ``zzusers.jsonl``; raises :class:`BadPackage`."""
    return read_account(jsontext.read_line(line, limits=limits))


def read_line(member: str, number: int, line: bytes | bytearray, *, limits: Limits) -> list[Record]:
    """The records of line ``number`` of ``member``: one, and behind a letter one more for each attachment that cannot be read.

    Raises nothing: what cannot be read is a :class:`BadRecord` with the bytes as they came.
    """
    try:
        return _records(member, number, line, limits)
    except BadPackage as error:
        reason, kept = str(error), len(line)
    except MemoryError:
        reason, kept = "the line needs too much memory", limits.max_kept_of_long_line
    # Only here, when the error no longer holds what the attempt took, is the line copied.
    return [BadRecord(member, number, reason, bytes(memoryview(line)[:kept]))]


def _records(member: str, number: int, line: bytes | bytearray, limits: Limits) -> list[Record]:
    fields = jsontext.read_line(line, limits=limits)
    if member == ATTACHMENTS:
        return [read_attachment(fields)]
    if member == ACCOUNTS:
        return [read_account(fields)]
    record, bad = read_email(fields, digest=lambda: _digest(line))
    return [record, *(BadRecord(member, number, reason, raw) for reason, raw in bad)]


def _digest(line: bytes | bytearray) -> str:
    return hashlib.sha256(line).hexdigest()


def read_email(fields: dict[str, Any], *, digest: Callable[[], str]) -> tuple[EmailRecord, list[tuple[str, bytes]]]:
    """The letter that ``fields`` are, and a reason and the bytes of each attachment that cannot be read.

    ``digest`` names the line when it has no ``_uid`` of its own (protocol 2.4).
    Raises :class:`BadPackage` when a field is of the wrong type.
    """
    head, notes = read_head(fields)
    uid = uid_of(fields)
    if not uid:
        uid = digest()
        notes.insert(0, "uid-derived")
    attachments: list[Attachment] = []
    bad: list[tuple[str, bytes]] = []
    for n, item in enumerate(attachment_list(fields), start=1):
        try:
            attachments.append(_attachment(item, n))
        except BadPackage as error:
            notes.append(f"attachment-unreadable:{n}")
            bad.append((f"attachment {n}: {error}", _evidence(uid, n, item)))
    email = Email(attachments=tuple(attachments), **head)
    return EmailRecord(uid, email, tuple(notes)), bad


def _evidence(uid: str, n: int, item: object) -> bytes:
    """An unreadable attachment as far as it can be kept, as JSON; whatever nests in it is left out."""
    before: dict[str, object] = {"_uid": uid, "attachment": n}
    if not isinstance(item, dict):
        return jsontext.write(before | {"fields": item if isinstance(item, str | int | None) else None})
    flat = {key: value for key, value in item.items() if isinstance(value, str | int | None)}
    content = item.get("content")
    if not isinstance(content, jsontext.Lifted):
        return jsontext.write(before | {"fields": flat})
    fields = jsontext.write(flat)
    return b"".join(
        (
            jsontext.write(before)[:-1],
            b',"fields":{"content":"',
            content.text,
            b'",' if flat else b'"',
            fields[1:],
            b"}",
        )
    )


def read_attachment(fields: dict[str, Any]) -> AttachmentRecord:
    """The attachment that travels apart; raises :class:`BadPackage`."""
    uid = uid_of(fields)
    emails = texts_of(fields, "emails")
    if not uid:
        raise BadPackage("the attachment has no _uid")
    return AttachmentRecord(uid, _attachment(fields, 1), emails)


def read_account(fields: dict[str, Any]) -> AccountRecord:
    """The person; raises :class:`BadPackage`."""
    address = text_of(fields, "email")
    if not address:
        raise BadPackage("the account has no email")
    version = fields.get("version")
    if version is None:
        version = 0
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**63:
        raise BadPackage("version is not a counter")
    return AccountRecord(
        address,
        password_hash=text_of(fields, "password") or None,
        language=text_of(fields, "language") or None,
        version=version,
        name=text_of(fields, "name"),
        removed=fields.get("removed") is True,
    )


def read_head(fields: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Everything of a letter but its attachments, as arguments of :class:`Email`, and the notes."""
    if _LETTER_KEYS.isdisjoint(fields):
        raise BadPackage("the object has no key of a letter")
    notes: list[str] = []
    names = _names(fields)

    def contacts(key: str) -> tuple[Contact, ...]:
        return tuple(Contact(address, names.get(address, "")) for address in texts_of(fields, key))

    sender = text_of(fields, "from")
    sent_at, readable = read_moment(fields.get("sent_at"))
    if not readable:
        notes.append("sent_at-unreadable")
    try:
        recipients = tuple(Address.parse(address) for address in texts_of(fields, "recipients"))
    except Refused:
        raise BadPackage("recipients holds something that is no address") from None
    head = {
        "sender": Contact(sender, names.get(sender, "")),
        "to": contacts("to"),
        "cc": contacts("cc"),
        "bcc": contacts("bcc"),
        "reply_to": contacts("reply_to"),
        "subject": text_of(fields, "subject"),
        "body": text_of(fields, "body"),
        "sent_at": sent_at,
        "sent_at_doubtful": not readable,
        "message_id": text_of(fields, "message_id"),
        "in_reply_to": text_of(fields, "in_reply_to"),
        "references": texts_of(fields, "references"),
        "recipients": recipients,
    }
    return head, notes


def read_moment(value: object) -> tuple[datetime | None, bool]:
    """The moment, and whether what stood there could be read; a time without a zone is UTC."""
    if value is None or value == "":
        return None, True
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        if moment is None:
            return None, False
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)), True
    except (ValueError, OverflowError):
        return None, False


def uid_of(fields: dict[str, Any]) -> str:
    """The sender's name for the letter, empty when there is none that can be used."""
    value = fields.get("_uid")
    return jsontext.fit_text(value) if isinstance(value, str) and len(value) <= _MAX_UID else ""


def text_of(fields: dict[str, Any], key: str) -> str:
    """Text, empty when absent or null; raises :class:`BadPackage`."""
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadPackage(f"{key} is not text")
    return jsontext.fit_text(value)


def texts_of(fields: dict[str, Any], key: str) -> tuple[str, ...]:
    """A list of texts, empty when absent or null; raises :class:`BadPackage`."""
    value = fields.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(item, str | None) for item in value):
        raise BadPackage(f"{key} is not a list of texts")
    return tuple(jsontext.fit_text(item) for item in value if item)


def _names(fields: dict[str, Any]) -> dict[str, str]:
    value = fields.get("names")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
        raise BadPackage("names is not an object of texts")
    return {jsontext.fit_text(address): jsontext.fit_text(name) for address, name in value.items()}


def attachment_list(fields: dict[str, Any]) -> list[Any]:
    """The attachments as they stand there, checked only to be a list; raises :class:`BadPackage`."""
    value = fields.get("attachments")
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadPackage("attachments is not a list")
    return value


def _attachment(item: object, n: int) -> Attachment:
    if not isinstance(item, dict):
        raise BadPackage("it is not an object")
    return Attachment(
        filename=text_of(item, "filename") or f"attachment-{n}",
        content=_content(item.get("content")),
        type=text_of(item, "type") or "application/octet-stream",
        cid=text_of(item, "cid") or None,
    )


def _content(value: object) -> bytes:
    try:
        if isinstance(value, jsontext.Lifted):
            return binascii.a2b_base64(value.text, strict_mode=True)
        if isinstance(value, str):
            # Whatever wrote it may have folded the lines; anything else foreign to the alphabet is damage.
            return binascii.a2b_base64(value.translate(_NO_SPACE) if _has_space(value) else value, strict_mode=True)
    except ValueError:
        raise BadPackage("its content is not base64") from None
    raise BadPackage("it has no content")


_NO_SPACE = {ord(space): None for space in " \t\r\n"}


def _has_space(text: str) -> bool:
    return any(space in text for space in " \t\r\n")
