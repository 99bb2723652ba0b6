"""Records to lines of version 1, exactly as boxes in the field can read them: sorted keys, no nulls, no missing lists."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from datetime import UTC, datetime

from lokole.mail.model import Attachment, Contact, Email
from lokole.sync import jsontext
from lokole.sync.limits import Limits
from lokole.sync.records import AccountRecord, AttachmentRecord, EmailRecord

#: What a version 1 box is told for a letter without a date: without one it would take the letter for its own and send it back.
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)

_BASE64_PIECE = 57 * 1024  # a multiple of three, so that the pieces join without padding


def email_line_pieces(record: EmailRecord, *, own_box: bool, undated: datetime = NO_DATE) -> Iterator[bytes]:
    """The line of one letter with its line end, in pieces: an attachment is never in memory a second time.

    A version 1 box (``own_box=False``) gets ``undated`` for a letter without a date; our own gets no ``sent_at`` then.
    """
    fields = email_fields(record.email, own_box=own_box, undated=undated)
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
        if record.name:
            fields["name"] = record.name
        if record.removed:
            fields["removed"] = True
    return jsontext.write(fields)


def what_does_not_fit(record: EmailRecord, *, own_box: bool, limits: Limits) -> str | None:
    """``"text"`` or ``"attachments"`` when a reader under ``limits`` may refuse the line of ``record``, else None.

    Whoever packs asks this first: a letter is made to fit, with a word in it to its reader, and is not sent into a refusal.
    """
    attachments = record.email.attachments
    contents = [(len(attachment.content) + 2) // 3 * 4 for attachment in attachments]
    text = len(jsontext.write(email_fields(record.email, own_box=own_box, undated=NO_DATE))) + len(record.uid) + 100
    text += sum(len(jsontext.write([item.filename, item.cid, item.type])) + 60 for item in attachments)
    # What is too short to be lifted out counts as text (sync/jsontext.py).
    if text + sum(size for size in contents if size < jsontext.LONG_CONTENT) > limits.max_text_bytes:
        return "text"
    return "attachments" if text + sum(contents) > limits.max_line_bytes else None


def email_fields(email: Email, *, own_box: bool, undated: datetime = NO_DATE) -> dict[str, object]:
    """The keys of a letter but ``_uid`` and ``attachments``; see :func:`email_line_pieces`."""
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
