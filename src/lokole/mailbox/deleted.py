"""Deleted letters: for thirty days their holder can put them back, then they are gone for that person.

Deleting is a flag (``entries.py``), so both ends agree on it without a clock. When it was set is not written with it:
the box's tidy notes each deleted letter when it first sees it, and empties what it has noted for thirty days.
A letter that is on its way, or whose deletion the other end does not know yet, stays.

A person can also empty it at once (:func:`erase`), one letter or all of them.

What is emptied leaves a row behind, with the folder ``""``: a late repeat of the letter finds it and brings nothing back.
The content goes when nobody has the letter any more; its files follow by ``unnamed.py``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, exists, func, or_, select, true, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account
from lokole.mailbox import outbound, seen
from lokole.mailbox.database import Connection, Database, to_micros
from lokole.mailbox.forgetting import ON_ITS_WAY, forget_content
from lokole.mailbox.lists import COLUMNS, Page, letter_row, paged, set_flag, turn
from lokole.mailbox.roaming import wire_id
from lokole.mailbox.schema import account, email, entry, recipient, waiting
from lokole.mailbox.tenants import lock
from lokole.sync.records import FlagRecord

KEPT = timedelta(days=30)
#: more deleted letters than this are shown as "more than"
TOTAL_CAP = 1000
_EMPTIED = ""
_NOTED = "deleted"
_AT_ONCE = 200

_DELETED: Select[Any] = (
    select(*COLUMNS)
    .select_from(entry)
    .join(email, email.c.order_no == entry.c.email)
    .where(entry.c.account == bindparam("account"), entry.c.deleted == true(), entry.c.folder > _EMPTIED)
)
_PAGES = paged(_DELETED)
_COUNT = select(func.count()).select_from(
    select(entry.c.email)
    .where(entry.c.account == bindparam("account"), entry.c.deleted == true(), entry.c.folder > _EMPTIED)
    .limit(TOTAL_CAP)
    .subquery()
)


def list_deleted(
    tx: Connection, person: Account, *, before: int | None = None, after: int | None = None, limit: int = 20
) -> Page:
    """A page of what the person deleted and can put back, as ``lists.list_folder``."""
    asked: dict[str, Any] = {"account": person.no, "limit": limit + 1}
    found, older, newer = turn(tx, _PAGES, asked, before, after, limit)
    total = int(tx.execute(_COUNT, {"account": person.no}).scalar_one())
    rows = tuple(letter_row(row) for row in found)
    start = None if newer is not None else (1 if rows else 0)
    return Page(rows, total, start, older, newer, more=total >= TOTAL_CAP)


def put_back(tx: Connection, person: Account, email_no: int, origin: str) -> None:
    """The letter is where it was before. Raises NotFound when the person never had it, or it is emptied."""
    found = tx.execute(
        select(entry.c.folder).where(
            entry.c.tenant == person.tenant, entry.c.account == person.no, entry.c.email == email_no
        )
    ).scalar()
    if not found:
        raise NotFound("no such letter")
    set_flag(tx, person, email_no, "deleted", False, origin)


def is_gone(tx: Connection, person: Account, email_no: int) -> bool:
    """Whether the person had the letter, and it is emptied."""
    mine = (entry.c.tenant == person.tenant, entry.c.account == person.no, entry.c.email == email_no)
    return tx.execute(select(entry.c.email).where(*mine, entry.c.folder == _EMPTIED)).first() is not None


def erase(tx: Connection, person: Account, email_no: int) -> None:
    """The person deletes a deleted letter for good; whoever else has it keeps it, deleted or not.

    Raises NotFound when it is not among the person's deleted letters, Refused with code ``on-its-way``, nothing changed, as long as
    it is: its bytes are needed still, and its writer is to be told when it is refused.
    """
    lock(tx, person.tenant)  # as who leaves (leaving.py)
    mine = (entry.c.tenant == person.tenant, entry.c.account == person.no, entry.c.email == email_no)
    put_away = (entry.c.deleted == true(), entry.c.folder > _EMPTIED)
    if tx.execute(select(entry.c.email).where(*mine, *put_away)).first() is None:
        raise NotFound("no such letter")
    if is_on_its_way(tx, email_no):
        raise Refused("the letter is still on its way", code="on-its-way")
    tx.execute(update(entry).where(*mine, *put_away).values(folder=_EMPTIED))
    _forget(tx, person.tenant, [email_no])


def erase_all(database: Database, person: Account) -> tuple[int, int]:
    """:func:`erase` of everything that the person deleted; returns how many letters went, and how many are still on their way."""
    gone = kept = 0
    before: int | None = None
    while True:
        with database.write() as tx:
            rows = list_deleted(tx, person, before=before, limit=_AT_ONCE).rows
            for row in rows:
                try:
                    erase(tx, person, row.no)
                    gone += 1
                except Refused:
                    kept += 1
        if not rows:
            return gone, kept
        before = rows[-1].no


def empty_deleted(database: Database, tenant_no: int, now: datetime, age: timedelta = KEPT) -> int:
    """Empty what has been deleted for ``age``; returns how many letters went. Once a day is enough; may be broken off anywhere."""
    with database.write() as tx:
        known = seen.noted(tx, tenant_no, _NOTED)
        deleted = {_key(row): row for row in _deleted(tx, tenant_no)}
        for key in known.keys() - deleted.keys():
            seen.forget(tx, tenant_no, _NOTED, key)
        for key in deleted.keys() - known.keys():
            seen.remember(tx, tenant_no, _NOTED, key, now)
    long_ago = to_micros(now - age)
    over = [row for key, row in deleted.items() if known.get(key, long_ago + 1) <= long_ago]
    gone = 0
    for first in range(0, len(over), _AT_ONCE):
        with database.write() as tx:
            lock(tx, tenant_no)
            gone += sum(_empty(tx, tenant_no, row) for row in over[first : first + _AT_ONCE])
            _forget(tx, tenant_no, [row.email for row in over[first : first + _AT_ONCE]])
    return gone


def _deleted(tx: Connection, tenant_no: int) -> list[Row[Any]]:
    # from the person on, so that it is a range of their index
    query = (
        select(
            entry.c.account,
            entry.c.email,
            entry.c.deleted_lamport,
            entry.c.deleted_origin,
            account.c.name,
            account.c.roaming,
        )
        .select_from(account)
        .join(entry, entry.c.account == account.c.no)
        .where(account.c.tenant == tenant_no, entry.c.deleted == true(), entry.c.folder > _EMPTIED)
    )
    return list(tx.execute(query))


def _key(row: Row[Any]) -> str:
    return f"{row.account}:{row.email}:{row.deleted_lamport}"


def _empty(tx: Connection, tenant_no: int, row: Row[Any]) -> bool:
    if is_on_its_way(tx, row.email):
        return False
    if row.roaming:
        name = wire_id(tx, tenant_no, row.email, row.name)
        told = FlagRecord(name, row.name, "deleted", True, row.deleted_lamport, row.deleted_origin)
        if outbound.is_on_its_way(tx, tenant_no, told):
            return False
    changed = tx.execute(
        update(entry)
        .where(
            entry.c.account == row.account,
            entry.c.email == row.email,
            entry.c.deleted == true(),
            entry.c.deleted_lamport == row.deleted_lamport,
        )
        .values(folder=_EMPTIED)
    )
    return changed.rowcount == 1


def _forget(tx: Connection, tenant_no: int, numbers: list[int]) -> None:
    held = set(
        tx.execute(
            select(entry.c.email).where(
                entry.c.email.in_(numbers), or_(entry.c.deleted.is_(False), entry.c.folder > _EMPTIED)
            )
        ).scalars()
    )
    forget_content(tx, tenant_no, [no for no in numbers if no not in held], keep_entries=True)


def is_on_its_way(tx: Connection, email_no: int) -> bool:
    """Whether a letter has not reached the other end, or somebody whom it is for."""
    query = select(
        or_(
            exists().where(waiting.c.email == email_no, waiting.c.state != "delivered"),
            exists().where(and_(recipient.c.email == email_no, recipient.c.state.in_(ON_ITS_WAY))),
        )
    )
    return bool(tx.execute(query).scalar())
