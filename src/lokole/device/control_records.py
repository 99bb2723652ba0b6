"""The control records of the server, everything it says besides letters: what became of letters, what it has taken and could not take, people and their marks."""

from __future__ import annotations

from datetime import datetime

from lokole.device import packing
from lokole.mail.model import DeliveryState
from lokole.mailbox import account_records, letters, outbound, packages, recipients, repacking, roaming
from lokole.mailbox.database import Connection
from lokole.mailbox.held import not_held
from lokole.mailbox.identity import ensure_identity, renew_epoch
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.tenants import TenantRow
from lokole.ports.callables import Entropy
from lokole.sync.records import (
    TELL_WRITER,
    AccountRecord,
    AckRecord,
    AnyRecord,
    FlagRecord,
    ReceiptRecord,
    RequestRecord,
    ToldRecord,
)

#: what the writer of a letter reads that the server could not take
NOT_TAKEN = "not-taken"


def apply(tx: Connection, tenant: TenantRow, record: AnyRecord, now: datetime, entropy: Entropy) -> None:
    """Take one record in, in the caller's transaction; every one may come again, and in any order."""
    match record:
        case ReceiptRecord():
            no = roaming.find_wire(tx, tenant.no, record.email_id)
            mine = no is not None and letters.has_print(tx, tenant.no, no, record.print)
            if no is not None and mine and recipients.goes_to(tx, tenant.no, no, record.address):
                recipients.take_receipt(tx, tenant.no, no, record)
                return
            if no is None and record.state in (DeliveryState.ACCEPTED, DeliveryState.REFUSED):
                roaming.keep_for_later(tx, tenant.no, record, now)
            if record.state is DeliveryState.REFUSED:
                # this box lost the letter with its disk, and may have made another one under its id since (protocol 8.8):
                # its writer can be told only by who has it
                asked = {"email": record.email_id.hex(), "address": record.address}
                key = f"{record.email_id.hex()}:{record.address}"
                outbound.put(tx, tenant.no, packing.UP, RequestRecord(TELL_WRITER, key, asked))
        case AccountRecord():
            account_records.merge_from_server(tx, tenant.no, record)
        case FlagRecord():
            roaming.take_flag(tx, tenant.no, record, now)
        case AckRecord():
            acknowledged(tx, tenant, record, now, entropy)
        case ToldRecord():
            _told(tx, tenant, record, now)
        case _:
            pass  # a digest that came by a carrier is compared at the next visit


def acknowledged(tx: Connection, tenant: TenantRow, record: AckRecord, now: datetime, entropy: Entropy) -> None:
    """The server holds packages of ours, as a carrier brought word.

    When it means other packages than ours by these numbers, this box is an older copy of itself, or has a twin: nothing of it is believed,
    and what nobody has acknowledged gets numbers of a new epoch (protocol 8.6, 8.7).
    """
    present = ensure_identity(tx, entropy) == record.epoch
    built = packages.packages_after(tx, tenant.no, packing.UP, 0, epoch=record.epoch, states=("built",))
    highest = max([record.seq, *record.beyond])
    never = present and highest >= packages.next_seq(tx, tenant.no, record.epoch, packing.UP)
    ours = packages.check_of(tx, tenant.no, record.epoch, packing.UP, record.seq, record.beyond)
    if never or (record.check and ours is not None and ours != record.check):
        for package in built:
            packages.withdraw_package(tx, package.no, now)
        if present:
            renew_epoch(tx, entropy)
            quarantine(
                tx,
                tenant=tenant.no,
                kind="twin",
                source="server",
                reason="the server knows other packages by our numbers: this box was restored, or another one has its card",
                raw_ref=None,
                key=f"twin-number:{record.epoch}",
                now=now,
            )
        return
    for package in built:
        if package.seq <= record.seq or package.seq in record.beyond:
            packing.held_by_server(tx, tenant.no, package, now)


def _told(tx: Connection, tenant: TenantRow, record: ToldRecord, now: datetime) -> None:
    """The server could not take something of ours: a letter's writer is told and keeps it, a whole package is packed anew in smaller ones."""
    found = packages.find_package(tx, tenant.no, record.package, packing.UP)
    new = quarantine(
        tx,
        tenant=tenant.no,
        kind="told",
        source="server",
        reason=f"{record.code}: {record.reason}"[:300],
        raw_ref=None if found is None else found.blob,
        key=f"told:{record.package}:{record.record}",
        now=now,
    )
    if found is None or not new or found.state == "withdrawn":
        return
    if record.record:
        not_taken = not_held(tx, found.no, record.record)
    else:
        not_taken = [one.email for one in repacking.pack_anew(tx, found, now)]
    for no in not_taken:
        for one in recipients.deliveries(tx, tenant.no, no):
            if one.state in (DeliveryState.WAITING, DeliveryState.AT_SERVER):  # who has it, has it
                recipients.change_state(tx, tenant.no, no, one.address, DeliveryState.REFUSED, NOT_TAKEN)
