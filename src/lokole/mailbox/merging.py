"""Two people who are one: one address goes on as another name of the other, and the letters of both lie together.

Nothing is doubled: a letter that both had is there once, unread only if it was unread with both, kept if either kept it.
The row of the account that ends stays for its name, so that letters to it still arrive.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Table, and_, delete, select, update
from sqlalchemy.exc import IntegrityError

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox.database import Connection
from lokole.mailbox.days import today
from lokole.mailbox.entries import recount
from lokole.mailbox.fulltext import add_holder, remove_holder
from lokole.mailbox.schema import account, alias, entry, folder_count, metadata, session, standing
from lokole.mailbox.sessions import end_all_sessions
from lokole.mailbox.upsert import insert_new

_ALIAS = insert_new(alias)
_ENTRY = insert_new(entry)
#: what does not go over to the other: it ends, or is counted or moved by itself
_BY_HAND = (account, alias, entry, folder_count, session, standing)


def merge_people(tx: Connection, old: Account, into: Account) -> int:
    """``old`` becomes another name of ``into``; returns how many letters came over.

    Raises Refused, code ``same``, for one person twice.
    """
    if old.no == into.no or old.tenant != into.tenant:
        raise Refused("these are one person already", code="same", field="into")
    came = _move_entries(tx, old, into)
    for table, column in _columns_of_people():
        _move_rows(tx, table, column, old, into)
    end_all_sessions(tx, old)
    tx.execute(delete(folder_count).where(folder_count.c.tenant == old.tenant, folder_count.c.account == old.no))
    tx.execute(delete(standing).where(standing.c.tenant == old.tenant, standing.c.account == old.no))
    tx.execute(update(alias).where(alias.c.tenant == old.tenant, alias.c.target == old.no).values(target=into.no))
    _ALIAS.run(tx, {"tenant": old.tenant, "account": old.no, "target": into.no})
    nothing = {"password_hash": None, "is_admin": False, "roaming": False, "must_change_password": False}
    here = (account.c.tenant == old.tenant, account.c.no == old.no)
    # told to the other end, which keeps the name and forgets the password
    tx.execute(update(account).where(*here).values(version=account.c.version + 1, **nothing))
    recount(tx, old.tenant)
    return came


def names_before(tx: Connection, person: Account) -> list[str]:
    """The other names under which letters reach ``person``."""
    query = (
        select(account.c.name)
        .join(alias, alias.c.account == account.c.no)
        .where(alias.c.tenant == person.tenant, alias.c.target == person.no)
        .order_by(account.c.name)
    )
    return list(tx.execute(query).scalars())


def forget_names_before(tx: Connection, person: Account) -> None:
    """The person leaves: letters to their other names reach nobody any more, and nobody gets those names."""
    others = select(alias.c.account).where(alias.c.tenant == person.tenant, alias.c.target == person.no)
    tx.execute(
        update(account)
        .where(account.c.tenant == person.tenant, account.c.no.in_(others))
        .values(removed_day=today(tx, person.tenant), version=account.c.version + 1)
    )
    tx.execute(delete(alias).where(alias.c.tenant == person.tenant, alias.c.target == person.no))


def _move_entries(tx: Connection, old: Account, into: Account) -> int:
    came = 0
    theirs = tx.execute(select(entry).where(entry.c.tenant == old.tenant, entry.c.account == old.no)).all()
    for row in theirs:
        mine = tx.execute(
            select(entry).where(entry.c.tenant == into.tenant, entry.c.account == into.no, entry.c.email == row.email)
        ).first()
        if not row.deleted:
            remove_holder(tx, row.email, old.no)
        if mine is None:
            _ENTRY.run(tx, {**row._mapping, "account": into.no})
            came += 1
            if not row.deleted:
                add_holder(tx, row.email, into.no)
            continue
        together = {
            "written": mine.written or row.written,
            "read": mine.read or row.read,
            "starred": mine.starred or row.starred,
            "deleted": mine.deleted and row.deleted,
        }
        if mine.deleted and not row.deleted:
            together["folder"] = row.folder
            add_holder(tx, row.email, into.no)
        tx.execute(
            update(entry)
            .where(entry.c.tenant == into.tenant, entry.c.account == into.no, entry.c.email == row.email)
            .values(together)
        )
    tx.execute(delete(entry).where(entry.c.tenant == old.tenant, entry.c.account == old.no))
    return came


def _columns_of_people() -> Iterator[tuple[Table, Column[int]]]:
    """Every column of the schema that names a person, whatever it was added for."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            names_somebody = any(key.column is account.c.no for key in column.foreign_keys)
            if names_somebody and table not in _BY_HAND:
                yield table, column


def _move_rows(tx: Connection, table: Table, column: Column[int], old: Account, into: Account) -> None:
    """Rows go over to the other person one by one; one that would be a second of its kind goes."""
    keys = list(table.primary_key.columns)
    for row in tx.execute(select(*keys).where(table.c.tenant == old.tenant, column == old.no)).all():
        this = and_(*(key == value for key, value in zip(keys, row, strict=True)))
        try:
            with tx.begin_nested():
                tx.execute(update(table).where(table.c.tenant == old.tenant, this).values({column.name: into.no}))
        except IntegrityError:
            tx.execute(delete(table).where(table.c.tenant == old.tenant, this))


__all__ = ["forget_names_before", "merge_people", "names_before"]
