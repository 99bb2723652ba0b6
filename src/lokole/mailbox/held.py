"""Which letters each package carried, and that they are held: what both ends compare (protocol 8.5).

The maker notes what it packed, the taker what it has for good, in the transaction that stores the letter.
A letter that its owner deletes stays held; a record that was told (7.11) is held by neither end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select

from lokole.mail.model import EmailNo
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.schema import carried, package
from lokole.mailbox.upsert import insert_new
from lokole.sync.bodies import MAX_WINDOWS
from lokole.sync.digest import package_digest
from lokole.sync.records import PackageDigest, Window

#: what the digest of a visit looks back on
LOOK_BACK = timedelta(days=30)
#: states in which a package of ours, and one of the other end, is held at both ends as far as we know
MADE = ("acknowledged",)
TAKEN = ("unpacked", "acknowledged")

_NOTE = insert_new(carried)
#: without those put aside
_STATES = (
    select(package.c.direction, package.c.epoch, package.c.seq, package.c.state, package.c.changed_at)
    .where(package.c.tenant == bindparam("tenant"), package.c.seq >= 1)
    .order_by(package.c.direction, package.c.epoch, package.c.seq)
)
_DIGESTS = (
    select(package.c.direction, package.c.epoch, package.c.seq, package.c.sha256, carried.c.id)
    .select_from(package)
    .outerjoin(carried, carried.c.package == package.c.no)
    .where(
        package.c.tenant == bindparam("tenant"),
        package.c.seq >= 1,
        package.c.state.in_(bindparam("states", expanding=True)),
    )
)


@dataclass(frozen=True, slots=True)
class PackedLetter:
    """Letter ``email`` travelled as frame ``record`` (from 1) under the name ``id`` (16 bytes)."""

    record: int
    id: bytes
    email: EmailNo


def note_packed_letters(tx: Connection, tenant_no: int, package_no: int, rows: Iterable[PackedLetter]) -> None:
    """These letters travelled in this package and are held here; those noted already stay."""
    values: list[dict[str, Any]] = [
        {"tenant": tenant_no, "package": package_no, "record": one.record, "id": bytes(one.id), "email": one.email}
        for one in rows
    ]
    if values:
        _NOTE.run_many(tx, values)


def packed_letters(tx: Connection, package_no: int) -> list[PackedLetter]:
    """The letters of a package, in its order."""
    rows = tx.execute(select(carried).where(carried.c.package == package_no).order_by(carried.c.record))
    return [PackedLetter(row.record, bytes(row.id), EmailNo(row.email)) for row in rows]


def not_held(tx: Connection, package_no: int, record: int = 0) -> list[EmailNo]:
    """The other end could not take this record (0: the whole package): it counts no more; returns the letters it was."""
    condition = carried.c.package == package_no
    if record:
        condition = and_(condition, carried.c.record == record)
    found = [EmailNo(no) for no in tx.execute(select(carried.c.email).where(condition)).scalars().all()]
    tx.execute(delete(carried).where(condition))
    return found


def digests(
    tx: Connection, tenant_no: int, states: Sequence[str], *, windows: Sequence[Window] | None = None
) -> list[PackageDigest]:
    """What is held of each package in one of ``states``, inside ``windows`` when they are given; packages without letters too."""
    query = _DIGESTS
    if windows is not None:
        if not windows:
            return []
        query = query.where(or_(*(_inside(one) for one in windows)))
    found: dict[tuple[str, int, int], list[bytes]] = {}
    names: dict[tuple[str, int, int], str] = {}
    for row in tx.execute(query, {"tenant": tenant_no, "states": list(states)}):
        place = (row.direction, row.epoch, row.seq)
        names[place] = row.sha256
        ids = found.setdefault(place, [])
        if row.id is not None:
            ids.append(bytes(row.id))
    return [package_digest(*place, ids, sha256=names[place]) for place, ids in sorted(found.items())]


def windows_of_box(tx: Connection, tenant_no: int, now: datetime) -> list[Window]:
    """The windows that a box compares: of each direction and epoch the packages that both ends should hold, from the first one of the last 30 days.

    What was acknowledged lately is of them, whenever it came: the other end counts from then on too.
    A window ends before the first package of which that is not known.
    """
    since = to_micros(now - LOOK_BACK)
    found: dict[tuple[str, int], list[int]] = {}  # first, last
    newest: dict[tuple[str, int], int] = {}
    for row in tx.execute(_STATES, {"tenant": tenant_no}):
        place = (row.direction, row.epoch)
        held = row.state == "withdrawn" or row.state in (MADE if row.direction == "up" else TAKEN)
        range_ = found.get(place)
        if range_ is None:
            if row.changed_at >= since:
                found[place] = [row.seq, row.seq if held else row.seq - 1]
                newest[place] = row.changed_at
        elif held and range_[1] == row.seq - 1:
            range_[1] = row.seq
            newest[place] = max(newest[place], row.changed_at)
    # a box that was restored very often keeps to the epochs that were used last
    latest = sorted(found, key=lambda place: newest[place])[-MAX_WINDOWS:]
    return [Window(*place, *found[place]) for place in sorted(latest) if found[place][1] >= found[place][0]]


def any_in_state(tx: Connection, tenant_no: int, direction: str, state: str, windows: Sequence[Window] = ()) -> bool:
    """Whether a package of this direction is in ``state`` (inside ``windows`` when there are any)."""
    query = select(package.c.no).where(
        package.c.tenant == tenant_no, package.c.direction == direction, package.c.state == state
    )
    if windows:
        query = query.where(or_(*(_inside(one) for one in windows)))
    return tx.execute(query.limit(1)).first() is not None


def _inside(window: Window) -> ColumnElement[bool]:
    return and_(
        package.c.direction == window.direction,
        package.c.epoch == window.epoch,
        package.c.seq.between(window.first, window.last),
    )
