"""What people with roaming on do at one end, seen at the other: flags, and the names by which letters are known on the wire.

The highest (lamport, origin) is right at both ends, in whatever order flags come (``entries.merge_flag``).
A flag for a letter or a person that is not here yet is kept until they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from sqlalchemy import delete, select

from lokole.mail.errors import BadPackage, NotFound
from lokole.mail.model import Account, EmailId, EmailNo
from lokole.mailbox import entries, outbound
from lokole.mailbox.accounts import find_account_no
from lokole.mailbox.database import Connection
from lokole.mailbox.entries import merge_flag
from lokole.mailbox.identity import observe_lamport
from lokole.mailbox.letters import has_print
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.recipients import take_receipt
from lokole.mailbox.schema import account, carried, email, entry, recipient, waiting
from lokole.mailbox.schema import outbound as table
from lokole.mailbox.seen import find_by_uid
from lokole.sync.bodies import Fields, read_flag, read_receipt
from lokole.sync.ids import SERVER_ORIGIN, record_uid
from lokole.sync.records import EntryState, FlagRecord, ReceiptRecord

_KEPT = "kept"
_R = TypeVar("_R")
#: flags of one tenant that wait for their letter or person
MOST_KEPT = 2000


def take_flag(tx: Connection, tenant_no: int, record: FlagRecord, now: datetime) -> bool:
    """Take in what somebody did at the other end; False when it is kept for later, or lost against what is known.

    At most :data:`MOST_KEPT` are kept: the oldest give way, since their letters are most likely gone for good, and it is noted once that some did.
    """
    observe_lamport(tx, tenant_no, record.lamport)
    email_no, person = find_wire(tx, tenant_no, record.email_id), find_account_no(tx, tenant_no, record.account)
    if email_no is not None and person is not None:
        try:
            return merge_flag(tx, tenant_no, person, email_no, record.flag, record.value, record.lamport, record.origin)
        except NotFound:
            pass
    keep_for_later(tx, tenant_no, record, now)
    return False


def keep_for_later(tx: Connection, tenant_no: int, record: FlagRecord | ReceiptRecord, now: datetime) -> None:
    """Keep what the other end says of a letter that is not here (yet)."""
    if outbound.put(tx, tenant_no, _KEPT, record) and outbound.keep_newest(tx, tenant_no, _KEPT, MOST_KEPT):
        quarantine(
            tx,
            tenant=tenant_no,
            kind="record",
            source="the other end",
            reason=f"more than {MOST_KEPT} marks and receipts came for letters that are not here; the oldest gave way",
            raw_ref=None,
            key=f"marks:{tenant_no}",
            now=now,
        )


def take_kept(tx: Connection, tenant_no: int) -> int:
    """Try the flags that were kept; call it when letters or people have come. Returns how many found their letter."""
    found = 0
    for no, record in _kept(tx, tenant_no, "flag", read_flag):
        email_no, person = find_wire(tx, tenant_no, record.email_id), find_account_no(tx, tenant_no, record.account)
        if email_no is None or person is None:
            continue
        try:
            merge_flag(tx, tenant_no, person, email_no, record.flag, record.value, record.lamport, record.origin)
        except NotFound:
            continue
        tx.execute(delete(table).where(table.c.no == no))
        found += 1
    return found


def take_kept_receipts(tx: Connection, tenant_no: int) -> int:
    """The same for receipts: a letter that was written in town may come behind what became of it."""
    found = 0
    for no, record in _kept(tx, tenant_no, "receipt", read_receipt):
        email_no = find_wire(tx, tenant_no, record.email_id)
        if email_no is None:
            continue
        if has_print(tx, tenant_no, email_no, record.print):  # else who has the letter was asked to tell its writer
            take_receipt(tx, tenant_no, email_no, record)
        tx.execute(delete(table).where(table.c.no == no))
        found += 1
    return found


def _kept(tx: Connection, tenant_no: int, kind: str, read: Callable[[Fields], _R]) -> list[tuple[int, _R]]:
    here = (table.c.tenant == tenant_no, table.c.direction == _KEPT, table.c.kind == kind)
    found = []
    for row in tx.execute(select(table.c.no, table.c.body).where(*here).order_by(table.c.no)).all():
        with suppress(ValueError, BadPackage):
            found.append((int(row.no), read(json.loads(row.body))))
    return found


def set_flag(tx: Connection, person: Account, email_no: int, flag: str, value: bool | str, origin: str) -> bool:
    """As ``entries.set_flag``; what a person with roaming on does is told to the other end with the next package."""
    if not entries.set_flag(tx, person, email_no, flag, value, origin):
        return False
    if person.roaming:
        column = entry.c[f"{flag}_lamport"]
        lamport = tx.execute(select(column).where(entry.c.account == person.no, entry.c.email == email_no)).scalar_one()
        name = wire_id(tx, person.tenant, email_no, person.name)
        record = FlagRecord(name, person.name, flag, value, int(lamport), origin)
        outbound.put(tx, person.tenant, "down" if origin == SERVER_ORIGIN else "up", record)
    return True


def written_entries(tx: Connection, tenant_no: int, email_no: int) -> tuple[EntryState, ...]:
    """How its writer has a letter that was written at this end, and not at the other; empty for every other letter."""
    rows = tx.execute(
        select(account.c.name, entry.c.folder, entry.c.read, entry.c.starred)
        .join(account, account.c.no == entry.c.account)
        .join(email, email.c.order_no == entry.c.email)
        .where(entry.c.tenant == tenant_no, entry.c.email == email_no, entry.c.written.is_(True), email.c.uid.is_(None))
    )
    return tuple(EntryState(row.name, row.folder, row.read, row.starred, written=True) for row in rows)


def was_written_here(tx: Connection, tenant_no: int, email_no: int) -> bool:
    """Whether somebody wrote the letter at this end, also when they have left since; what came from elsewhere has an envelope and no recipients."""
    query = (
        select(recipient.c.email)
        .join(email, email.c.order_no == recipient.c.email)
        .where(recipient.c.tenant == tenant_no, recipient.c.email == email_no, email.c.uid.is_(None))
    )
    return tx.execute(query.limit(1)).first() is not None


def wire_id(tx: Connection, tenant_no: int, email_no: int, name: str) -> EmailId:
    """The name by which both ends know this letter as the person ``name`` has it."""
    row = tx.execute(select(email.c.id, email.c.uid).where(email.c.order_no == email_no)).one()
    own = EmailId(bytes(row.id))
    # who appeared after their letter had come got a record of their own (server/strangers.py)
    apart = select(waiting.c.recipient).where(
        waiting.c.tenant == tenant_no,
        waiting.c.email == email_no,
        waiting.c.recipient.startswith(f"{name}@", autoescape=True),
    )
    whom = tx.execute(apart.limit(1)).scalar()
    if whom is not None:
        return EmailId(bytes.fromhex(record_uid(own, whom)))
    query = select(carried.c.id).where(carried.c.tenant == tenant_no, carried.c.email == email_no)
    travelled = [EmailId(bytes(id)) for id in tx.execute(query).scalars()]
    if travelled:
        return own if own in travelled else travelled[0]
    try:
        return EmailId(bytes.fromhex(row.uid)) if row.uid and len(row.uid) == 32 else own
    except ValueError:
        return own


def find_wire(tx: Connection, tenant_no: int, id: EmailId) -> EmailNo | None:
    """The letter that the other end means by ``id``, or None."""
    own = tx.execute(select(email.c.order_no).where(email.c.tenant == tenant_no, email.c.id == bytes(id))).scalar()
    if own is not None:
        return EmailNo(own)
    named = find_by_uid(tx, tenant_no, id.hex())
    if named is not None:
        return named
    travelled = tx.execute(
        select(carried.c.email).where(carried.c.tenant == tenant_no, carried.c.id == bytes(id)).limit(1)
    ).scalar()
    return None if travelled is None else EmailNo(travelled)
