"""Letters: one copy of the content per tenant, whoever has it.

A letter is stored once under (tenant, id); storing it again changes nothing, so that every repeat is harmless.
Its files are ``attachments.py``'s.
Bcc is not part of the content: it stands in ``recipient`` and is read only with ``private=True``,
for the letter's writer and for the other end.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, func, select

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import (
    Account,
    AccountNo,
    Address,
    Attachment,
    Contact,
    Delivery,
    DeliveryState,
    Email,
    EmailId,
    EmailNo,
    FolderName,
    TenantNo,
)
from lokole.mailbox.accounts import any_roaming, find_account_no
from lokole.mailbox.allowances import check_letter
from lokole.mailbox.attachments import (
    StoredAttachment,
    attachments_of,
    note_attachments,
)
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.entries import deliver
from lokole.mailbox.fulltext import index_letter, letter_text
from lokole.mailbox.packages import add_waiting
from lokole.mailbox.posting import BOARD_NAME, ECHO_NAME, make_post, may_post
from lokole.mailbox.recipients import envelope_of, set_recipients, written_recipients
from lokole.mailbox.schema import address, attachment, automatic, email, proven
from lokole.mailbox.upsert import insert_new
from lokole.mailbox.words import plain_text, storable
from lokole.sync.ids import letter_print

PREVIEW_CHARS = 120
_LINE_CHARS = 200
_OWN_MESSAGE_ID = re.compile(r"<([0-9a-f]{32})@")

_INSERT = insert_new(
    email, [column.name for column in email.columns if column.name != "order_no"], returning="order_no"
)
_INSERT_ADDRESS = insert_new(address)
_INSERT_AUTOMATIC = insert_new(automatic)
_INSERT_PROVEN = insert_new(proven)
_BY_ID = select(email.c.order_no).where(email.c.tenant == bindparam("tenant"), email.c.id == bindparam("id"))
_CONVERSATION = select(email.c.conversation).where(email.c.tenant == bindparam("tenant"), email.c.id == bindparam("id"))
_AUTOMATIC = exists().where(automatic.c.email == email.c.order_no).label("automatic")
_PROVEN = exists().where(proven.c.email == email.c.order_no).label("proven")
_EMAIL = select(email, _AUTOMATIC, _PROVEN).where(
    email.c.tenant == bindparam("tenant"), email.c.order_no == bindparam("email")
)
_ADDRESSES = (
    select(address.c.role, address.c.name, address.c.address)
    .where(address.c.tenant == bindparam("tenant"), address.c.email == bindparam("email"))
    .order_by(address.c.n)
)
_FILE_BYTES = (
    select(func.sum(attachment.c.size))
    .where(attachment.c.tenant == email.c.tenant, attachment.c.email == email.c.order_no)
    .scalar_subquery()
)
_WEIGHTS = select(email.c.order_no, func.length(email.c.body).label("chars"), _FILE_BYTES.label("files")).where(
    email.c.tenant == bindparam("tenant"), email.c.order_no.in_(bindparam("emails", expanding=True))
)


@dataclass(frozen=True, slots=True)
class StoredEmail:
    """A letter as it is kept. ``email.attachments`` is empty; the files are ``attachments``, counted from 0.

    ``proven`` says that SPF or DKIM have proven to the server who sent it.
    """

    no: EmailNo
    tenant: TenantNo
    id: EmailId
    email: Email
    attachments: tuple[StoredAttachment, ...]
    received_at: datetime
    conversation: str
    uid: str | None
    raw_ref: str | None
    proven: bool = False


def store_email(
    tx: Connection,
    tenant_no: int,
    letter: Email,
    *,
    id: EmailId,
    received_at: datetime,
    attachments: Sequence[StoredAttachment] = (),
    deliver_to: Sequence[int] = (),
    folder: str = FolderName.INBOX,
    read: bool = False,
    written: bool = False,
    raw_ref: str | None = None,
    uid: str | None = None,
) -> tuple[EmailNo, bool]:
    """Keep ``letter`` under ``id`` and give it to the accounts ``deliver_to`` (each as :func:`deliver` does).

    Returns its number, and False when it was there already: then only who does not have it yet gets it.
    ``letter.attachments`` is ignored: the files are ``attachments``. ``letter.bcc`` and ``letter.recipients`` are not kept here.
    ``body`` must be safe HTML.
    """
    sender, people = letter.sender, [*letter.to, *letter.cc]
    body, subject = storable(letter.body), storable(letter.subject)
    readable = plain_text(body)
    values: dict[str, Any] = {
        "tenant": tenant_no,
        "id": bytes(id),
        "received_at": to_micros(received_at),
        "sent_at": None if letter.sent_at is None else to_micros(letter.sent_at),
        "sent_at_doubtful": letter.sent_at_doubtful,
        "message_id": storable(letter.message_id),
        "in_reply_to": storable(letter.in_reply_to),
        "references": storable(" ".join(letter.references)),
        "conversation": _conversation(tx, tenant_no, letter, id),
        "sender_name": storable(sender.name),
        "sender_address": storable(sender.address),
        "recipients_line": storable(", ".join([one.name or one.address for one in people[:20]])[:_LINE_CHARS]),
        "subject": subject,
        "preview": storable(readable[:PREVIEW_CHARS]),
        "attachment_count": len(attachments),
        "raw_ref": raw_ref,
        "uid": uid,
        "body": body,
    }
    no = _INSERT.first(tx, values)
    if no is None:
        known = EmailNo(tx.execute(_BY_ID, {"tenant": tenant_no, "id": bytes(id)}).scalar_one())
        for account_no in deliver_to:
            deliver(tx, tenant_no, known, account_no, folder=folder, read=read, written=written)
        return known, False
    _store_addresses(tx, tenant_no, no, letter)
    if letter.automatic:
        _INSERT_AUTOMATIC.run(tx, {"tenant": tenant_no, "email": no})
    if attachments:
        note_attachments(tx, tenant_no, no, attachments)
    for account_no in deliver_to:
        deliver(tx, tenant_no, no, account_no, folder=folder, read=read, written=written, indexed=True)
    content = letter_text(
        subject=subject,
        people=[part for one in (sender, *people, *letter.reply_to) for part in (one.name, one.address)],
        filenames=[one.filename for one in attachments],
        readable=readable,
    )
    index_letter(tx, no, content, dict.fromkeys(deliver_to))
    return EmailNo(no), True


def write_letter(
    tx: Connection,
    tenant_no: int,
    writer: Account,
    letter: Email,
    *,
    id: EmailId,
    now: datetime,
    attachments: Sequence[StoredAttachment] = (),
) -> EmailNo:
    """A person sends ``letter``: it is among their sent letters, at once with the people of the same device, and waits for all others.

    The sender's address is the writer's whatever ``letter`` says; date and Message-ID are given when missing.
    Every other recipient gets a delivery state ``waiting``, and the letter a waiting row ``up``; that it gets also when
    its writer or one of the people here has roaming on.
    A letter to the board (``posting.BOARD_NAME``) hangs there for the people of the device, when the writer may post;
    one to the practice partner only (``posting.ECHO_NAME``) stays here, whoever has roaming on.
    Raises Refused, nothing written: ``no-recipient`` (field ``to``), ``address`` or ``unknown-person`` (field: the address as written),
    ``no-post``, and as :func:`allowances.check_letter`.
    """
    board = False
    local: dict[AccountNo, None] = {}
    noted: dict[str, Delivery] = {}
    names: dict[str, str] = {}
    for role, contacts in (("to", letter.to), ("cc", letter.cc), ("bcc", letter.bcc)):
        for contact in contacts:
            parsed = _parse(contact)
            if parsed.key in noted:
                continue
            state = DeliveryState.WAITING
            if parsed.domain == writer.domain:
                state = DeliveryState.LOCAL
                person = find_account_no(tx, tenant_no, parsed.local)
                if parsed.local.casefold() == BOARD_NAME:
                    if not may_post(tx, writer):
                        raise Refused("this person may not post", code="no-post", field=contact.address)
                    board = True
                elif person is not None:
                    local[person] = None
                elif parsed.local.casefold() != ECHO_NAME:
                    raise Refused("nobody here has this name", code="unknown-person", field=contact.address)
            noted[parsed.key] = Delivery(parsed.key, role, state)
            names[parsed.key] = contact.name
    if not noted:
        raise Refused("a letter needs somebody to go to", code="no-recipient", field="to")
    whole = replace(
        letter,
        sender=Contact(str(writer.address), letter.sender.name),
        sent_at=letter.sent_at or now,
        message_id=letter.message_id or f"<{id.hex()}@{writer.domain}>",
    )
    outwards = any(one.state is DeliveryState.WAITING for one in noted.values())
    check_letter(tx, writer, text=letter.body, attachments=attachments, outwards=outwards, now=now)
    # to oneself: one entry, in the inbox and among the sent (entries.lists_of)
    to_self = writer.no in local
    # each step is harmless when it was done before
    no, _ = store_email(tx, tenant_no, whole, id=id, received_at=now, attachments=attachments)
    folder = FolderName.INBOX if to_self else FolderName.SENT
    deliver(tx, tenant_no, no, writer.no, folder=folder, read=not to_self, written=True)
    for person in local:
        if person != writer.no:
            deliver(tx, tenant_no, no, person)
    set_recipients(tx, tenant_no, no, noted.values(), writer=writer.no, names=names)
    # who reads their mail in town reads there what a neighbour has written, too
    if outwards or ((local or board) and (writer.roaming or any_roaming(tx, tenant_no, local))):
        add_waiting(tx, tenant_no, no, "up")
    if board:
        make_post(tx, tenant_no, no, now, account=writer.no, public=False)
    return no


def known_as(tx: Connection, tenant_no: int, uid: str) -> list[EmailNo]:
    """The letters that the other end calls ``uid``, the oldest first: several after it was restored (protocol 8.8)."""
    query = select(email.c.order_no).where(email.c.tenant == tenant_no, email.c.uid == uid).order_by(email.c.order_no)
    return [EmailNo(no) for no in tx.execute(query).scalars()]


def read_email(tx: Connection, tenant_no: int, email_no: int, *, private: bool = False) -> StoredEmail:
    """The letter ``email_no`` of this tenant; raises NotFound.

    ``private`` adds what only the letter's writer and the other end may know: ``bcc``, and as ``recipients`` the envelope:
    for an incoming letter whom it addressed here, for a written one who is not served on this device.
    """
    row = tx.execute(_EMAIL, {"tenant": tenant_no, "email": email_no}).first()
    if row is None:
        raise NotFound("no such letter")
    by_role: dict[str, list[Contact]] = {}
    for one in tx.execute(_ADDRESSES, {"tenant": tenant_no, "email": email_no}):
        by_role.setdefault(one.role, []).append(Contact(one.address, one.name))
    files = () if not row.attachment_count else attachments_of(tx, tenant_no, email_no)
    bcc: tuple[Contact, ...] = ()
    envelope: tuple[Address, ...] = ()
    if private:
        written = written_recipients(tx, tenant_no, email_no)
        bcc = tuple(Contact(one.delivery.address, one.name) for one in written if one.delivery.role == "bcc")
        addressed = [one.delivery.address for one in written if one.delivery.state is not DeliveryState.LOCAL]
        envelope = _addresses(addressed or envelope_of(tx, tenant_no, email_no))
    return StoredEmail(
        no=EmailNo(row.order_no),
        tenant=TenantNo(row.tenant),
        id=EmailId(bytes(row.id)),
        email=Email(
            sender=Contact(row.sender_address, row.sender_name),
            to=tuple(by_role.get("to", ())),
            cc=tuple(by_role.get("cc", ())),
            bcc=bcc,
            reply_to=tuple(by_role.get("reply_to", ())),
            subject=row.subject,
            body=row.body,
            sent_at=None if row.sent_at is None else from_micros(row.sent_at),
            sent_at_doubtful=row.sent_at_doubtful,
            message_id=row.message_id,
            in_reply_to=row.in_reply_to,
            references=tuple(row.references.split()),
            recipients=envelope,
            automatic=bool(row.automatic),
            id=EmailId(bytes(row.id)),
        ),
        attachments=files,
        received_at=from_micros(row.received_at),
        conversation=row.conversation,
        uid=row.uid,
        raw_ref=row.raw_ref,
        proven=bool(row.proven),
    )


def has_print(tx: Connection, tenant_no: int, email_no: int, print_: bytes) -> bool:
    """Whether the print of a letter that was written here (protocol 8.8) begins with ``print_``; an empty one is that of any letter.

    An end that was restored may have given the name of a letter that it lost to this one.
    """
    if not print_:
        return True
    stored = read_email(tx, tenant_no, email_no, private=True)
    # of files the print knows the names alone
    named = tuple(Attachment(one.filename, b"") for one in stored.attachments)
    return letter_print(replace(stored.email, attachments=named)).startswith(print_)


def weights(tx: Connection, tenant_no: int, numbers: Sequence[int]) -> dict[int, int]:
    """How large these letters of a tenant are with their files, by number: bytes, a character of the text counted as one."""
    rows = tx.execute(_WEIGHTS, {"tenant": tenant_no, "emails": list(numbers)})
    return {row.order_no: row.chars + int(row.files or 0) for row in rows}


def mark_proven(tx: Connection, tenant_no: int, email_no: int) -> None:
    """SPF or DKIM have proven who sent this letter (ADR 17); may be repeated."""
    _INSERT_PROVEN.run(tx, {"tenant": tenant_no, "email": email_no})


def find_email(tx: Connection, tenant_no: int, id: EmailId) -> EmailNo | None:
    """The number of the letter with this id, or None."""
    no = tx.execute(_BY_ID, {"tenant": tenant_no, "id": bytes(id)}).scalar()
    return None if no is None else EmailNo(no)


def count_letters(tx: Connection, tenant_no: int) -> int:
    """How many letters a tenant has; walks an index, so not for every page."""
    return int(tx.execute(select(func.count()).select_from(email).where(email.c.tenant == tenant_no)).scalar_one())


def _parse(contact: Contact) -> Address:
    try:
        return Address.parse(contact.address)
    except Refused as error:
        raise Refused(str(error), code="address", field=contact.address) from error


def _addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    found = []
    for text in texts:
        # an address that a stranger's envelope brought may be no address at all: it cannot be written to
        with suppress(Refused):
            found.append(Address.parse(text))
    return tuple(found)


def _store_addresses(tx: Connection, tenant_no: int, no: int, letter: Email) -> None:
    people = [("from", letter.sender)]
    for role, contacts in (("to", letter.to), ("cc", letter.cc), ("reply_to", letter.reply_to)):
        people += [(role, contact) for contact in contacts]
    _INSERT_ADDRESS.run_many(
        tx,
        [
            {
                "tenant": tenant_no,
                "email": no,
                "n": n,
                "role": role,
                "name": storable(contact.name),
                "address": storable(contact.address),
            }
            for n, (role, contact) in enumerate(people)
        ],
    )


def _conversation(tx: Connection, tenant_no: int, letter: Email, id: EmailId) -> str:
    """What letters of one exchange share: a digest of the Message-ID that began it (RFC 5322 section 3.6.4)."""
    if letter.references:
        root = letter.references[0]
    elif letter.in_reply_to:
        # no References: when the letter answered was written here, its Message-ID tells its id (write_letter)
        root = letter.in_reply_to
        ours = _OWN_MESSAGE_ID.match(root)
        if ours is not None:
            asked = {"tenant": tenant_no, "id": bytes.fromhex(ours[1])}
            known = tx.execute(_CONVERSATION, asked).scalar()
            if known is not None:
                return str(known)
    else:
        root = letter.message_id or id.hex()
    return hashlib.sha256(root.encode("utf-8", "surrogatepass")).hexdigest()[:32]
