"""What goes to the other end besides letters: receipts, flags, requests, health, what was told, and which versions of people travel.

One row per (direction, kind, key). Its newest version replaces the one before and waits anew, also while that one is on its way;
it is delivered when the other end has acknowledged the package that carries it (``packages.acknowledge``).
What a record means is not known here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from lokole.mail.errors import BadPackage
from lokole.mailbox.database import Connection
from lokole.mailbox.schema import outbound
from lokole.mailbox.upsert import insert_or_update
from lokole.sync import bodies
from lokole.sync.records import AccountRecord, FlagRecord, HealthRecord, ReceiptRecord, RequestRecord, ToldRecord

OutboundRecord = ReceiptRecord | FlagRecord | RequestRecord | HealthRecord | ToldRecord

ACCOUNT = "account"
_READ: dict[str, Callable[[bodies.Fields], OutboundRecord]] = {
    "receipt": bodies.read_receipt,
    "flag": bodies.read_flag,
    "request": bodies.read_request,
    "health": bodies.read_health,
    "told": bodies.read_told,
}
_COLUMNS = [column.name for column in outbound.columns if column.name != "no"]
_PUT = insert_or_update(
    outbound,
    ["tenant", "direction", "kind", "key"],
    "body = excluded.body, version = excluded.version, state = excluded.state, package = excluded.package"
    " WHERE excluded.version >= outbound.version"
    " AND (excluded.version > outbound.version OR excluded.body <> outbound.body)",
    _COLUMNS,
)
# the same version of a person travels again when the package before was withdrawn
_TRAVELS = insert_or_update(
    outbound,
    ["tenant", "direction", "kind", "key"],
    "version = excluded.version, state = excluded.state, package = excluded.package",
    _COLUMNS,
)
_PEOPLE_IN = select(outbound.c.key, outbound.c.version).where(
    outbound.c.package == bindparam("in"), outbound.c.kind == ACCOUNT
)
_DELIVERED = update(outbound).where(outbound.c.package == bindparam("in")).values(state="delivered")
_WAITING = (
    select(outbound.c.no, outbound.c.kind, outbound.c.version, outbound.c.body)
    .where(
        outbound.c.tenant == bindparam("tenant"),
        outbound.c.direction == bindparam("direction"),
        outbound.c.state == "waiting",
        outbound.c.kind != ACCOUNT,
    )
    .order_by(outbound.c.no)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True)
class Outbound:
    """A record that waits, and the version by which it is marked."""

    no: int
    version: int
    record: OutboundRecord


def put(tx: Connection, tenant_no: int, direction: str, record: OutboundRecord, *, version: int | None = None) -> bool:
    """``record`` is to go; False, and nothing changed, when it is known or an older version than the known one.

    The version is that of a receipt, the lamport of a flag, else ``version`` or 0; of equal versions one with another body replaces.
    """
    kind, key, told = _place(record)
    return _put(tx, tenant_no, direction, kind, key, bodies.small_fields(record), told if version is None else version)


def waiting_records(tx: Connection, tenant_no: int, direction: str, *, limit: int = 10_000) -> list[Outbound]:
    """What waits, oldest first; a row that cannot be read any more is left out."""
    found = []
    for row in tx.execute(_WAITING, {"tenant": tenant_no, "direction": direction, "limit": limit}).all():
        try:
            record = _READ[row.kind](json.loads(row.body))
        except (KeyError, ValueError, BadPackage):
            continue
        found.append(Outbound(row.no, row.version, record))
    return found


def any_waiting(tx: Connection, tenant_no: int, direction: str) -> bool:
    """Whether anything waits."""
    return bool(tx.execute(_WAITING, {"tenant": tenant_no, "direction": direction, "limit": 1}).first())


def mark_packed(tx: Connection, package_no: int, rows: Iterable[Outbound]) -> None:
    """These travel in this package, as far as no newer version has come meanwhile."""
    statement = (
        update(outbound)
        .where(
            outbound.c.no == bindparam("row"),
            outbound.c.version == bindparam("known"),
            outbound.c.state == "waiting",
        )
        .values(state="packed", package=package_no)
    )
    parameters = [{"row": one.no, "known": one.version} for one in rows]
    if parameters:
        tx.execute(statement, parameters)


def note_accounts(
    tx: Connection, tenant_no: int, direction: str, package_no: int, people: Sequence[AccountRecord]
) -> None:
    """These versions of people travel in this package."""
    for one in people:
        values = {
            "tenant": tenant_no,
            "direction": direction,
            "kind": ACCOUNT,
            "key": one.address,
            "body": "{}",
            "version": one.version,
            "state": "packed",
            "package": package_no,
        }
        _TRAVELS.run(tx, values)


def delivered(tx: Connection, package_no: int) -> dict[str, int]:
    """The other end has taken this package; returns the versions of people in it, by address."""
    versions = _people_in(tx, package_no)
    tx.execute(_DELIVERED, {"in": package_no})
    return versions


def wait_again(tx: Connection, package_no: int) -> dict[str, int]:
    """What travelled in a package that is withdrawn waits again; returns the versions of people in it, by address."""
    versions = _people_in(tx, package_no)
    of_package = outbound.c.package == package_no
    # people wait in their own table; the same version may be noted anew
    tx.execute(delete(outbound).where(of_package, outbound.c.kind == ACCOUNT))
    tx.execute(update(outbound).where(of_package).values(state="waiting", package=None))
    return versions


def _people_in(tx: Connection, package_no: int) -> dict[str, int]:
    return {row.key: int(row.version) for row in tx.execute(_PEOPLE_IN, {"in": package_no})}


def keep_newest(tx: Connection, tenant_no: int, direction: str, most: int) -> int:
    """Drop all but the ``most`` newest records of a direction, those put first; returns how many went."""
    here = (outbound.c.tenant == tenant_no, outbound.c.direction == direction)
    query = select(outbound.c.no).where(*here).order_by(outbound.c.no.desc()).offset(most).limit(1)
    oldest = tx.execute(query).scalar()
    return 0 if oldest is None else tx.execute(delete(outbound).where(*here, outbound.c.no <= oldest)).rowcount


def is_on_its_way(tx: Connection, tenant_no: int, record: OutboundRecord) -> bool:
    """Whether the other end has not acknowledged a record of this kind and key yet, whichever way it goes."""
    kind, key, _version = _place(record)
    query = select(outbound.c.no).where(
        outbound.c.tenant == tenant_no,
        outbound.c.direction.in_(("up", "down")),
        outbound.c.kind == kind,
        outbound.c.key == key,
        outbound.c.state != "delivered",
    )
    return tx.execute(query.limit(1)).first() is not None


def is_told(tx: Connection, tenant_no: int, direction: str, record: OutboundRecord) -> bool:
    """Whether the other end has, or gets, a record of this kind and key, whatever it says."""
    kind, key, _version = _place(record)
    query = select(outbound.c.no).where(
        outbound.c.tenant == tenant_no,
        outbound.c.direction == direction,
        outbound.c.kind == kind,
        outbound.c.key == key,
    )
    return tx.execute(query).first() is not None


def told_of(tx: Connection, tenant_no: int, direction: str, package: str) -> set[int]:
    """The numbers of the records of the package with this digest that the other end was, or will be, told about."""
    query = select(outbound.c.key).where(
        outbound.c.tenant == tenant_no,
        outbound.c.direction == direction,
        outbound.c.kind == "told",
        outbound.c.key.startswith(f"{package}:", autoescape=True),
    )
    return {int(key.rpartition(":")[2]) for key in tx.execute(query).scalars()}


def tell_no_more(tx: Connection, tenant_no: int, direction: str, package: str, record: int) -> None:
    """A record of that package was taken after all: the word that it was not goes no more, unless it is on its way."""
    tx.execute(
        delete(outbound).where(
            outbound.c.tenant == tenant_no,
            outbound.c.direction == direction,
            outbound.c.kind == "told",
            outbound.c.key == f"{package}:{record}",
            outbound.c.state == "waiting",
        )
    )


def _put(
    tx: Connection,
    tenant_no: int,
    direction: str,
    kind: str,
    key: str,
    fields: bodies.Fields,
    version: int,
) -> bool:
    values: dict[str, Any] = {
        "tenant": tenant_no,
        "direction": direction,
        "kind": kind,
        "key": key,
        "body": json.dumps(fields, separators=(",", ":"), sort_keys=True),
        "version": version,
        "state": "waiting",
        "package": None,
    }
    return _PUT.run(tx, values) == 1


def _place(record: OutboundRecord) -> tuple[str, str, int]:
    """Kind, key and version of a record."""
    match record:
        case ReceiptRecord():
            return "receipt", f"{record.email_id.hex()}:{_short(record.address.casefold())}", record.version
        case FlagRecord():
            return "flag", f"{record.email_id.hex()}:{_short(record.account)}:{record.flag}", record.lamport
        case RequestRecord():
            return "request", f"{_short(record.kind)}:{_short(record.key)}", 0
        case HealthRecord():
            return "health", "", 0
        case ToldRecord():
            return "told", f"{record.package}:{record.record}", 0


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
