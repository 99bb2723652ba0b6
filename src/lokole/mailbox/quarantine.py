"""What could not be taken in, kept with its reason and its raw bytes (a blob), for the administrator to see."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update

from lokole.mail.errors import NotFound
from lokole.mail.model import TenantNo
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import quarantine as table
from lokole.mailbox.upsert import insert_new
from lokole.mailbox.words import storable

_INSERT = insert_new(table, [column.name for column in table.columns if column.name != "no"])
_MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One thing kept apart; ``tenant`` is None for what is nobody's, ``raw_ref`` the blob with its bytes."""

    no: int
    tenant: TenantNo | None
    kind: str
    source: str
    reason: str
    raw_ref: str | None
    at: datetime
    resolved_at: datetime | None


def quarantine(
    tx: Connection,
    *,
    tenant: int | None,
    kind: str,
    source: str,
    reason: str,
    raw_ref: str | None,
    key: str,
    now: datetime,
) -> bool:
    """Keep something apart; False when ``key`` is there already, so that a repeat is one row.

    ``kind`` is mime, package, record, webhook or dead-letter; ``source`` says where it came from, ``reason`` what is wrong, neither with a word of its content.
    """
    values = {
        "tenant": tenant,
        "kind": kind,
        "source": storable(source),
        "reason": storable(reason),
        "raw_ref": raw_ref,
        "at": to_micros(now),
        "resolved_at": None,
        "key": key if len(key) <= _MAX_KEY else "sha256:" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest(),
    }
    return _INSERT.run(tx, values) == 1


def list_quarantine(
    tx: Connection,
    tenant: int | None = None,
    *,
    everybody: bool = False,
    before: int | None = None,
    limit: int = 50,
    resolved_too: bool = False,
) -> list[Quarantined]:
    """What is kept apart for ``tenant`` (None: what is nobody's; ``everybody``: all), newest first, numbers below ``before``."""
    query = _of(select(table), tenant, everybody, resolved_too).order_by(table.c.no.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.no < before)
    return [
        Quarantined(
            row.no,
            None if row.tenant is None else TenantNo(row.tenant),
            row.kind,
            row.source,
            row.reason,
            row.raw_ref,
            from_micros(row.at),
            None if row.resolved_at is None else from_micros(row.resolved_at),
        )
        for row in tx.execute(query)
    ]


def get_quarantined(tx: Connection, tenant: int | None, no: int, *, everybody: bool = False) -> Quarantined:
    """One of them; raises NotFound when it is not this tenant's."""
    for one in list_quarantine(tx, tenant, everybody=everybody, before=no + 1, limit=1, resolved_too=True):
        if one.no == no:
            return one
    raise NotFound("no such thing in quarantine")


def kept_last(tx: Connection, kind: str) -> datetime | None:
    """When something of this kind was kept last, whoever's it was; resolved ones count."""
    found = tx.execute(select(func.max(table.c.at)).where(table.c.kind == kind)).scalar()
    return None if found is None else from_micros(found)


def count_quarantine(tx: Connection, tenant: int | None = None, *, everybody: bool = False) -> int:
    """How many are kept apart and not resolved."""
    query = _of(select(func.count()).select_from(table), tenant, everybody, resolved_too=False)
    return int(tx.execute(query).scalar_one())


def resolve(tx: Connection, tenant: int | None, no: int, now: datetime, *, everybody: bool = False) -> None:
    """The administrator has dealt with it; the row and its bytes stay. Raises NotFound."""
    get_quarantined(tx, tenant, no, everybody=everybody)
    tx.execute(update(table).where(table.c.no == no).values(resolved_at=to_micros(now)))


def settle_bytes(tx: Connection, tenant: int, kind: str, raw_ref: str, now: datetime) -> None:
    """What stood apart for these bytes was taken in after all."""
    these = (table.c.tenant == tenant, table.c.kind == kind, table.c.raw_ref == raw_ref, table.c.resolved_at.is_(None))
    tx.execute(update(table).where(*these).values(resolved_at=to_micros(now)))


def _of(query: Select[Any], tenant: int | None, everybody: bool, resolved_too: bool) -> Select[Any]:
    if not everybody:
        query = query.where(table.c.tenant.is_(None) if tenant is None else table.c.tenant == tenant)
    return query if resolved_too else query.where(table.c.resolved_at.is_(None))
