"""What of a person travels between box and server, and how each end takes in what the other says (protocol 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account, Address
from lokole.mailbox.accounts import EVERY_ACCOUNT, INSERT_ACCOUNT, new_values, normal_display_name, row_of
from lokole.mailbox.database import Connection
from lokole.mailbox.days import today
from lokole.mailbox.schema import account, tenant
from lokole.mailbox.sessions import account_of
from lokole.sync.records import AccountRecord

_TO_SEND = EVERY_ACCOUNT.where(
    account.c.tenant == bindparam("tenant"), account.c.version > account.c.sent_version
).order_by(account.c.name)


def accounts_to_send(tx: Connection, tenant_no: int) -> list[AccountRecord]:
    """What the other end does not know yet, by name."""
    return [
        AccountRecord(
            address=f"{row.name}@{row.domain}",
            password_hash=row.password_hash if row.roaming else None,
            language=row.language,
            version=row.version,
            name=row.display_name if row.roaming else "",
            removed=row.removed_day is not None,
        )
        for row in tx.execute(_TO_SEND, {"tenant": tenant_no})
    ]


def roaming_to_send(tx: Connection, tenant_no: int) -> list[AccountRecord]:
    """:func:`accounts_to_send` of people with roaming on: what the other end may be told about people who live there."""
    return [one for one in accounts_to_send(tx, tenant_no) if one.password_hash is not None]


def mark_accounts_sent(tx: Connection, tenant_no: int, versions: Mapping[str, int]) -> None:
    """The other end has these versions for good; keys are addresses, as in :func:`accounts_to_send`."""
    for address, version in versions.items():
        tx.execute(
            update(account)
            .where(
                account.c.tenant == tenant_no,
                account.c.name == address.rpartition("@")[0],
                account.c.sent_version < version,
            )
            .values(sent_version=version)
        )


def forget_accounts_sent(tx: Connection, tenant_no: int, versions: Mapping[str, int]) -> None:
    """The other end has not read these versions after all: they are to go again. What it has of later ones stays."""
    for address, version in versions.items():
        tx.execute(
            update(account)
            .where(
                account.c.tenant == tenant_no,
                account.c.name == address.rpartition("@")[0],
                account.c.sent_version == version,
            )
            .values(sent_version=version - 1)
        )


def upsert_from_device(tx: Connection, tenant_no: int, record: AccountRecord, now: datetime) -> tuple[Account, bool]:
    """Take in what a device says of one of its people; returns the person and whether they are new here.

    An older version than the known one changes nothing. A record without a hash takes the hash away: roaming is off.
    Raises Refused: code ``address`` when it is not one, ``foreign`` when its domain is not the device's.
    """
    spoken = Address.parse(record.address)
    domain = tx.execute(select(tenant.c.domain).where(tenant.c.no == tenant_no)).scalar()
    if domain is None:
        raise NotFound("no such device")
    if spoken.domain != domain:
        raise Refused("this person belongs to another domain", code="foreign", field="address")
    name = spoken.local.casefold()
    told: dict[str, Any] = {
        "password_hash": record.password_hash,
        "roaming": record.password_hash is not None,
        "display_name": normal_display_name(record.name),
        "removed_day": today(tx, tenant_no) if record.removed else None,
    }
    if record.language is not None:
        told["language"] = record.language
    values = new_values(tenant_no, name, now) | told | {"version": record.version, "sent_version": record.version}
    no = INSERT_ACCOUNT.first(tx, values)
    new = no is not None
    tx.execute(
        update(account)
        .where(account.c.tenant == tenant_no, account.c.name == name, account.c.version <= record.version)
        .values(version=record.version, sent_version=record.version, **told)
    )
    row = row_of(tx, tenant_no, name)
    assert row is not None
    return account_of(row), new


def merge_from_server(tx: Connection, tenant_no: int, record: AccountRecord) -> bool:
    """Take in what a person with roaming on changed in town; False when the box knows a newer version, or they roam no more.

    People are made, and roaming is turned on and off, on the box only.
    """
    spoken = Address.parse(record.address)
    told: dict[str, Any] = {"version": record.version, "sent_version": record.version}
    if record.language is not None:
        told["language"] = record.language
    if record.password_hash is not None:
        told["password_hash"] = record.password_hash
    if record.name:
        told["display_name"] = normal_display_name(record.name)
    changed = tx.execute(
        update(account)
        .where(
            account.c.tenant == tenant_no,
            account.c.name == spoken.local.casefold(),
            account.c.roaming.is_(True),
            account.c.version < record.version,
        )
        .values(**told)
    )
    return changed.rowcount == 1
