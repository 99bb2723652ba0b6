"""A person's own folders: made, renamed and taken away by that person; a letter is never lost with its folder.

A letter names its folder by ``id``, which no rename changes.
For a person with roaming on both ends know the folders: a name carries (lamport, origin) as a flag does, and the highest is right.
The folders that everybody has are ``FolderName``; deleted letters are no folder but a flag (``deleted.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from lokole.mail.errors import BadPackage, NotFound, Refused
from lokole.mail.model import Account, FolderName
from lokole.mailbox import outbound
from lokole.mailbox.accounts import find_account_no
from lokole.mailbox.database import Connection
from lokole.mailbox.identity import next_lamport, observe_lamport
from lokole.mailbox.lists import set_flag
from lokole.mailbox.schema import entry, folder
from lokole.mailbox.upsert import insert_or_update
from lokole.mailbox.words import fold, storable
from lokole.ports.callables import Entropy
from lokole.sync.bodies import MAX_LAMPORT
from lokole.sync.ids import SERVER_ORIGIN
from lokole.sync.records import RequestRecord

MAX_FOLDERS = 100
MAX_NAME_CHARS = 60
#: of one person at the other end, those taken away included
MOST_TOLD = 1000
#: the word for it between the two ends
REQUEST = "folder"
_OWN, _GONE = "own-", ""
_MAX_ID_CHARS, _MAX_ORIGIN_CHARS = 32, 64
_PUT = insert_or_update(
    folder,
    ["account", "id"],
    "name = excluded.name, lamport = excluded.lamport, origin = excluded.origin"
    " WHERE excluded.lamport > folder.lamport"
    " OR (excluded.lamport = folder.lamport AND excluded.origin > folder.origin)",
    ["tenant", "account", "id", "name", "lamport", "origin"],
)


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """One of a person's own folders."""

    id: str
    name: str


def list_folders(tx: Connection, person: Account) -> list[OwnFolder]:
    """The person's own folders, by name."""
    query = select(folder.c.id, folder.c.name).where(
        folder.c.tenant == person.tenant, folder.c.account == person.no, folder.c.name != _GONE
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


def create_folder(tx: Connection, person: Account, name: str, entropy: Entropy, origin: str) -> OwnFolder:
    """A new folder; ``origin`` is this installation's device id, or ``server``. Raises Refused, field ``name``: ``empty``, ``long``, ``taken`` or ``many``."""
    known = list_folders(tx, person)
    made = OwnFolder(_OWN + entropy(8).hex(), _good_name(name, known))
    if len(known) >= MAX_FOLDERS:
        raise Refused("enough folders", code="many", field="name")
    _keep(tx, person, made.id, made.name, origin)
    return made


def rename_folder(tx: Connection, person: Account, id: str, name: str, origin: str) -> None:
    """Another name for a folder; raises NotFound, and Refused as :func:`create_folder`."""
    find_folder(tx, person, id)
    good = _good_name(name, [one for one in list_folders(tx, person) if one.id != id])
    _keep(tx, person, id, good, origin)


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
    _keep(tx, person, id, _GONE, origin)
    return len(letters)


def take_folder(tx: Connection, tenant_no: int, told: RequestRecord) -> bool:
    """Take in what was done to a folder at the other end (protocol 7.7); False when it lost, or is about nobody known here.

    Raises BadPackage when it is not what the protocol says.
    """
    said = [told.body.get(name) for name in ("account", "id", "name", "origin")]
    lamport = told.body.get("lamport")
    if not all(isinstance(one, str) for one in said) or type(lamport) is not int or not 0 <= lamport <= MAX_LAMPORT:
        raise BadPackage("a folder is not told as it should be")
    name, id, shown, origin = map(str, said)
    if (
        not id.startswith(_OWN)
        or len(id) > _MAX_ID_CHARS
        or len(shown) > MAX_NAME_CHARS
        or len(origin) > _MAX_ORIGIN_CHARS
    ):
        raise BadPackage("a folder is longer than it may be")
    observe_lamport(tx, tenant_no, lamport)
    account_no = find_account_no(tx, tenant_no, name)
    if account_no is None:
        return False
    theirs = set(
        tx.execute(select(folder.c.id).where(folder.c.tenant == tenant_no, folder.c.account == account_no)).scalars()
    )
    if storable(id) not in theirs and len(theirs) >= MOST_TOLD:
        raise BadPackage("more folders than anybody has")
    return _put(tx, tenant_no, account_no, OwnFolder(storable(id), storable(shown)), lamport, storable(origin))


def _keep(tx: Connection, person: Account, id: str, name: str, origin: str) -> None:
    lamport = next_lamport(tx, person.tenant)
    _put(tx, person.tenant, person.no, OwnFolder(id, name), lamport, origin)
    if person.roaming:
        body = {"account": person.name, "id": id, "name": name, "lamport": lamport, "origin": origin}
        told = RequestRecord(REQUEST, f"{person.name}/{id}", body)
        outbound.put(tx, person.tenant, "down" if origin == SERVER_ORIGIN else "up", told, version=lamport)


def _put(tx: Connection, tenant_no: int, account_no: int, made: OwnFolder, lamport: int, origin: str) -> bool:
    values = {
        "tenant": tenant_no,
        "account": account_no,
        "id": made.id,
        "name": made.name,
        "lamport": lamport,
        "origin": origin,
    }
    return _PUT.run(tx, values) == 1


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
