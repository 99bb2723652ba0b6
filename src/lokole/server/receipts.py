"""What became of a letter, on its way home: each change of a recipient's state is a receipt in the box's next package (protocol 8.2).

And the way back from the world: the envelope sender of a letter that leaves names its recipient, so that what a mail server
sends back is matched without believing a word of it (8.3). What comes there is never delivered to a person.
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select

from lokole.mail.dsn import read_delivery_status
from lokole.mail.errors import Refused
from lokole.mail.model import Address, DeliveryState, Email, EmailId
from lokole.mailbox import letters, outbound, recipients
from lokole.mailbox.database import Connection
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.schema import email as email_table
from lokole.mailbox.schema import recipient as recipient_table
from lokole.mailbox.seen import letters_named, print_of
from lokole.mailbox.suppressions import BOUNCE, hold_back, is_hard
from lokole.mailbox.tenants import CLAIMED, TenantRow
from lokole.ports.callables import Entropy
from lokole.server.notices import REASONS, write_home
from lokole.sync.records import PRINT_BYTES, ReceiptRecord

_BOUNCE = re.compile(r"bounce-([a-z2-7]{26})", re.IGNORECASE)
_ID = re.compile(r"[0-9a-f]{32}")


def settle(
    tx: Connection,
    row: TenantRow,
    email_no: int,
    letter: Email,
    address: str,
    state: DeliveryState,
    now: datetime,
    *,
    reason: str = "",
    code: str = "",
) -> bool:
    """Move one recipient's state forward and send the writer's box a receipt, in the caller's transaction; False when nothing changed.

    ``reason`` is a stable word of ours or what the other side said. To a writer whose box reads no receipts a refusal is a letter home;
    also where two letters to this address have one name at the box (protocol 8.8), for it would take the refusal for that of the one it has.
    """
    version = recipients.change_state(tx, row.no, email_no, address, state, reason)
    if version is None:
        return False
    id = _name_at_box(tx, row, email_no)
    namesakes = [] if id is None else _versions_of_namesakes(tx, row, email_no, address)
    if id is not None and not (namesakes and state is DeliveryState.REFUSED):
        version += sum(namesakes)  # above every one that was told of the other
        ours = reason in REASONS
        receipt = ReceiptRecord(id, address, state, version, reason if ours else code, "" if ours else reason, now)
        if state is DeliveryState.REFUSED:
            # a restored box may have another letter under this name by the time it hears
            receipt = replace(receipt, print=print_of(tx, row.no, email_no)[:PRINT_BYTES])
        outbound.put(tx, row.no, "down", receipt)
    elif state is DeliveryState.REFUSED:
        # a sender that is no address is nobody who could be told
        with suppress(Refused):
            write_home(tx, row, letter.sender.address, letter, address, reason, now)
    return True


def _name_at_box(tx: Connection, row: TenantRow, email_no: int) -> EmailId | None:
    """The name by which a box that reads receipts knows the letter; None when there is none."""
    if row.state != CLAIMED:
        return None
    known = tx.execute(select(email_table.c.uid, email_table.c.id).where(email_table.c.order_no == email_no)).one()
    if known.uid is None:
        return EmailId(bytes(known.id))  # written in town
    return EmailId(bytes.fromhex(known.uid)) if _ID.fullmatch(known.uid) else None


def _versions_of_namesakes(tx: Connection, row: TenantRow, email_no: int, address: str) -> list[int]:
    """The state versions of other letters to ``address`` that the box calls as it calls this one."""
    uid = tx.execute(select(email_table.c.uid).where(email_table.c.order_no == email_no)).scalar()
    others = [] if uid is None else [no for no in letters_named(tx, row.no, uid) if no != email_no]
    query = select(recipient_table.c.state_version).where(
        recipient_table.c.tenant == row.no, recipient_table.c.email.in_(others), recipient_table.c.address == address
    )
    return [int(version) for version in tx.execute(query).scalars()] if others else []


# --- the way back --------------------------------------------------------------------------------


def envelope_sender(tx: Connection, row: TenantRow, email_no: int, address: str, entropy: Entropy) -> str:
    """``MAIL FROM`` of the transaction that brings a letter to one recipient; the same at every attempt."""
    id = recipients.envelope_id(tx, row.no, email_no, address, lambda: _new_id(entropy))
    return f"bounce-{id}@{row.domain}"


def _new_id(entropy: Entropy) -> str:
    return base64.b32encode(entropy(16)).decode("ascii").rstrip("=").lower()


def bounce_id(local: str) -> str | None:
    """The envelope id that a local part names, or None when it is not of that form."""
    match = _BOUNCE.fullmatch(local)
    return None if match is None else match[1].lower()


def is_known_bounce(tx: Connection, row: TenantRow, address: Address) -> bool:
    """Whether this address is that of a letter which left here."""
    id = bounce_id(address.local)
    return id is not None and recipients.find_by_envelope_id(tx, row.no, id) is not None


def take_back(
    tx: Connection, row: TenantRow, address: Address, raw: bytes, raw_ref: str, source: str, now: datetime
) -> None:
    """What came to the envelope sender of a letter: a notification becomes its receipt, anything else the operator's."""
    id = bounce_id(address.local)
    found = None if id is None else recipients.find_by_envelope_id(tx, row.no, id)
    status = None if found is None else read_delivery_status(raw, found[1])
    if found is None or status is None:
        quarantine(
            tx,
            tenant=row.no,
            kind="dead-letter",
            source=source,
            reason="it came back without a delivery status that can be read",
            raw_ref=raw_ref,
            key=f"bounce:{row.no}:{raw_ref}:{id}",
            now=now,
        )
        return
    email_no, recipient = found
    letter = letters.read_email(tx, row.no, email_no).email
    match status.action:
        case "failed":
            state = DeliveryState.REFUSED
        case "delayed":
            state = DeliveryState.AT_SERVER  # changes only the reason
        case _:
            state = DeliveryState.ACCEPTED
    reason = status.reason or status.status if state is not DeliveryState.ACCEPTED else ""
    settle(tx, row, email_no, letter, recipient, state, now, reason=reason, code=status.status)
    if state is DeliveryState.REFUSED and is_hard(f"{status.status} {status.reason}"):
        hold_back(tx, row.no, recipient, BOUNCE, reason, now)
