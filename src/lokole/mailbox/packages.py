"""Letters on their way to the other end, and the packages that carry them.

A letter is ``waiting``, then ``packed`` (in a package that is not acknowledged yet), then ``delivered``; it is forgotten, in the sense of
no longer waiting, only when the other end has acknowledged the package. Packages are immutable and numbered by
(tenant, epoch, direction, seq) from 1; ``direction`` is ``up`` (box to server) or ``down``.
What is in a package and how it looks belongs to ``sync``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, delete, func, insert, or_, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import EmailNo, PackageRef, TenantNo
from lokole.mailbox import outbound
from lokole.mailbox.account_records import forget_accounts_sent, mark_accounts_sent
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import carried, email, package, recipient, waiting
from lokole.mailbox.seen import remember
from lokole.mailbox.tenants import lock
from lokole.mailbox.upsert import insert_new
from lokole.sync.bodies import MAX_BEYOND
from lokole.sync.digest import ack_check
from lokole.sync.records import AckRecord

#: kind in ``seen`` of a letter that was in a package once and waits again: the other end may have it
OFFERED = "offered"
_AT_ONCE = 500

_INSERT_WAITING = insert_new(waiting)
_WAITING = (
    select(waiting.c.email, waiting.c.recipient)
    .where(
        waiting.c.tenant == bindparam("tenant"),
        waiting.c.direction == bindparam("direction"),
        waiting.c.state == "waiting",
    )
    .order_by(waiting.c.email, waiting.c.recipient)
)
# what each visit asks often is put together once
_NUMBERED = and_(
    package.c.tenant == bindparam("tenant"),
    package.c.epoch == bindparam("epoch"),
    package.c.direction == bindparam("direction"),
)
_HIGHEST_SEQ, _LOWEST_SEQ = (select(edge(package.c.seq)).where(_NUMBERED) for edge in (func.max, func.min))
_BY_SEQ = select(package).where(_NUMBERED, package.c.seq == bindparam("seq"))
_NEWEST = (
    select(package)
    .where(package.c.tenant == bindparam("tenant"), package.c.direction == bindparam("direction"))
    .order_by(package.c.no.desc())
    .limit(1)
)
#: numbers below 1 are of those put aside
_KNOWN_SEQS = select(package.c.seq).where(_NUMBERED, package.c.seq >= 1).order_by(package.c.seq)
_IN_STATES = package.c.state.in_(bindparam("states", expanding=True))
_KNOWN_SEQS_IN_STATES = _KNOWN_SEQS.where(_IN_STATES)
_NAMES_OF_SEQS = select(package.c.seq, package.c.sha256).where(
    _NUMBERED, package.c.seq.in_(bindparam("seqs", expanding=True))
)
#: a repeat finds nothing any more
_NAMED_AND_NOT_ACKNOWLEDGED = (
    select(package.c.no)
    .where(
        _NUMBERED,
        or_(package.c.seq <= bindparam("seq"), package.c.seq.in_(bindparam("beyond", expanding=True))),
        package.c.state.not_in(("acknowledged", "withdrawn")),
    )
    .order_by(package.c.no)
)
_SET_STATE = (
    update(package)
    .where(package.c.no == bindparam("package"))
    .values(state=bindparam("into"), changed_at=bindparam("at"))
)


def _packages_after(*more: ColumnElement[bool]) -> Select[Any]:
    return (
        select(package)
        .where(
            package.c.tenant == bindparam("tenant"),
            package.c.direction == bindparam("direction"),
            package.c.seq > bindparam("seq"),
            *more,
        )
        .order_by(package.c.no)
    )


_OF_EPOCH = package.c.epoch == bindparam("epoch")
#: by whether an epoch and states are asked for
_PACKAGES_AFTER = {
    (False, False): _packages_after(),
    (True, False): _packages_after(_OF_EPOCH),
    (False, True): _packages_after(_IN_STATES),
    (True, True): _packages_after(_OF_EPOCH, _IN_STATES),
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter that waits; ``recipient`` is "" or the one person its record is for (version 1 boxes)."""

    email: EmailNo
    recipient: str


@dataclass(frozen=True, slots=True)
class PackageRow:
    """One package; ``state`` is built, held, unpacked, set_aside, acknowledged, withdrawn, fetched or asked-again; ``size`` in bytes, ``type`` a content type, ``blob`` a key."""

    no: int
    tenant: TenantNo
    epoch: int
    direction: str
    seq: int
    sha256: PackageRef
    size: int
    type: str
    blob: str
    letters: int
    state: str
    created_at: datetime
    changed_at: datetime


def add_waiting(tx: Connection, tenant_no: int, email_no: int, direction: str, recipient: str = "") -> bool:
    """The letter is to go to the other end; False when it is on its way, or there, already."""
    values = {
        "tenant": tenant_no,
        "email": email_no,
        "recipient": recipient,
        "direction": direction,
        "state": "waiting",
        "package": None,
    }
    return _INSERT_WAITING.run(tx, values) == 1


def turn_round(tx: Connection, tenant_no: int, email_no: int, direction: str) -> None:
    """A letter written at this end goes to the other one in ``direction``, whatever it waited for before."""
    tx.execute(delete(waiting).where(waiting.c.tenant == tenant_no, waiting.c.email == email_no))
    add_waiting(tx, tenant_no, email_no, direction)


def waiting_emails(tx: Connection, tenant_no: int, direction: str) -> Iterator[EmailNo]:
    """The letters that wait, oldest first, each once; numbers only, so that their content can be read one by one."""
    last = None
    for one in waiting_rows(tx, tenant_no, direction):
        if one.email != last:
            yield one.email
        last = one.email


def waiting_rows(tx: Connection, tenant_no: int, direction: str) -> Iterator[Waiting]:
    """The same with the recipients that have a record of their own."""
    # fetched at once: numbers are small, and the caller reads and writes on the same connection meanwhile
    for row in tx.execute(_WAITING, {"tenant": tenant_no, "direction": direction}).all():
        yield Waiting(EmailNo(row.email), row.recipient)


def recipients_apart(tx: Connection, tenant_no: int, email_no: int, direction: str) -> set[str]:
    """Who gets the letter in a record of their own, whether that waits, travels or was delivered."""
    query = select(waiting.c.recipient).where(
        waiting.c.tenant == tenant_no,
        waiting.c.email == email_no,
        waiting.c.direction == direction,
        waiting.c.recipient != "",
    )
    return set(tx.execute(query).scalars())


def count_waiting(
    tx: Connection, tenant_no: int, direction: str, *, packed_too: bool = True, before: datetime | None = None
) -> int:
    """How many letters the other end has not acknowledged yet (``packed_too``), or are in no package yet; only those from ``before``."""
    states = ("waiting", "packed") if packed_too else ("waiting",)
    query = select(func.count(waiting.c.email.distinct())).where(
        waiting.c.tenant == tenant_no, waiting.c.direction == direction, waiting.c.state.in_(states)
    )
    if before is not None:
        query = query.join(email, email.c.order_no == waiting.c.email).where(email.c.received_at < to_micros(before))
    return int(tx.execute(query).scalar_one())


def oldest_waiting(tx: Connection, tenant_no: int, direction: str) -> datetime | None:
    """When the first of the letters that the other end has not acknowledged yet came; None without any."""
    query = (
        select(func.min(email.c.received_at))
        .select_from(waiting.join(email, email.c.order_no == waiting.c.email))
        .where(
            waiting.c.tenant == tenant_no,
            waiting.c.direction == direction,
            waiting.c.state.in_(("waiting", "packed")),
        )
    )
    first = tx.execute(query).scalar()
    return None if first is None else from_micros(first)


def waiting_by_tenant(tx: Connection, direction: str, whose: Select[tuple[int]] | None = None) -> dict[int, int]:
    """How many letters the other end has not acknowledged yet, by the number of the device's row, of all devices or of ``whose``."""
    query = (
        select(waiting.c.tenant, func.count(waiting.c.email.distinct()).label("letters"))
        .where(waiting.c.direction == direction, waiting.c.state.in_(("waiting", "packed")))
        .group_by(waiting.c.tenant)
    )
    if whose is not None:
        query = query.where(waiting.c.tenant.in_(whose))
    return {row.tenant: row.letters for row in tx.execute(query)}


def next_seq(tx: Connection, tenant_no: int, epoch: int, direction: str) -> int:
    """The number of the next package; stays free until :func:`add_package` of the same transaction uses it."""
    lock(tx, tenant_no)  # keeps two builders apart
    return (tx.execute(_HIGHEST_SEQ, _place(tenant_no, epoch, direction)).scalar() or 0) + 1


def add_package(
    tx: Connection,
    tenant_no: int,
    *,
    epoch: int,
    direction: str,
    seq: int,
    sha256: str,
    size: int,
    type: str,
    blob: str,
    letters: int,
    state: str,
    now: datetime,
) -> int:
    """Note a package whose blob is durable; returns its number. The same package again gives the same number.

    Raises Refused with code ``seq`` when the number (epoch, seq) belongs to a package with other bytes.
    """
    moment = to_micros(now)
    values = {
        "tenant": tenant_no,
        "epoch": epoch,
        "direction": direction,
        "seq": seq,
        "sha256": sha256,
        "size": size,
        "type": type,
        "blob": blob,
        "letters": letters,
        "state": state,
        "created_at": moment,
        "changed_at": moment,
    }
    known = find_package_by_seq(tx, tenant_no, epoch, direction, seq)
    if known is not None:
        if known.sha256 != sha256:
            raise Refused("this number belongs to another package", code="seq", field="seq")
        return known.no
    return int(tx.execute(insert(package).values(**values).returning(package.c.no)).scalar_one())


def mark_packed(tx: Connection, package_no: int, rows: Iterable[Waiting] | Iterable[EmailNo]) -> None:
    """These letters travel in this package: all their waiting rows, or only the one that a :class:`Waiting` names."""
    row = tx.execute(select(package.c.tenant, package.c.direction).where(package.c.no == package_no)).one()
    statement = update(waiting).where(
        waiting.c.tenant == row.tenant,
        waiting.c.direction == row.direction,
        waiting.c.email == bindparam("letter"),
        waiting.c.state == "waiting",
    )
    some, whole = [], []
    for one in rows:
        if isinstance(one, Waiting):
            some.append({"letter": one.email, "whom": one.recipient})
        else:
            whole.append({"letter": one})
    if some:
        tx.execute(
            statement.where(waiting.c.recipient == bindparam("whom")).values(state="packed", package=package_no), some
        )
    if whole:
        tx.execute(statement.values(state="packed", package=package_no), whole)


def withdraw_package(tx: Connection, package_no: int, now: datetime) -> int:
    """A package of ours that nobody can take any more: all that it carried waits again, delivered or not; returns how many letters.

    It counts in no digest from now on. Its letters are noted as :data:`OFFERED`: where the answer was lost, the other end has them.
    """
    row = tx.execute(select(package.c.tenant, package.c.direction).where(package.c.no == package_no)).one()
    if row.direction == "up":
        for one in emails_of(tx, package_no):
            remember(tx, row.tenant, OFFERED, str(one.email), now)
    statement = update(waiting).where(waiting.c.package == package_no)
    rows = tx.execute(statement.values(state="waiting", package=None)).rowcount
    forget_accounts_sent(tx, row.tenant, outbound.wait_again(tx, package_no))
    tx.execute(delete(carried).where(carried.c.package == package_no))
    set_package_state(tx, package_no, "withdrawn", now)
    return rows


def wait_no_longer(tx: Connection, tenant_no: int, direction: str, rows: Iterable[Waiting]) -> None:
    """These are given up: no package will carry them."""
    for one in rows:
        tx.execute(
            delete(waiting).where(
                waiting.c.tenant == tenant_no,
                waiting.c.direction == direction,
                waiting.c.email == one.email,
                waiting.c.recipient == one.recipient,
            )
        )


def acknowledge(
    tx: Connection, tenant_no: int, epoch: int, direction: str, seq: int, beyond: Sequence[int], now: datetime
) -> int:
    """The other end has everything up to ``seq``, and those of ``beyond``, for good; returns how many letters are delivered by that.

    May be repeated and come out of order; numbers that no package has are ignored.
    """
    named = _place(tenant_no, epoch, direction) | {"seq": seq, "beyond": list(beyond)}
    delivered = 0
    for no in tx.execute(_NAMED_AND_NOT_ACKNOWLEDGED, named).scalars().all():
        letters = select(func.count(waiting.c.email.distinct())).where(
            waiting.c.package == no, waiting.c.state != "delivered"
        )
        delivered += int(tx.execute(letters).scalar_one())
        tx.execute(update(waiting).where(waiting.c.package == no).values(state="delivered"))
        mark_accounts_sent(tx, tenant_no, outbound.delivered(tx, no))
        set_package_state(tx, no, "acknowledged", now)
    return delivered


def emails_of(tx: Connection, package_no: int) -> list[Waiting]:
    """The letters that travel, or travelled, in a package of ours."""
    query = (
        select(waiting.c.email, waiting.c.recipient)
        .where(waiting.c.package == package_no)
        .order_by(waiting.c.email, waiting.c.recipient)
    )
    return [Waiting(EmailNo(row.email), row.recipient) for row in tx.execute(query)]


def note_withdrawn(tx: Connection, tenant_no: int, epoch: int, direction: str, seq: int, now: datetime) -> None:
    """A number of the other end under which nothing will ever come."""
    add_package(
        tx,
        tenant_no,
        epoch=epoch,
        direction=direction,
        seq=seq,
        sha256="",
        size=0,
        type="",
        blob="",
        letters=0,
        state="withdrawn",
        now=now,
    )


def number_aside(tx: Connection, tenant_no: int, epoch: int, direction: str) -> int:
    """A free number below 1, where no number of the protocol is: for a package of the other end whose own number is taken.

    What is numbered so is in no acknowledgement and in no window.
    """
    lowest = tx.execute(_LOWEST_SEQ, _place(tenant_no, epoch, direction)).scalar()
    return min(0, int(lowest or 0)) - 1


def renumber_aside(tx: Connection, package_no: int, now: datetime) -> None:
    """Free the number of a package of the other end, which it uses anew for other bytes; what it brought stays."""
    row = tx.execute(select(package).where(package.c.no == package_no)).one()
    seq = number_aside(tx, row.tenant, row.epoch, row.direction)
    tx.execute(update(package).where(package.c.no == package_no).values(seq=seq))
    tx.execute(delete(carried).where(carried.c.package == package_no))
    set_package_state(tx, package_no, "withdrawn", now)


def give_number(tx: Connection, package_no: int, seq: int, now: datetime) -> None:
    """A package that was put aside has its own number after all, which is free: it is to be read again."""
    tx.execute(update(package).where(package.c.no == package_no).values(seq=seq))
    set_package_state(tx, package_no, "held", now)


def take_again(tx: Connection, package_no: int, blob: str, now: datetime) -> None:
    """The bytes of a package are here once more, under ``blob``: it is to be read again."""
    tx.execute(update(package).where(package.c.no == package_no).values(blob=blob))
    set_package_state(tx, package_no, "held", now)


def still_waiting(tx: Connection, tenant_no: int, direction: str, numbers: Sequence[int]) -> dict[int, frozenset[str]]:
    """Those of these letters that are in no package yet, each with the addresses of its recipients who wait."""
    here = (waiting.c.tenant == tenant_no, waiting.c.direction == direction, waiting.c.state == "waiting")
    found: dict[int, set[str]] = {}
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        query = select(waiting.c.email).where(*here, waiting.c.email.in_(some))
        found |= {int(no): set() for no in tx.execute(query).scalars()}
        whom = select(recipient.c.email, recipient.c.address).where(
            recipient.c.tenant == tenant_no, recipient.c.email.in_(some), recipient.c.state == "waiting"
        )
        for row in tx.execute(whom):
            if row.email in found:
                found[row.email].add(row.address)
    return {no: frozenset(addresses) for no, addresses in found.items()}


def set_package_state(tx: Connection, package_no: int, state: str, now: datetime) -> None:
    """Move a package on; raises NotFound."""
    if tx.execute(_SET_STATE, {"package": package_no, "into": state, "at": to_micros(now)}).rowcount != 1:
        raise NotFound("no such package")


def highest_contiguous(
    tx: Connection, tenant_no: int, epoch: int, direction: str, states: Sequence[str] = ()
) -> tuple[int, list[int]]:
    """(the highest seq up to which all packages are known here, those known beyond it): what an acknowledgement names.

    Only packages in one of ``states`` count; all when empty.
    """
    asked = _place(tenant_no, epoch, direction) | {"states": list(states)}
    highest, beyond = 0, []
    for seq in tx.execute(_KNOWN_SEQS_IN_STATES if states else _KNOWN_SEQS, asked).scalars():
        if seq == highest + 1:
            highest = seq
        else:
            beyond.append(int(seq))
    return highest, beyond


def check_of(
    tx: Connection, tenant_no: int, epoch: int, direction: str, seq: int, beyond: Sequence[int]
) -> bytes | None:
    """The check of an acknowledgement of these numbers (protocol 4.8); None when the bytes of one of them are not known here."""
    numbers = [*([seq] if seq else []), *beyond]
    asked = _place(tenant_no, epoch, direction) | {"seqs": numbers}
    names = {int(row.seq): row.sha256 for row in tx.execute(_NAMES_OF_SEQS, asked)}
    if not all(names.get(number) for number in numbers):
        return None
    return ack_check(names[number] for number in numbers)


def acknowledgement(tx: Connection, tenant_no: int, epoch: int, direction: str, states: Sequence[str]) -> AckRecord:
    """What of the other end's ``epoch`` is here for good: all packages in one of ``states``, with the check where it can be made."""
    highest, beyond = highest_contiguous(tx, tenant_no, epoch, direction, states)
    newest = tuple(beyond[-MAX_BEYOND:])
    check = check_of(tx, tenant_no, epoch, direction, highest, newest)
    return AckRecord(epoch, highest, newest, check or b"")


def get_package(tx: Connection, tenant_no: int, package_no: int) -> PackageRow:
    """The package with this row number; raises NotFound when it is not this tenant's."""
    row = tx.execute(select(package).where(package.c.tenant == tenant_no, package.c.no == package_no)).first()
    if row is None:
        raise NotFound("no such package")
    return _package_row(row)


def find_package(tx: Connection, tenant_no: int, sha256: str, direction: str | None = None) -> PackageRow | None:
    """This tenant's package with these bytes, the newest one, or None."""
    query = select(package).where(package.c.tenant == tenant_no, package.c.sha256 == sha256)
    if direction is not None:
        query = query.where(package.c.direction == direction)
    row = tx.execute(query.order_by(package.c.no.desc()).limit(1)).first()
    return None if row is None else _package_row(row)


def find_package_by_seq(tx: Connection, tenant_no: int, epoch: int, direction: str, seq: int) -> PackageRow | None:
    """This tenant's package with this number, or None."""
    row = tx.execute(_BY_SEQ, _place(tenant_no, epoch, direction) | {"seq": seq}).first()
    return None if row is None else _package_row(row)


def count_packages(
    tx: Connection, tenant_no: int, direction: str, state: str, *, since: datetime, until: datetime
) -> int:
    """How many packages came into ``state`` between two moments."""
    query = (
        select(func.count())
        .select_from(package)
        .where(
            package.c.tenant == tenant_no,
            package.c.direction == direction,
            package.c.state == state,
            package.c.changed_at.between(to_micros(since), to_micros(until)),
        )
    )
    return int(tx.execute(query).scalar_one())


def newest_package(tx: Connection, tenant_no: int, direction: str) -> PackageRow | None:
    """The package of this direction that was noted last, or None."""
    row = tx.execute(_NEWEST, {"tenant": tenant_no, "direction": direction}).first()
    return None if row is None else _package_row(row)


def packages_after(
    tx: Connection, tenant_no: int, direction: str, seq: int, *, epoch: int | None = None, states: Sequence[str] = ()
) -> list[PackageRow]:
    """The packages with a number above ``seq`` (of one epoch; in one of ``states``), oldest first."""
    asked = {"tenant": tenant_no, "direction": direction, "seq": seq, "epoch": epoch, "states": list(states)}
    query = _PACKAGES_AFTER[epoch is not None, bool(states)]
    return [_package_row(row) for row in tx.execute(query, asked)]


def _place(tenant_no: int, epoch: int, direction: str) -> dict[str, Any]:
    return {"tenant": tenant_no, "epoch": epoch, "direction": direction}


def _package_row(row: Row[Any]) -> PackageRow:
    return PackageRow(
        no=row.no,
        tenant=TenantNo(row.tenant),
        epoch=row.epoch,
        direction=row.direction,
        seq=row.seq,
        sha256=PackageRef(row.sha256),
        size=row.size,
        type=row.type,
        blob=row.blob,
        letters=row.letters,
        state=row.state,
        created_at=from_micros(row.created_at),
        changed_at=from_micros(row.changed_at),
    )


def blobs_of(tx: Connection, tenant_no: int, marked: str) -> list[str]:
    """The keys of a device's packages in the store that ``marked`` stands for before each of them, without that mark."""
    query = select(package.c.blob).where(
        package.c.tenant == tenant_no, package.c.blob.contains(marked, autoescape=True)
    )
    return [blob.partition(marked)[2] for blob in tx.execute(query).scalars()]
