"""The control records of a box, everything it says besides letters and people: what it has taken, what it could not take, flags, requests, how it is."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from lokole.mail.errors import Refused
from lokole.mail.model import DeliveryState
from lokole.mailbox import folders, letters, packages, recipients, repacking, roaming, town_limits
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.held import not_held
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.packages import PackageRow, Waiting
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.seen import remember
from lokole.mailbox.tenants import TenantRow
from lokole.server.devices import READS_OPTION
from lokole.server.notices import write_home
from lokole.server.ports import ServerPorts
from lokole.server.reconcile import hear_acknowledgement
from lokole.server.visits import hear_of_hand_outs
from lokole.sync.records import TELL_WRITER, AckRecord, AnyRecord, FlagRecord, HealthRecord, RequestRecord, ToldRecord

#: how the box said that it is, with the time at which it was heard
HEALTH_OPTION = "box_health"


def apply(ports: ServerPorts, tx: Connection, row: TenantRow, package_no: int, record: AnyRecord) -> None:
    """Take one record in, in the caller's transaction; every one may come again."""
    now = ports.clock()
    match record:
        case AckRecord():
            if hear_acknowledgement(ports, tx, row, record) is not None:
                hear_of_hand_outs(tx, row.no, packages.get_package(tx, row.no, package_no), record)
        case FlagRecord():
            roaming.take_flag(tx, row.no, record, now)
        case HealthRecord():
            _hear_health(tx, row, packages.get_package(tx, row.no, package_no), record, now)
        case ToldRecord():
            _told(tx, row, record, ports)
        case RequestRecord(kind=folders.REQUEST):
            folders.take_folder(tx, row.no, record)
        case RequestRecord(kind=town_limits.REQUEST):
            package = packages.get_package(tx, row.no, package_no)
            town_limits.take_limits(tx, row.no, package.epoch, package.seq, record)
        case RequestRecord() if record.kind == TELL_WRITER:
            _tell_writer(tx, row, record, now)
        case RequestRecord():
            quarantine(
                tx,
                tenant=row.no,
                kind="unknown",
                source="box",
                reason=f"a request of a kind that is not known here: {record.kind[:40]}",
                raw_ref=None,
                key=f"request:{row.no}:{record.kind[:60]}:{record.key[:60]}",
                now=now,
            )
        case _:
            pass  # receipts are ours to give, and a digest on a carrier is compared at the next visit


def _hear_health(tx: Connection, row: TenantRow, package: PackageRow, record: HealthRecord, now: datetime) -> None:
    """Keep the newest: a carrier may bring an older package of the same epoch later."""
    known = get_option(tx, row.no, HEALTH_OPTION, None) or {}
    if known.get("epoch") == package.epoch and known.get("seq", 0) > package.seq:
        return
    told = {"said": dict(record.body), "at": to_micros(now), "epoch": package.epoch, "seq": package.seq}
    set_option(tx, row.no, HEALTH_OPTION, told)
    reads = record.body.get("reads")
    if isinstance(reads, list) and all(isinstance(one, int) for one in reads):
        set_option(tx, row.no, READS_OPTION, reads)


def _tell_writer(tx: Connection, row: TenantRow, record: RequestRecord, now: datetime) -> None:
    """The box has lost a letter that was refused: its writer gets a letter home, once for each recipient."""
    uid, address = str(record.body.get("email")), str(record.body.get("address"))
    refused = [
        (no, one)
        for no in letters.known_as(tx, row.no, uid)
        for one in recipients.deliveries(tx, row.no, no)
        if one.address == address and one.state is DeliveryState.REFUSED
    ]
    if not refused:
        return
    no, found = refused[0]
    if not remember(tx, row.no, TELL_WRITER, f"{uid}:{address}", now):
        return
    letter = letters.read_email(tx, row.no, no).email
    with suppress(Refused):  # its content is forgotten, and with it who wrote it
        write_home(tx, row, letter.sender.address, letter, address, found.reason, now)


def _told(tx: Connection, row: TenantRow, record: ToldRecord, ports: ServerPorts) -> None:
    """The box could not take something of ours: the operator sees it, and it counts in no digest any more."""
    now = ports.clock()
    found = packages.find_package(tx, row.no, record.package, "down")
    quarantine(
        tx,
        tenant=row.no,
        kind="told",
        source="box",
        reason=f"{record.code}: {record.reason}"[:300],
        raw_ref=None if found is None else found.blob,
        key=f"told:{row.no}:{record.package}:{record.record}",
        now=now,
    )
    if found is None or found.state == "withdrawn":
        return
    if record.record:
        not_held(tx, found.no, record.record)
        return
    for one in repacking.pack_anew(tx, found, now):
        _give_up(tx, row, one, now)


def _give_up(tx: Connection, row: TenantRow, one: Waiting, now: datetime) -> None:
    """A letter that the box could not read though it came alone: the operator has it among those that could not be delivered."""
    quarantine(
        tx,
        tenant=row.no,
        kind="dead-letter",
        source="box",
        reason="the box could not read it",
        raw_ref=letters.read_email(tx, row.no, one.email).raw_ref,
        key=f"not-read:{row.no}:{one.email}:{one.recipient}",
        now=now,
    )
    apart = packages.recipients_apart(tx, row.no, one.email, "down")
    for address, state in recipients.envelope_of(tx, row.no, one.email).items():
        if state == "delivered" and (address == one.recipient if one.recipient else address not in apart):
            recipients.set_envelope_state(tx, row.no, one.email, address, "dead")
