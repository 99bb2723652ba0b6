"""Version 1 of the exchange format: one record as one line of JSON, as the first Lokole has it (protocol 2).

``emails.jsonl``: ``_uid``, ``sent_at`` ("yyyy-mm-dd HH:MM", UTC), ``to``, ``cc``, ``bcc``, ``from``, ``subject``, ``body`` (HTML),
``attachments`` of ``filename``, ``content`` (base64) and ``cid``.
``zattachments.jsonl``: ``_uid``, ``filename``, ``content``, ``cid``, ``emails`` (uids).
``zzusers.jsonl``: ``email``, ``password`` (bcrypt).
Between boxes and servers of our own (``own_box``) a letter may carry ``message_id``, ``in_reply_to``, ``references``, ``reply_to``,
``names`` (address to display name) and ``recipients`` (envelope), an attachment ``type``, an account ``language`` and ``version``.

The writer is exact, because boxes in the field lose a whole package to one null; the reader forgives what any of them sends.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator
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

#: What a version 1 box is told for a letter without a date: without one it would take the letter for its own and send it back.
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)

_LETTER_KEYS = frozenset(
    ("_uid", "sent_at", "to", "cc", "bcc", "from", "subject", "body", "attachments", "message_id", "recipients")
)
_MAX_UID = 200
_BASE64_PIECE = 57 * 1024  # a multiple of three, so that the pieces join without padding


# --- writing ---


def email_line_pieces(record: EmailRecord, *, own_box: bool, undated: datetime = NO_DATE) -> Iterator[bytes]:
    """The line of one letter with its line end, in pieces: an attachment is never in memory a second time.

    A version 1 box (``own_box=False``) gets ``undated`` for a letter without a date; our own gets no ``sent_at`` then.
    """
    fields = _email_fields(record.email, own_box=own_box, undated=undated)
    if not record.email.attachments:
        yield jsontext.write({"_uid": record.uid, "attachments": [], **fields}) + b"\n"
        return
    yield jsontext.write({"_uid": record.uid})[:-1] + b',"attachments":['
    for n, attachment in enumerate(record.email.attachments):
        if n:
            yield b","
        yield from _attachment_pieces(attachment, own_box=own_box, further={})
    yield b"]," + jsontext.write(fields)[1:] + b"\n"


def write_email_line(record: EmailRecord, *, own_box: bool, undated: datetime = NO_DATE) -> bytes:
    """The line of one letter, without its line end; see :func:`email_line_pieces`."""
    return b"".join(email_line_pieces(record, own_box=own_box, undated=undated))[:-1]


def attachment_line_pieces(record: AttachmentRecord, *, own_box: bool) -> Iterator[bytes]:
    """The line of one attachment that travels apart, with its line end, in pieces."""
    further: dict[str, object] = {"_uid": record.uid, "emails": list(record.email_uids)}
    yield from _attachment_pieces(record.attachment, own_box=own_box, further=further)
    yield b"\n"


def write_account_line(record: AccountRecord, *, own_box: bool) -> bytes:
    """The line of one person, without its line end."""
    fields: dict[str, object] = {"email": record.address}
    if record.password_hash is not None:
        fields["password"] = record.password_hash
    if own_box:
        fields["version"] = record.version
        if record.language is not None:
            fields["language"] = record.language
    return jsontext.write(fields)


def _email_fields(email: Email, *, own_box: bool, undated: datetime) -> dict[str, object]:
    fields: dict[str, object] = {
        "from": email.sender.address,
        "to": _addresses(email.to),
        "cc": _addresses(email.cc),
        "bcc": _addresses(email.bcc),
        "subject": email.subject,
        "body": email.body,
    }
    if email.sent_at is not None or not own_box:
        fields["sent_at"] = write_minute(email.sent_at or undated)
    if not own_box:
        return fields
    names = {
        contact.address: contact.name
        for contact in reversed((email.sender, *email.to, *email.cc, *email.bcc, *email.reply_to))
        if contact.name
    }
    further: dict[str, object] = {
        "message_id": email.message_id,
        "in_reply_to": email.in_reply_to,
        "references": list(email.references),
        "reply_to": _addresses(email.reply_to),
        "names": names,
        "recipients": [str(address) for address in email.recipients],
    }
    return fields | {key: value for key, value in further.items() if value}


def _addresses(contacts: tuple[Contact, ...]) -> list[str]:
    return [contact.address for contact in contacts]


def _attachment_pieces(attachment: Attachment, *, own_box: bool, further: dict[str, object]) -> Iterator[bytes]:
    """The object of an attachment; ``content`` goes between what sorts before and after it."""
    before: dict[str, object] = {key: value for key, value in further.items() if key < "content"}
    after: dict[str, object] = {"filename": attachment.filename} | {
        key: value for key, value in further.items() if key > "content"
    }
    if attachment.cid is not None:
        before["cid"] = attachment.cid
    if own_box:
        after["type"] = attachment.type
    yield (jsontext.write(before)[:-1] + b"," if before else b"{") + b'"content":"'
    content = memoryview(attachment.content)
    for at in range(0, len(content), _BASE64_PIECE):
        yield binascii.b2a_base64(content[at : at + _BASE64_PIECE], newline=False)
    yield b'",' + jsontext.write(after)[1:]


def write_minute(moment: datetime) -> str:
    """An aware ``moment`` as ``yyyy-mm-dd HH:MM`` in UTC, the only form that boxes of the first Lokole read."""
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}-{utc.month:02}-{utc.day:02} {utc.hour:02}:{utc.minute:02}"


# --- reading ---


def read_email_line(line: bytes, *, limits: Limits = SERVER) -> EmailRecord:
    """The letter of one line; raises :class:`BadPackage` with a reason that holds nothing of the content.

    Attachments that cannot be read are left out and named in ``notes``; :func:`read_line` keeps them.
    """
    fields = jsontext.read_object(jsontext.decode(line, max_values=limits.max_line_values))
    record, _bad = read_email(fields, digest=lambda: hashlib.sha256(line).hexdigest())
    return record


def read_attachment_line(line: bytes, *, limits: Limits = SERVER) -> AttachmentRecord:
    """The attachment of one line of ``zattachments.jsonl``; raises :class:`BadPackage`."""
    return read_attachment(jsontext.read_object(jsontext.decode(line, max_values=limits.max_line_values)))


def read_account_line(line: bytes, *, limits: Limits = SERVER) -> AccountRecord:
    """The person of one line of ``zzusers.jsonl``; raises :class:`BadPackage`."""
    return read_account(jsontext.read_object(jsontext.decode(line, max_values=limits.max_line_values)))


def read_line(member: str, number: int, line: bytearray, *, limits: Limits) -> list[Record]:
    """The records of line ``number`` of ``member``: one, and behind a letter one more for each attachment that cannot be read.

    ``line`` is emptied on the way, so that a long line is in memory once while it is parsed.
    Raises nothing: what cannot be read is a :class:`BadRecord` with the bytes as they came.
    """
    digest = hashlib.sha256(line).hexdigest()
    text = ""
    try:
        text = jsontext.decode(line, max_values=limits.max_line_values)
        line.clear()
        fields = jsontext.read_object(text)
        if member == ATTACHMENTS:
            return [read_attachment(fields)]
        if member == ACCOUNTS:
            return [read_account(fields)]
        check_email(fields)
    except BadPackage as error:
        raw = bytes(line) if line else text.encode("utf-8")
        return [BadRecord(member, number, str(error), raw)]
    del text
    record, bad = read_email(fields, digest=lambda: digest)
    return [record, *(BadRecord(member, number, reason, raw) for reason, raw in bad)]


def check_email(fields: dict[str, Any]) -> None:
    """Raise :class:`BadPackage` when ``fields`` are no letter; whatever passes, :func:`read_email` reads."""
    _read_head(fields)
    _attachment_list(fields)


def read_email(fields: dict[str, Any], *, digest: Callable[[], str]) -> tuple[EmailRecord, list[tuple[str, bytes]]]:
    """The letter that ``fields`` are, and a reason and the bytes of each attachment that cannot be read.

    ``fields`` give up their attachments one by one. ``digest`` names the line when it has no ``_uid`` of its own (protocol 2.4).
    Raises :class:`BadPackage` when a field is of the wrong type.
    """
    head, notes = _read_head(fields)
    uid = _uid(fields)
    if not uid:
        uid = digest()
        notes.insert(0, "uid-derived")
    attachments: list[Attachment] = []
    bad: list[tuple[str, bytes]] = []
    items = _attachment_list(fields)
    for n in range(1, len(items) + 1):
        item, items[n - 1] = items[n - 1], None
        try:
            attachments.append(_attachment(item, n))
        except BadPackage as error:
            notes.append(f"attachment-unreadable:{n}")
            raw = jsontext.write({"_uid": uid, "attachment": n, "fields": _harmless(item)})
            bad.append((f"attachment {n}: {error}", raw))
    email = Email(attachments=tuple(attachments), **head)
    return EmailRecord(uid, email, tuple(notes)), bad


def _harmless(item: object) -> object:
    """An unreadable attachment as far as it can be kept as evidence."""
    if not isinstance(item, dict):
        return item if isinstance(item, str | int | bool | None) else None
    return {key: value for key, value in item.items() if isinstance(value, str | int | bool | None)}


def read_attachment(fields: dict[str, Any]) -> AttachmentRecord:
    """The attachment that travels apart; raises :class:`BadPackage`."""
    uid = _uid(fields)
    emails = _texts(fields, "emails")
    if not uid:
        raise BadPackage("the attachment has no _uid")
    return AttachmentRecord(uid, _attachment(fields, 1), emails)


def read_account(fields: dict[str, Any]) -> AccountRecord:
    """The person; raises :class:`BadPackage`."""
    address = _text(fields, "email")
    if not address:
        raise BadPackage("the account has no email")
    version = fields.get("version")
    if version is None:
        version = 0
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**63:
        raise BadPackage("version is not a counter")
    return AccountRecord(
        address,
        password_hash=_text(fields, "password") or None,
        language=_text(fields, "language") or None,
        version=version,
    )


def _read_head(fields: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Everything of a letter but its attachments, as arguments of :class:`Email`, and the notes."""
    if _LETTER_KEYS.isdisjoint(fields):
        raise BadPackage("the object has no key of a letter")
    notes: list[str] = []
    names = _names(fields)

    def contacts(key: str) -> tuple[Contact, ...]:
        return tuple(Contact(address, names.get(address, "")) for address in _texts(fields, key))

    sender = _text(fields, "from")
    sent_at, readable = _sent_at(fields.get("sent_at"))
    if not readable:
        notes.append("sent_at-unreadable")
    try:
        recipients = tuple(Address.parse(address) for address in _texts(fields, "recipients"))
    except Refused:
        raise BadPackage("recipients holds something that is no address") from None
    head = {
        "sender": Contact(sender, names.get(sender, "")),
        "to": contacts("to"),
        "cc": contacts("cc"),
        "bcc": contacts("bcc"),
        "reply_to": contacts("reply_to"),
        "subject": _text(fields, "subject"),
        "body": _text(fields, "body"),
        "sent_at": sent_at,
        "sent_at_doubtful": not readable,
        "message_id": _text(fields, "message_id"),
        "in_reply_to": _text(fields, "in_reply_to"),
        "references": _texts(fields, "references"),
        "recipients": recipients,
    }
    return head, notes


def _sent_at(value: object) -> tuple[datetime | None, bool]:
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


def _uid(fields: dict[str, Any]) -> str:
    value = fields.get("_uid")
    return jsontext.fit_text(value) if isinstance(value, str) and len(value) <= _MAX_UID else ""


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadPackage(f"{key} is not text")
    return jsontext.fit_text(value)


def _texts(fields: dict[str, Any], key: str) -> tuple[str, ...]:
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


def _attachment_list(fields: dict[str, Any]) -> list[Any]:
    value = fields.get("attachments")
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadPackage("attachments is not a list")
    return value


def _attachment(item: object, n: int) -> Attachment:
    if not isinstance(item, dict):
        raise BadPackage("it is not an object")
    content = item.get("content")
    if not isinstance(content, str):
        raise BadPackage("it has no content")
    try:
        # Whatever wrote it may have folded the lines; anything else foreign to the alphabet is damage.
        decoded = base64.b64decode(content.translate(_NO_SPACE) if _has_space(content) else content, validate=True)
    except ValueError:
        raise BadPackage("its content is not base64") from None
    return Attachment(
        filename=_text(item, "filename") or f"attachment-{n}",
        content=decoded,
        type=_text(item, "type") or "application/octet-stream",
        cid=_text(item, "cid") or None,
    )


_NO_SPACE = {ord(space): None for space in " \t\r\n"}


def _has_space(text: str) -> bool:
    return any(space in text for space in " \t\r\n")
