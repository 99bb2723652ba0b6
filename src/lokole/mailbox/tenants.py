"""The devices this database knows: one row on the box, one per domain on the server, and the keys they sign with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, func, insert, select, update
from sqlalchemy import Table as SqlTable

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import DeviceId, TenantNo, normal_domain
from lokole.mailbox import schema
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.fulltext import forget_letters
from lokole.mailbox.schema import credential, tenant
from lokole.mailbox.upsert import insert_new

#: the states of a row: its work is not done yet, it waits for its box, it has one, it is being destroyed
PREPARING, WAITING, CLAIMED, REMOVED = "preparing", "waiting", "claimed", "removed"


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One device's row. ``state`` is ``preparing``, ``waiting`` (for its box), ``claimed`` or ``removed``."""

    no: TenantNo
    domain: str
    device_id: DeviceId
    owner: str
    state: str
    claim_code: str | None
    v1: bool
    v1_container: str | None
    webhook_secret: str
    last_visit_at: datetime | None
    visits: int
    heard_visits: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """A public key (Ed25519, 32 bytes) and the highest counter that came with a right signature."""

    no: int
    tenant: TenantNo
    public_key: bytes
    counter: int
    revoked: bool
    twin_seen_at: datetime | None


class WrongCounter(Refused):
    """A counter that is not above the last one: a replay, or a twin of the device. ``counter`` is the last one seen."""

    def __init__(self, counter: int) -> None:
        super().__init__("the counter was used before", code="counter", field="counter")
        self.counter = counter


_INSERT = insert_new(tenant, [column.name for column in tenant.columns if column.name != "no"], returning="no")
# what each request of an exchange asks is put together once
_BY_NO, _BY_DOMAIN, _BY_DEVICE, _BY_SECRET = (
    select(tenant).where(column == bindparam("named"))
    for column in (tenant.c.no, tenant.c.domain, tenant.c.device_id, tenant.c.webhook_secret)
)
_LOCK = select(tenant.c.no).where(tenant.c.no == bindparam("tenant")).with_for_update()
_CREDENTIAL = (
    select(credential)
    .join(tenant, tenant.c.no == credential.c.tenant)
    .where(tenant.c.device_id == bindparam("device"), tenant.c.state != "removed")
    .order_by(credential.c.revoked_at.is_(None).desc(), credential.c.no.desc())
    .limit(1)
)
_USE_COUNTER = (
    update(credential)
    .where(credential.c.no == bindparam("credential"), credential.c.counter < bindparam("used"))
    .values(counter=bindparam("used"))
)
_FORGET_CODE = (
    update(tenant)
    .where(
        tenant.c.no.in_(select(credential.c.tenant).where(credential.c.no == bindparam("credential"))),
        tenant.c.claim_code.is_not(None),
        tenant.c.state == "claimed",
    )
    .values(claim_code=None)
)


def add_tenant(
    tx: Connection,
    *,
    domain: str,
    device_id: str,
    owner: str = "",
    state: str,
    webhook_secret: str,
    claim_code: str | None = None,
    v1: bool = False,
    v1_container: str | None = None,
    now: datetime,
) -> TenantNo:
    """Make the row of a device; ``domain`` is brought into its normal form.

    Raises Refused with code ``exists`` when the domain, the device id or the webhook secret is taken, ``address`` when the domain is not valid.
    """
    values: dict[str, Any] = {
        "domain": normal_domain(domain),
        "device_id": device_id,
        "owner": owner,
        "state": state,
        "claim_code": claim_code,
        "v1": v1,
        "v1_container": v1_container,
        "webhook_secret": webhook_secret,
        "last_visit_at": None,
        "visits": 0,
        "told_visits": 0,
        "heard_visits": 0,
        "created_at": to_micros(now),
    }
    no = _INSERT.first(tx, values)
    if no is None:
        raise Refused("this domain is registered already", code="exists", field="domain")
    return TenantNo(no)


def find_tenant(
    tx: Connection,
    *,
    no: int | None = None,
    domain: str | None = None,
    device_id: str | None = None,
    webhook_secret: str | None = None,
) -> TenantRow | None:
    """The row that one of the four names, or None; a domain that is not valid is nobody's."""
    named: int | str | None
    if no is not None:
        query, named = _BY_NO, no
    elif domain is not None:
        try:
            query, named = _BY_DOMAIN, normal_domain(domain)
        except Refused:
            return None
    elif device_id is not None:
        query, named = _BY_DEVICE, device_id
    else:
        assert webhook_secret is not None
        query, named = _BY_SECRET, webhook_secret
    found = tx.execute(query, {"named": named}).first()
    return None if found is None else _tenant_row(found)


def get_tenant(tx: Connection, no: int) -> TenantRow:
    """The row ``no``; raises NotFound."""
    found = find_tenant(tx, no=no)
    if found is None:
        raise NotFound("no such device")
    return found


def lock(tx: Connection, tenant_no: int) -> None:
    """Keep two transactions of one device apart until this one ends; the first thing that it does, or two could wait for each other.

    On PostgreSQL what was looked for behind it stays as it was found; SQLite has one writer anyway.
    """
    tx.execute(_LOCK, {"tenant": tenant_no})


def list_tenants(tx: Connection, whose: Select[tuple[int]] | None = None) -> list[TenantRow]:
    """The devices by domain, all or those that :func:`numbers` names."""
    query = select(tenant).order_by(tenant.c.domain)
    if whose is not None:
        query = query.where(tenant.c.no.in_(whose))
    return [_tenant_row(row) for row in tx.execute(query)]


def numbers(*, owner: str | None = None, no: int | None = None) -> Select[tuple[int]]:
    """The numbers of one owner's devices, or of one device, as a part of queries that count for many devices at once."""
    condition = tenant.c.no == no if owner is None else tenant.c.owner == owner
    return select(tenant.c.no).where(condition)


def shares_container(tx: Connection, row: TenantRow, everybodys: str | None) -> bool:
    """Whether another device has its packages where ``row`` has them: in ``everybodys`` container, or in one that both came with."""
    query = select(tenant.c.no).where(tenant.c.v1_container == row.v1_container, tenant.c.no != row.no)
    return everybodys is not None or tx.execute(query.limit(1)).first() is not None


def set_state(tx: Connection, tenant_no: int, state: str) -> None:
    """Move the row on; raises NotFound."""
    if tx.execute(update(tenant).where(tenant.c.no == tenant_no).values(state=state)).rowcount != 1:
        raise NotFound("no such device")


def set_owner(tx: Connection, tenant_no: int, owner: str) -> None:
    """Make the device somebody else's; raises NotFound."""
    if tx.execute(update(tenant).where(tenant.c.no == tenant_no).values(owner=owner)).rowcount != 1:
        raise NotFound("no such device")


def claim_tenant(tx: Connection, code: str, public_key: bytes, now: datetime) -> TenantRow:
    """Give the row that waits under the one-time ``code`` to the box with ``public_key``; the code works once.

    A repeat with the same key (an answer was lost) gives the same row.
    Raises NotFound when the code is unknown or used up, Refused with code ``key`` when the key belongs to another device.
    """
    found = tx.execute(select(tenant).where(tenant.c.claim_code == code).with_for_update()).first() if code else None
    known = tx.execute(select(credential.c.tenant).where(credential.c.public_key == public_key)).scalar()
    if found is None:
        raise NotFound("this code is not known, or was used already")
    if known is not None and known != found.no:
        raise Refused("this key belongs to another device", code="key", field="public_key")
    if found.state == "claimed":
        if known is None:
            raise NotFound("this code is not known, or was used already")
        return _tenant_row(found)
    # the code stays until the box has called with its key, so that a lost answer can be repeated by the same key only
    tx.execute(update(tenant).where(tenant.c.no == found.no).values(state="claimed", v1=False))
    add_credential(tx, TenantNo(found.no), public_key, now)
    return get_tenant(tx, found.no)


def add_credential(tx: Connection, tenant_no: int, public_key: bytes, now: datetime) -> int:
    """A further key of a device; raises Refused with code ``key`` when it is known already. Returns its number."""
    if tx.execute(select(credential.c.no).where(credential.c.public_key == public_key)).first() is not None:
        raise Refused("this key belongs to a device already", code="key", field="public_key")
    statement = (
        insert(credential)
        .values(tenant=tenant_no, public_key=public_key, counter=0, created_at=to_micros(now))
        .returning(credential.c.no)
    )
    return int(tx.execute(statement).scalar_one())


def find_credential(tx: Connection, device_id: str) -> CredentialRow | None:
    """The newest key of a device that is not revoked; when all are revoked the newest with ``revoked`` set; None without any."""
    found = tx.execute(_CREDENTIAL, {"device": device_id}).first()
    if found is None:
        return None
    return CredentialRow(
        found.no,
        TenantNo(found.tenant),
        bytes(found.public_key),
        found.counter,
        found.revoked_at is not None,
        _moment(found.twin_seen_at),
    )


def key_at(tx: Connection, tenant_no: int, moment: datetime) -> bytes | None:
    """The public key that counted for a device at ``moment``: what was taken then is read with it, whoever has the row now."""
    at = to_micros(moment)
    statement = (
        select(credential.c.public_key)
        .where(
            credential.c.tenant == tenant_no,
            credential.c.created_at <= at,
            credential.c.revoked_at.is_(None) | (credential.c.revoked_at > at),
        )
        .order_by(credential.c.no.desc())
        .limit(1)
    )
    found = tx.execute(statement).scalar()
    return None if found is None else bytes(found)


def use_counter(tx: Connection, credential_no: int, counter: int) -> None:
    """Take ``counter`` of a request whose signature is right; raises :class:`WrongCounter` when it is not above the last one."""
    if tx.execute(_USE_COUNTER, {"credential": credential_no, "used": counter}).rowcount == 1:
        # the first signed request proves that the box has its answer: now the code is gone for good
        tx.execute(_FORGET_CODE, {"credential": credential_no})
        return
    last = tx.execute(select(credential.c.counter).where(credential.c.no == credential_no)).scalar()
    if last is None:
        raise NotFound("no such key")
    raise WrongCounter(last)


def mark_twin(tx: Connection, credential_no: int, now: datetime) -> None:
    """Note that a rightly signed request came with a wrong counter; it locks nobody out."""
    tx.execute(update(credential).where(credential.c.no == credential_no).values(twin_seen_at=to_micros(now)))


def twins_seen(tx: Connection) -> dict[str, datetime]:
    """The domains whose key was used with a wrong counter, and when last; keys that were taken back no longer count."""
    statement = (
        select(tenant.c.domain, credential.c.twin_seen_at)
        .join(tenant, tenant.c.no == credential.c.tenant)
        .where(credential.c.twin_seen_at.is_not(None), credential.c.revoked_at.is_(None), tenant.c.state != "removed")
        .order_by(tenant.c.domain)
    )
    return {row.domain: from_micros(row.twin_seen_at) for row in tx.execute(statement)}


def revoke(tx: Connection, tenant_no: int, now: datetime) -> None:
    """Take back every key of a device."""
    tx.execute(
        update(credential)
        .where(credential.c.tenant == tenant_no, credential.c.revoked_at.is_(None))
        .values(revoked_at=to_micros(now))
    )


def count_visit(tx: Connection, tenant_no: int) -> None:
    """The device was here and had nothing more to tell than what is held now."""
    more = tenant.c.visits + 1
    tx.execute(update(tenant).where(tenant.c.no == tenant_no).values(visits=more, told_visits=more))


def begin_visit(tx: Connection, tenant_no: int) -> int:
    """A carrier takes something to the device: the number of the visit that this is once the device has told what it knew then."""
    counted = update(tenant).where(tenant.c.no == tenant_no).values(visits=tenant.c.visits + 1)
    return int(tx.execute(counted.returning(tenant.c.visits)).scalar_one())


def tell_visit(tx: Connection, tenant_no: int, visit: int) -> None:
    """What the device knew at ``visit`` is held now; nothing changes when it had told more already."""
    earlier = (tenant.c.no == tenant_no, tenant.c.told_visits < visit)
    tx.execute(update(tenant).where(*earlier).values(told_visits=visit))


def hear_visits(tx: Connection, tenant_no: int, now: datetime) -> None:
    """All that the device told at its visits so far has been read."""
    tx.execute(
        update(tenant)
        .where(tenant.c.no == tenant_no)
        .values(heard_visits=tenant.c.told_visits, last_visit_at=to_micros(now))
    )


def forget_versions(tx: Connection, tenant_no: int) -> None:
    """A new box begins to count the versions of its people anew: whatever it says of them counts."""
    tx.execute(update(schema.account).where(schema.account.c.tenant == tenant_no).values(version=0, sent_version=0))


def is_known_key(tx: Connection, public_key: bytes) -> bool:
    """Whether any device has had that key."""
    return tx.execute(select(credential.c.no).where(credential.c.public_key == public_key)).first() is not None


def count_credentials(tx: Connection, tenant_no: int) -> int:
    """How many keys a device has had, those that were taken back too."""
    query = select(func.count()).select_from(credential).where(credential.c.tenant == tenant_no)
    return int(tx.execute(query).scalar_one())


def remove_tenant(tx: Connection, tenant_no: int) -> None:
    """Forget a device and all that is its own: people, letters, packages, work. Its blobs are the caller's (prefix: its domain)."""
    letters = tx.execute(select(schema.email.c.order_no).where(schema.email.c.tenant == tenant_no)).scalars().all()
    forget_letters(tx, [int(no) for no in letters])
    for table in _children_first():
        tx.execute(delete(table).where(table.c.tenant == tenant_no))
    tx.execute(delete(tenant).where(tenant.c.no == tenant_no))


def _children_first() -> list[SqlTable]:
    return [table for table in reversed(schema.metadata.sorted_tables) if "tenant" in table.columns]


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _tenant_row(row: Row[Any]) -> TenantRow:
    return TenantRow(
        no=TenantNo(row.no),
        domain=row.domain,
        device_id=DeviceId(row.device_id),
        owner=row.owner,
        state=row.state,
        claim_code=row.claim_code,
        v1=row.v1,
        v1_container=row.v1_container,
        webhook_secret=row.webhook_secret,
        last_visit_at=_moment(row.last_visit_at),
        visits=row.visits,
        heard_visits=row.heard_visits,
        created_at=from_micros(row.created_at),
    )
