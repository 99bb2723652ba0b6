"""To whom a letter goes: one delivery state per recipient of a written letter, and whom an incoming envelope addressed.

A delivery state only moves forward. Both are seen by the writer and the other end only: here is where Bcc is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Address, Delivery, DeliveryState
from lokole.mailbox.database import Connection, from_micros
from lokole.mailbox.schema import envelope, package, recipient, waiting
from lokole.mailbox.upsert import insert_new
from lokole.mailbox.words import storable
from lokole.sync.records import ReceiptRecord

#: a state gives way to those with a higher number only
_ORDER = {
    DeliveryState.WAITING: 0,
    DeliveryState.AT_SERVER: 1,
    DeliveryState.LOCAL: 2,
    DeliveryState.ACCEPTED: 2,
    DeliveryState.REFUSED: 3,  # also after accepted: a server may take a letter and send it back
}

_INSERT = insert_new(recipient)
_INSERT_ENVELOPE = insert_new(envelope)
_OF_EMAIL = (
    select(recipient)
    .where(recipient.c.tenant == bindparam("tenant"), recipient.c.email == bindparam("email"))
    .order_by(recipient.c.n)
)
_ENVELOPE = (
    select(envelope.c.address, envelope.c.state)
    .where(envelope.c.tenant == bindparam("tenant"), envelope.c.email == bindparam("email"))
    .order_by(envelope.c.address)
)


@dataclass(frozen=True, slots=True)
class Written:
    """A recipient of a written letter, with the name its writer gave it."""

    delivery: Delivery
    name: str = ""


def set_recipients(
    tx: Connection,
    tenant_no: int,
    email_no: int,
    deliveries: Iterable[Delivery],
    *,
    writer: int | None = None,
    names: Mapping[str, str] | None = None,
) -> None:
    """Note the recipients of a written letter, in their order; those that are known already stay as they are.

    ``writer`` is the account that sees them (None when the writer does not live in this database); ``names`` gives display names by address.
    """
    rows = [
        {
            "tenant": tenant_no,
            "email": email_no,
            "address": storable(one.address),
            "n": n,
            "account": writer,
            "role": one.role,
            "name": storable((names or {}).get(one.address, "")),
            "envelope_id": None,
            "state": str(one.state),
            "state_version": 0,
            "reason": storable(one.reason),
        }
        for n, one in enumerate(deliveries)
    ]
    if rows:
        _INSERT.run_many(tx, rows)


def set_recipient_state(
    tx: Connection,
    tenant_no: int,
    email_no: int,
    address: str,
    state: DeliveryState,
    reason: str = "",
    version: int = 0,
) -> bool:
    """Move one recipient's state forward; False, and nothing changed, when it would go back or the recipient is unknown."""
    before = [known.value for known, order in _ORDER.items() if order < _ORDER[state]]
    statement = (
        update(recipient)
        .where(
            recipient.c.tenant == tenant_no,
            recipient.c.email == email_no,
            recipient.c.address == address,
            recipient.c.state.in_(before),
            recipient.c.state_version <= version,
        )
        .values(state=state.value, reason=storable(reason), state_version=version)
    )
    return tx.execute(statement).rowcount == 1


def goes_to(tx: Connection, tenant_no: int, email_no: int, address: str) -> bool:
    """Whether a letter written here is to ``address``, as far as case goes."""
    query = select(recipient.c.email).where(
        recipient.c.tenant == tenant_no, recipient.c.email == email_no, recipient.c.address == address.casefold()
    )
    return tx.execute(query).first() is not None


def take_receipt(tx: Connection, tenant_no: int, email_no: int, receipt: ReceiptRecord) -> bool:
    """What the other end says became of a letter for one recipient; forward only, and never an older version of the same state.

    A state further on counts whatever its version: an end that was restored counts its versions from an earlier one.
    Returns whether anything changed. The reason kept is the stable word or status, and what the other side said where that does not hold it.
    """
    try:
        address = Address.parse(receipt.address).key
    except Refused:
        return False
    known = tx.execute(
        select(recipient.c.state, recipient.c.state_version).where(
            recipient.c.tenant == tenant_no, recipient.c.email == email_no, recipient.c.address == address
        )
    ).first()
    if known is None:
        return False
    before = DeliveryState(known.state)
    further = _ORDER[receipt.state] > _ORDER[before]
    if receipt.version <= known.state_version and not further:
        return False
    values: dict[str, Any] = {"state_version": max(receipt.version, known.state_version)}
    if further:
        values |= {"state": receipt.state.value, "reason": _told(receipt)}
    elif receipt.state is before:
        values["reason"] = _told(receipt)
    tx.execute(
        update(recipient)
        .where(recipient.c.tenant == tenant_no, recipient.c.email == email_no, recipient.c.address == address)
        .values(**values)
    )
    return True


def change_state(
    tx: Connection, tenant_no: int, email_no: int, address: str, state: DeliveryState, reason: str = ""
) -> int | None:
    """The end that decides moves a recipient's state forward, or says another reason for the same one; the new version.

    None, and nothing changed, when it would go back, nothing is new, or the recipient is unknown.
    """
    known = tx.execute(
        select(recipient.c.state, recipient.c.state_version, recipient.c.reason)
        .where(recipient.c.tenant == tenant_no, recipient.c.email == email_no, recipient.c.address == address)
        .with_for_update()
    ).first()
    if known is None:
        return None
    before = DeliveryState(known.state)
    if _ORDER[state] < _ORDER[before] or (state is not before and _ORDER[state] == _ORDER[before]):
        return None
    if state is before and known.reason == storable(reason):
        return None
    version = int(known.state_version) + 1
    tx.execute(
        update(recipient)
        .where(recipient.c.tenant == tenant_no, recipient.c.email == email_no, recipient.c.address == address)
        .values(state=state.value, reason=storable(reason), state_version=version)
    )
    return version


def envelope_id(tx: Connection, tenant_no: int, email_no: int, address: str, make: Callable[[], str]) -> str:
    """The envelope id of a recipient (protocol 8.3), made by ``make`` at the first call; raises NotFound. Needs a writing transaction."""
    of_recipient = and_(recipient.c.tenant == tenant_no, recipient.c.email == email_no, recipient.c.address == address)
    found = tx.execute(select(recipient.c.envelope_id).where(of_recipient)).first()
    if found is None:
        raise NotFound("no such recipient")
    if found.envelope_id is not None:
        return str(found.envelope_id)
    made = make()
    tx.execute(update(recipient).where(of_recipient).values(envelope_id=made))
    return made


def find_by_envelope_id(tx: Connection, tenant_no: int, id: str) -> tuple[int, str] | None:
    """Letter and address of the recipient with this envelope id, case not counting; None when there is none."""
    row = tx.execute(
        select(recipient.c.email, recipient.c.address).where(
            recipient.c.envelope_id == id.lower(), recipient.c.tenant == tenant_no
        )
    ).first()
    return None if row is None else (int(row.email), str(row.address))


def _told(receipt: ReceiptRecord) -> str:
    code, words = receipt.code, receipt.reason
    return storable(words if code in words else f"{code} {words}".strip())


def move_waiting(tx: Connection, tenant_no: int, email_nos: Iterable[int], state: DeliveryState) -> None:
    """All recipients of these letters that are still waiting are now at ``state``."""
    statement = (
        update(recipient)
        .where(
            recipient.c.tenant == tenant_no,
            recipient.c.email == bindparam("letter"),
            recipient.c.state == DeliveryState.WAITING.value,
        )
        .values(state=state.value)
    )
    rows = [{"letter": no} for no in email_nos]
    if rows:
        tx.execute(statement, rows)


def left_at(tx: Connection, tenant_no: int, email_no: int) -> datetime | None:
    """When the other end had the letter for good, as far as this end knows; None while it has not left."""
    moment = tx.execute(
        select(func.min(package.c.changed_at))
        .join(waiting, waiting.c.package == package.c.no)
        .where(
            waiting.c.tenant == tenant_no,
            waiting.c.email == email_no,
            waiting.c.direction == "up",
            waiting.c.state == "delivered",
            package.c.state.in_(["held", "unpacked", "acknowledged"]),
        )
    ).scalar()
    return None if moment is None else from_micros(moment)


def deliveries(tx: Connection, tenant_no: int, email_no: int) -> list[Delivery]:
    """How each recipient of a written letter stands, as written, Bcc included: for the writer's eyes only."""
    return [one.delivery for one in written_recipients(tx, tenant_no, email_no)]


def written_recipients(tx: Connection, tenant_no: int, email_no: int) -> list[Written]:
    """:func:`deliveries` with display names."""
    rows = tx.execute(_OF_EMAIL, {"tenant": tenant_no, "email": email_no})
    return [Written(Delivery(row.address, row.role, DeliveryState(row.state), row.reason), row.name) for row in rows]


def set_envelope(tx: Connection, tenant_no: int, email_no: int, states: Mapping[str, str]) -> None:
    """Whom the envelope of an incoming letter addressed at this tenant: address to ``delivered``, ``unknown`` or ``dead``.

    Addresses that are noted already keep their state.
    """
    rows = [
        {"tenant": tenant_no, "email": email_no, "address": storable(address), "state": state}
        for address, state in states.items()
    ]
    if rows:
        _INSERT_ENVELOPE.run_many(tx, rows)


def set_envelope_state(tx: Connection, tenant_no: int, email_no: int, address: str, state: str) -> None:
    """Move one envelope address on."""
    tx.execute(
        update(envelope)
        .where(envelope.c.tenant == tenant_no, envelope.c.email == email_no, envelope.c.address == address)
        .values(state=state)
    )


def envelope_of(tx: Connection, tenant_no: int, email_no: int) -> dict[str, str]:
    """The addresses that :func:`set_envelope` noted, with their states."""
    rows = tx.execute(_ENVELOPE, {"tenant": tenant_no, "email": email_no})
    return {row.address: row.state for row in rows}
