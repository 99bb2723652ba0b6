"""A person's address book: learned from whom they write to and who writes to them, mended by hand; and their groups.

An address is in it once, under the form by which addresses are compared.
A name that somebody wrote by hand stays; a name that a letter brings fills an empty place only, so that no stranger renames a friend.
What was taken out by hand stays out until the person writes there again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from lokole.mail.errors import Refused
from lokole.mail.model import Account, Address, Contact
from lokole.mailbox.database import Connection
from lokole.mailbox.schema import contact, contact_group
from lokole.mailbox.upsert import insert_or_update
from lokole.mailbox.words import fold, storable

#: an address book is not to be filled by strangers: past this, only writing to somebody adds them
MAX_LEARNED = 2000
MAX_GROUPS = 100
MAX_MEMBERS = 200
_MAX_ADDRESS, _MAX_NAME = 330, 100

_COLUMNS = ("tenant", "account", "address", "name", "uses", "by_hand", "removed")
_USED = insert_or_update(
    contact,
    ["account", "address"],
    "uses = contact.uses + excluded.uses, removed = :no,"
    " name = CASE WHEN contact.name = '' THEN excluded.name ELSE contact.name END",
    _COLUMNS,
)
_MET = insert_or_update(
    contact,
    ["account", "address"],
    "name = CASE WHEN contact.name = '' THEN excluded.name ELSE contact.name END",
    _COLUMNS,
)
_COUNT = (
    select(func.count())
    .select_from(contact)
    .where(contact.c.tenant == bindparam("tenant"), contact.c.account == bindparam("account"))
)
_KNOWN = select(contact.c.name).where(
    contact.c.account == bindparam("account"), contact.c.address == bindparam("address")
)


@dataclass(frozen=True, slots=True)
class Known:
    """A line of the address book."""

    no: int
    address: str
    name: str
    uses: int


@dataclass(frozen=True, slots=True)
class Group:
    """One name for many addresses."""

    no: int
    name: str
    members: tuple[str, ...]


def wrote_to(tx: Connection, person: Account, people: Iterable[Contact]) -> None:
    """The person has written to these."""
    for key, name in _readable(people).items():
        _USED.run(tx, _values(person.tenant, person.no, key, name, uses=1) | {"no": False})


def met(tx: Connection, tenant_no: int, account_no: int, people: Iterable[Contact]) -> None:
    """These have written to the person; asked with every letter that comes, so what is known already costs one look."""
    for key, name in _readable(people).items():
        known = tx.execute(_KNOWN, {"account": account_no, "address": key}).first()
        if known is not None and (known.name or not name):
            continue
        if known is not None or _count(tx, tenant_no, account_no) < MAX_LEARNED:
            _MET.run(tx, _values(tenant_no, account_no, key, name, uses=0))


def list_contacts(tx: Connection, person: Account, *, words: str = "", limit: int | None = None) -> list[Known]:
    """The address book; with ``limit`` those most written to, without it all by name, or those with each of ``words`` in name or address."""
    query = select(contact).where(*_mine(person), contact.c.removed.is_(False))
    if limit is not None:
        query = query.order_by(contact.c.uses.desc(), contact.c.no.desc()).limit(limit)
        return [_known(row) for row in tx.execute(query)]
    wanted = fold(words).split()
    everybody = [_known(row) for row in tx.execute(query)]
    found = [one for one in everybody if all(word in fold(f"{one.name} {one.address}") for word in wanted)]
    return sorted(found, key=lambda one: (fold(one.name or one.address), one.no))


def get_contact(tx: Connection, person: Account, no: int) -> Known | None:
    """One line, or None."""
    row = tx.execute(select(contact).where(*_mine(person), contact.c.no == no, contact.c.removed.is_(False))).first()
    return None if row is None else _known(row)


def put_contact(tx: Connection, person: Account, address: str, name: str, no: int | None = None) -> None:
    """Write a line by hand: a new one, or line ``no`` anew. Raises Refused with code ``address``."""
    key = Address.parse(address).key
    if len(key) > _MAX_ADDRESS:
        raise Refused("the address is too long", code="address")
    if no is not None:
        known = get_contact(tx, person, no)
        if known is not None and known.address != key:
            tx.execute(update(contact).where(*_mine(person), contact.c.no == no).values(removed=True))
    tidy = _tidy(name)
    values = _values(person.tenant, person.no, key, tidy, uses=0) | {"by_hand": True}
    there = tx.execute(select(contact.c.no).where(*_mine(person), contact.c.address == key)).scalar()
    if there is None:
        tx.execute(insert(contact).values(**values))
    else:
        changed = update(contact).where(*_mine(person), contact.c.no == there)
        tx.execute(changed.values(name=tidy, by_hand=True, removed=False))


def remove_contact(tx: Connection, person: Account, no: int) -> bool:
    """Take a line out; False when it is not there."""
    return tx.execute(update(contact).where(*_mine(person), contact.c.no == no).values(removed=True)).rowcount == 1


def list_groups(tx: Connection, person: Account) -> list[Group]:
    """The person's groups by name."""
    rows = tx.execute(select(contact_group).where(*_my_groups(person)).order_by(contact_group.c.key))
    return [_group(row) for row in rows]


def get_group(tx: Connection, person: Account, no: int) -> Group | None:
    """One group, or None."""
    row = tx.execute(select(contact_group).where(*_my_groups(person), contact_group.c.no == no)).first()
    return None if row is None else _group(row)


def put_group(tx: Connection, person: Account, name: str, members: Iterable[str], no: int | None = None) -> None:
    """Write a group: a new one, or group ``no`` anew. ``members`` are valid addresses.

    Raises Refused: ``name`` when there is none or it could be taken for an address, ``taken``, ``members`` (none, or more than 200), ``too-many``.
    """
    tidy = _tidy(name)
    key = fold(tidy)[:_MAX_NAME]
    if not key or any(sign in tidy for sign in '@,;<>"'):
        raise Refused("not a name for a group", code="name")
    addresses = list(dict.fromkeys(Address.parse(one).key for one in members))
    if not 0 < len(addresses) <= MAX_MEMBERS:
        raise Refused("a group has between 1 and 200 members", code="members")
    there = tx.execute(select(contact_group.c.no).where(*_my_groups(person), contact_group.c.key == key)).scalar()
    if there is not None and there != no:
        raise Refused("another group has this name", code="taken")
    values: dict[str, Any] = {"key": key, "name": tidy, "members": ",".join(addresses)}
    if no is not None and get_group(tx, person, no) is not None:
        tx.execute(update(contact_group).where(*_my_groups(person), contact_group.c.no == no).values(**values))
        return
    count = select(func.count()).select_from(contact_group).where(*_my_groups(person))
    if tx.execute(count).scalar_one() >= MAX_GROUPS:
        raise Refused("too many groups", code="too-many")
    tx.execute(insert(contact_group).values(tenant=person.tenant, account=person.no, **values))


def remove_group(tx: Connection, person: Account, no: int) -> bool:
    """Take a group away; False when it is not there."""
    return tx.execute(delete(contact_group).where(*_my_groups(person), contact_group.c.no == no)).rowcount == 1


def find_group(tx: Connection, person: Account, name: str) -> Group | None:
    """The group that somebody who types ``name`` means, or None."""
    key = fold(_tidy(name))[:_MAX_NAME]
    row = tx.execute(select(contact_group).where(*_my_groups(person), contact_group.c.key == key)).first()
    return None if row is None else _group(row)


def _readable(people: Iterable[Contact]) -> dict[str, str]:
    """Names by address, of those whose address is one."""
    found: dict[str, str] = {}
    for one in people:
        try:
            key = Address.parse(one.address).key
        except Refused:
            continue
        if len(key) <= _MAX_ADDRESS:
            found[key] = found.get(key) or _tidy(one.name)
    return found


def _tidy(name: str) -> str:
    """A name on one line, without signs that show nothing."""
    return storable(" ".join("".join(sign if sign.isprintable() else " " for sign in name).split())[:_MAX_NAME])


def _values(tenant_no: int, account_no: int, address: str, name: str, *, uses: int) -> dict[str, Any]:
    return {
        "tenant": int(tenant_no),
        "account": int(account_no),
        "address": address,
        "name": name,
        "uses": uses,
        "by_hand": False,
        "removed": False,
    }


def _count(tx: Connection, tenant_no: int, account_no: int) -> int:
    return int(tx.execute(_COUNT, {"tenant": tenant_no, "account": account_no}).scalar_one())


def _mine(person: Account) -> tuple[Any, ...]:
    return contact.c.tenant == person.tenant, contact.c.account == person.no


def _my_groups(person: Account) -> tuple[Any, ...]:
    return contact_group.c.tenant == person.tenant, contact_group.c.account == person.no


def _known(row: Any) -> Known:
    return Known(int(row.no), row.address, row.name, int(row.uses))


def _group(row: Any) -> Group:
    return Group(int(row.no), row.name, tuple(row.members.split(",")))
