"""What an administrator has decided for one person, and whether that person wants to be in the directory.

A person of whom nothing was decided has no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, select, update

from lokole.mail.model import Account
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import attachment, email, entry, standing
from lokole.mailbox.upsert import insert_new

_INSERT = insert_new(standing)
_FIND = select(standing).where(standing.c.tenant == bindparam("tenant"), standing.c.account == bindparam("account"))


@dataclass(frozen=True, slots=True)
class Standing:
    """``paid_until`` and ``quota_bytes`` are None where there is no end and no bound."""

    paid_until: datetime | None = None
    quota_bytes: int | None = None
    local_only: bool = False
    listed: bool = False
    may_post: bool = False


def get_standing(tx: Connection, person: Account) -> Standing:
    """What is decided for ``person``."""
    row = tx.execute(_FIND, {"tenant": person.tenant, "account": person.no}).first()
    if row is None:
        return Standing()
    until = None if row.paid_until is None else from_micros(row.paid_until)
    return Standing(until, row.quota_bytes, row.local_only, row.listed, row.may_post)


def set_paid_until(tx: Connection, person: Account, until: datetime | None) -> None:
    """After ``until`` letters of this person go to people here only; None takes the end away."""
    _set(tx, person, paid_until=None if until is None else to_micros(until))


def set_quota(tx: Connection, person: Account, quota_bytes: int | None) -> None:
    """How much this person's letters may take up; None for no bound."""
    _set(tx, person, quota_bytes=quota_bytes)


def set_local_only(tx: Connection, person: Account, local_only: bool) -> None:
    """Whether this person writes to people here only."""
    _set(tx, person, local_only=local_only)


def set_listed(tx: Connection, person: Account, listed: bool) -> None:
    """Whether this person wants to be found in the directory."""
    _set(tx, person, listed=listed)


def set_may_post(tx: Connection, person: Account, may_post: bool) -> None:
    """Whether this person may put something on the board."""
    _set(tx, person, may_post=may_post)


def forget_standing(tx: Connection, person: Account) -> None:
    """The person leaves."""
    tx.execute(delete(standing).where(standing.c.tenant == person.tenant, standing.c.account == person.no))


def used_bytes(tx: Connection, person: Account) -> int:
    """What the letters that this person has take up: texts and files. Reads every one of them, so not for every page."""
    mine = (entry.c.tenant == person.tenant, entry.c.account == person.no, entry.c.deleted.is_(False))
    texts = (
        select(func.coalesce(func.sum(func.length(email.c.body)), 0))
        .select_from(entry)
        .join(email, email.c.order_no == entry.c.email)
        .where(*mine)
    )
    files = (
        select(func.coalesce(func.sum(attachment.c.size), 0))
        .select_from(entry)
        .join(attachment, attachment.c.email == entry.c.email)
        .where(*mine)
    )
    return int(tx.execute(texts).scalar_one()) + int(tx.execute(files).scalar_one())


def _set(tx: Connection, person: Account, **values: Any) -> None:
    nothing = {
        "tenant": person.tenant,
        "account": person.no,
        "paid_until": None,
        "quota_bytes": None,
        "local_only": False,
        "listed": False,
        "may_post": False,
    }
    _INSERT.run(tx, nothing)
    here = (standing.c.tenant == person.tenant, standing.c.account == person.no)
    tx.execute(update(standing).where(*here).values(**values))
