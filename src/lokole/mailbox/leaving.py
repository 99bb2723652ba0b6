"""Somebody leaves for good: what is theirs goes, what others have stays.

The row of the account stays without anything in it but its name, so that nobody gets the letters of the one before.
"""

from __future__ import annotations

from sqlalchemy import delete, select, update

from lokole.mail.model import Account
from lokole.mailbox.database import Connection
from lokole.mailbox.fulltext import remove_holder
from lokole.mailbox.schema import account, entry, folder, folder_count, session


def remove_account(tx: Connection, person: Account) -> None:
    """Letters in the bag still leave, everybody else keeps theirs."""
    nothing = {"password_hash": None, "display_name": "", "is_admin": False, "roaming": False, "last_login_at": None}
    here = (account.c.tenant == person.tenant, account.c.no == person.no)
    tx.execute(update(account).where(*here).values(removed_day=0, version=account.c.version + 1, **nothing))
    mine = (entry.c.tenant == person.tenant, entry.c.account == person.no)
    for number in tx.execute(select(entry.c.email).where(*mine, entry.c.deleted.is_(False))).scalars().all():
        remove_holder(tx, number, person.no)
    for table in (entry, folder_count, folder, session):
        tx.execute(delete(table).where(table.c.tenant == person.tenant, table.c.account == person.no))
