"""What a box says besides letters and people: what it has taken, what it could not take, flags, requests, how it is."""

from __future__ import annotations

from datetime import timedelta

from lokole.mailbox import folders, packages, roaming
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.held import not_held
from lokole.mailbox.options import set_option
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.tenants import TenantRow
from lokole.server.devices import READS_OPTION
from lokole.server.ports import ServerPorts
from lokole.sync.records import AckRecord, AnyRecord, FlagRecord, HealthRecord, RequestRecord, ToldRecord

#: how the box said that it is, with the time at which it was heard
HEALTH_OPTION = "box_health"
#: so many packages a day are packed anew because the other end cannot open them; then something else is wrong
MOST_WITHDRAWN = 3
_A_DAY = timedelta(days=1)


def apply(ports: ServerPorts, tx: Connection, row: TenantRow, package_no: int, record: AnyRecord) -> None:
    """Take one record in, in the caller's transaction; every one may come again."""
    now = ports.clock()
    match record:
        case AckRecord():
            packages.acknowledge(tx, row.no, record.epoch, "down", record.seq, record.beyond, now)
        case FlagRecord():
            roaming.take_flag(tx, row.no, record)
        case HealthRecord():
            set_option(tx, row.no, HEALTH_OPTION, {"said": dict(record.body), "at": to_micros(now)})
            reads = record.body.get("reads")
            if isinstance(reads, list) and all(isinstance(one, int) for one in reads):
                set_option(tx, row.no, READS_OPTION, reads)
        case ToldRecord():
            _told(tx, row, record, ports)
        case RequestRecord(kind=folders.REQUEST):
            folders.take_folder(tx, row.no, record)
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
    elif packages.count_packages(tx, row.no, "down", "withdrawn", since=now - _A_DAY) < MOST_WITHDRAWN:
        packages.withdraw_package(tx, found.no, now)
