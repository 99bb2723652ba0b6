"""A person's own folders: made, renamed and taken away by that person; a letter is never lost with its folder.

A letter names its folder by ``id``, which no rename changes.
The folders that everybody has are ``FolderName``; deleted letters are no folder but a flag (``deleted.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account, FolderName
from lokole.mailbox.database import Connection
from lokole.mailbox.lists import set_flag
from lokole.mailbox.schema import entry, folder
from lokole.mailbox.words import fold, storable
from lokole.ports.callables import Entropy

MAX_FOLDERS = 100
MAX_NAME_CHARS = 60
_OWN = "own-"


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """One of a person's own folders."""

    id: str
    name: str


def list_folders(tx: Connection, person: Account) -> list[OwnFolder]:
    """The person's own folders, by name."""
    query = select(folder.c.id, folder.c.name).where(
        folder.c.tenant == person.tenant, folder.c.account == person.no, folder.c.name != ""
    )
    found = [OwnFolder(row.id, row.name) for row in tx.execute(query)]
    return sorted(found, key=lambda one: (fold(one.name), one.id))


def find_folder(tx: Connection, person: Account, id: str) -> OwnFolder:
    """The person's own folder ``id``; raises NotFound."""
    for one in list_folders(tx, person):
        if one.id == id:
            return one
    raise NotFound("no such folder")


def is_folder(tx: Connection, person: Account, id: str) -> bool:
    """Whether a letter of this person may lie in ``id``: a folder of everybody's, or one of their own."""
    return id in (FolderName.INBOX, FolderName.ARCHIVE) or any(one.id == id for one in list_folders(tx, person))


def create_folder(tx: Connection, person: Account, name: str, entropy: Entropy) -> OwnFolder:
    """A new folder; raises Refused, field ``name``: ``empty``, ``long``, ``taken`` or ``many``."""
    known = list_folders(tx, person)
    made = OwnFolder(_OWN + entropy(8).hex(), _good_name(name, known))
    if len(known) >= MAX_FOLDERS:
        raise Refused("enough folders", code="many", field="name")
    tx.execute(insert(folder).values(tenant=person.tenant, account=person.no, id=made.id, name=made.name))
    return made


def rename_folder(tx: Connection, person: Account, id: str, name: str) -> None:
    """Another name for a folder; raises NotFound, and Refused as :func:`create_folder`."""
    find_folder(tx, person, id)
    good = _good_name(name, [one for one in list_folders(tx, person) if one.id != id])
    tx.execute(
        update(folder)
        .where(folder.c.tenant == person.tenant, folder.c.account == person.no, folder.c.id == id)
        .values(name=good)
    )


def delete_folder(tx: Connection, person: Account, id: str, origin: str) -> int:
    """Take a folder away: its letters go to the archive, deleted ones too should they be put back. Returns how many moved.

    Raises NotFound.
    """
    find_folder(tx, person, id)
    letters = (
        tx.execute(
            select(entry.c.email).where(
                entry.c.tenant == person.tenant, entry.c.account == person.no, entry.c.folder == id
            )
        )
        .scalars()
        .all()
    )
    for email_no in letters:
        set_flag(tx, person, email_no, "folder", FolderName.ARCHIVE.value, origin)
    tx.execute(delete(folder).where(folder.c.tenant == person.tenant, folder.c.account == person.no, folder.c.id == id))
    return len(letters)


def _good_name(name: str, others: list[OwnFolder]) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in storable(name))
    good = " ".join(shown.split())
    if not good:
        raise Refused("a folder needs a name", code="empty", field="name")
    if len(good) > MAX_NAME_CHARS:
        raise Refused("this name is too long", code="long", field="name")
    if any(fold(one.name) == fold(good) for one in others):
        raise Refused("there is such a folder already", code="taken", field="name")
    return good
