"""A letter as one person has it: in which folder, read or not, starred, deleted.

Each of these is a flag (value, lamport, origin); the highest (lamport, origin) wins on both ends, never a clock.
What one person does changes no other person's entry.
The numbers in ``folder_count`` and the holders in the full text index are kept here, in the transaction that changes an entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from lokole.mail.errors import NotFound
from lokole.mail.model import Account, FolderName
from lokole.mailbox.database import Connection
from lokole.mailbox.fulltext import add_holder, remove_holder
from lokole.mailbox.identity import next_lamport, observe_lamport
from lokole.mailbox.schema import entry, envelope, folder_count
from lokole.mailbox.upsert import insert_new, insert_or_update

#: what :func:`set_flag` and :func:`merge_flag` may change
FLAGS = ("folder", "read", "starred", "deleted")

_INSERT = insert_new(entry)
_FIND = (
    select(entry)
    .where(
        entry.c.tenant == bindparam("tenant"),
        entry.c.account == bindparam("account"),
        entry.c.email == bindparam("email"),
    )
    .with_for_update()
)
_COUNT = insert_or_update(
    folder_count,
    ["account", "folder"],
    "total = folder_count.total + excluded.total, unread = folder_count.unread + excluded.unread",
)


def deliver(
    tx: Connection,
    tenant_no: int,
    email_no: int,
    account_no: int,
    *,
    folder: str = FolderName.INBOX,
    read: bool = False,
    written: bool = False,
    origin: str = "",
    lamport: int = 0,
    indexed: bool = False,
) -> bool:
    """Give a person a letter that is stored already; False, and nothing changed, when they have it (or had it and deleted it).

    ``written`` says that the person wrote it. ``indexed`` says that the full text index names this holder already.
    The first values of the flags carry (``lamport``, ``origin``); the default loses against whatever anybody did on purpose.
    """
    values: dict[str, Any] = {
        "tenant": tenant_no,
        "account": account_no,
        "email": email_no,
        "written": written,
        "folder": str(folder),
        "folder_lamport": lamport,
        "folder_origin": origin,
        "read": read,
        "read_lamport": lamport,
        "read_origin": origin,
        "starred": False,
        "starred_lamport": lamport,
        "starred_origin": origin,
        "deleted": False,
        "deleted_lamport": lamport,
        "deleted_origin": origin,
    }
    if _INSERT.run(tx, values) != 1:
        return False
    _count(tx, tenant_no, account_no, lists_of(folder, written), 1, 0 if read else 1)
    if not indexed:
        add_holder(tx, email_no, account_no)
    return True


def deliver_kept(tx: Connection, tenant_no: int, account_no: int, address: str) -> int:
    """Give a person who was not known here the letters that came for ``address`` meanwhile; returns how many."""
    mine = (envelope.c.tenant == tenant_no, envelope.c.address == address, envelope.c.state == "unknown")
    found = tx.execute(select(envelope.c.email).where(*mine).order_by(envelope.c.email)).scalars().all()
    for email_no in found:
        deliver(tx, tenant_no, email_no, account_no)
    tx.execute(update(envelope).where(*mine).values(state="delivered"))
    return len(found)


def set_flag(tx: Connection, person: Account, email_no: int, flag: str, value: bool | str, origin: str) -> bool:
    """The person changes ``flag`` (one of :data:`FLAGS`) of their own entry; ``origin`` is this installation's device id, or ``server``.

    False when it had that value already. Raises NotFound when the letter is not theirs.
    """
    row = tx.execute(_FIND, {"tenant": person.tenant, "account": person.no, "email": email_no}).first()
    if row is None:
        raise NotFound("no such letter")
    known = row._mapping
    if known[flag] == value:
        return False
    _change(tx, dict(known), flag, value, next_lamport(tx, person.tenant), origin)
    return True


def merge_flag(
    tx: Connection,
    tenant_no: int,
    account_no: int,
    email_no: int,
    flag: str,
    value: bool | str,
    lamport: int,
    origin: str,
) -> bool:
    """Take in a change made at the other end; it counts only when (``lamport``, ``origin``) is above what is known.

    Returns whether it counted. Raises NotFound when the person does not have the letter.
    """
    row = tx.execute(_FIND, {"tenant": tenant_no, "account": account_no, "email": email_no}).first()
    if row is None:
        raise NotFound("no such letter")
    known = dict(row._mapping)
    # what this person does next is later than all that was seen
    observe_lamport(tx, tenant_no, lamport)
    if (lamport, origin) <= (known[f"{flag}_lamport"], known[f"{flag}_origin"]):
        return False
    _change(tx, known, flag, value, lamport, origin)
    return True


def lists_of(folder: str, written: bool) -> tuple[str, ...]:
    """In which lists an entry that is not deleted is shown.

    "sent" is not only a folder: it shows what a person wrote as long as it lies there or, written to oneself, in the inbox.
    """
    shown = written and folder in (FolderName.SENT, FolderName.INBOX)
    if folder == FolderName.SENT:
        return (FolderName.SENT.value,) if shown else ()
    return (str(folder), FolderName.SENT.value) if shown else (str(folder),)


def holders(tx: Connection, tenant_no: int, email_no: int) -> list[int]:
    """The numbers of the accounts that have the letter and have not deleted it."""
    query = (
        select(entry.c.account)
        .where(entry.c.tenant == tenant_no, entry.c.email == email_no, entry.c.deleted.is_(False))
        .order_by(entry.c.account)
    )
    return [int(no) for no in tx.execute(query).scalars()]


def recount(tx: Connection, tenant_no: int) -> None:
    """Count all lists of a tenant anew; for repair, and for tests to compare with."""
    tx.execute(delete(folder_count).where(folder_count.c.tenant == tenant_no))
    counted: dict[tuple[int, str], list[int]] = {}
    query = (
        select(entry.c.account, entry.c.folder, entry.c.written, entry.c.read, func.count())
        .where(entry.c.tenant == tenant_no, entry.c.deleted.is_(False))
        .group_by(entry.c.account, entry.c.folder, entry.c.written, entry.c.read)
    )
    for account_no, folder, written, read, count in tx.execute(query):
        for name in lists_of(folder, written):
            numbers = counted.setdefault((account_no, name), [0, 0])
            numbers[0] += count
            numbers[1] += 0 if read else count
    if counted:
        tx.execute(
            insert(folder_count),
            [
                {"tenant": tenant_no, "account": account_no, "folder": name, "total": total, "unread": unread}
                for (account_no, name), (total, unread) in counted.items()
            ],
        )


def _change(tx: Connection, known: dict[str, Any], flag: str, value: bool | str, lamport: int, origin: str) -> None:
    assert flag in FLAGS
    tenant_no, account_no, email_no = known["tenant"], known["account"], known["email"]
    changed: dict[str, Any] = {flag: value, f"{flag}_lamport": lamport, f"{flag}_origin": origin}
    if flag == "deleted" and not value and not known["folder"]:
        # emptied here (deleted.py), put back at the other end: it needs a place where it is seen
        changed["folder"] = FolderName.ARCHIVE.value
    tx.execute(update(entry).where(entry.c.account == account_no, entry.c.email == email_no).values(changed))
    after = known | changed
    if flag != "starred":
        for state, sign in ((known, -1), (after, 1)):
            if not state["deleted"]:
                lists = lists_of(state["folder"], state["written"])
                _count(tx, tenant_no, account_no, lists, sign, 0 if state["read"] else sign)
    if flag == "deleted" and known["deleted"] != value:
        (remove_holder if value else add_holder)(tx, email_no, account_no)


def _count(tx: Connection, tenant_no: int, account_no: int, lists: Iterable[str], total: int, unread: int) -> None:
    for name in lists:
        _COUNT.run(tx, {"tenant": tenant_no, "account": account_no, "folder": name, "total": total, "unread": unread})


__all__ = ["FLAGS", "deliver", "holders", "lists_of", "merge_flag", "recount", "set_flag"]
