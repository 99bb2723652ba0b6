"""Whom a letter is for: what somebody typed into To, Copy and Hidden copy, read, checked and, where it looks like a mistake, asked about.

A bare name is a group of the person's address book, somebody of this box, or a full name that only one person has.
The page asks here when the form is sent, and its script while one types.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

from lokole.mail.errors import Refused
from lokole.mail.model import Account, Address, Contact
from lokole.mail.near import near_domain, near_names
from lokole.mailbox import accounts, contacts
from lokole.mailbox.database import Connection
from lokole.mailbox.posting import BOARD_NAME
from lokole.mailbox.words import fold
from lokole.webmail import practice
from lokole.webmail.words import gettext

_SPLIT = re.compile(r"[,;\r\n]+")
_NAMED = re.compile(r"\s*\"?(.*?)\"?\s*<([^<>]*)>\s*")
#: past this many mistakes in one field the first ones are enough to say
_MOST_SAID = 5
#: people of a box of whom a full name may be meant
_MOST_PEOPLE = 5_000
#: offers in one field
_MOST_OFFERED = 6


@dataclass(slots=True)
class Checked:
    """One field read: whom it names, what is wrong with it, and offers (what was typed, what may be meant).

    ``doubtful`` are valid addresses that look like mistakes.
    """

    people: tuple[Contact, ...] = ()
    errors: list[str] = field(default_factory=list)
    near: list[tuple[str, str]] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


class Names:
    """The names of a box's people, fetched once and only when somebody may be meant by a mistake."""

    def __init__(self, tx: Connection, person: Account) -> None:
        self._tx, self._person = tx, person
        self._names: list[str] | None = None
        self._full: dict[str, list[Contact]] | None = None

    def near(self, name: str) -> list[str]:
        if self._names is None:
            everybody = accounts.list_accounts(self._tx, self._person.tenant)
            self._names = [one.name for one in everybody if not one.suspended]
        return near_names(name, self._names)

    def called(self, full_name: str) -> list[Contact]:
        """Who has this full name, of the person's address book and of people here who are in the directory."""
        if self._full is None:
            here, _ = accounts.some_accounts(self._tx, self._person.tenant, only_listed=True, limit=_MOST_PEOPLE)
            found: dict[str, dict[str, Contact]] = {}
            for name, address in (
                *((one.display_name, str(one.address)) for one in here),
                *((one.name, one.address) for one in contacts.list_contacts(self._tx, self._person)),
            ):
                if name:
                    found.setdefault(fold(name), {}).setdefault(fold(address), Contact(address, name))
            self._full = {name: list(people.values()) for name, people in found.items()}
        return self._full.get(fold(" ".join(full_name.split())), [])


def check(tx: Connection, person: Account, text: str, names: Names | None = None) -> Checked:
    """Read one field."""
    result, names = Checked(), names or Names(tx, person)
    found: dict[str, Contact] = {}
    wrong = 0
    for part in parts_of(text):
        one = Checked(people=_read(tx, person, part, names, result))
        for contact in one.people:
            found.setdefault(Address.parse(contact.address).key, contact)
        if not one.people:
            wrong += 1
    del result.errors[_MOST_SAID:]
    if wrong > _MOST_SAID:
        result.errors.append(gettext("And %(n)s more.", n=wrong - _MOST_SAID))
    del result.near[_MOST_OFFERED:]
    result.people = tuple(found.values())
    return result


def parts_of(text: str) -> list[str]:
    """What stands between commas."""
    return [part.strip() for part in _SPLIT.split(text) if part.strip()]


def put_in_place(text: str, typed: str, meant: str) -> str:
    """The field with ``meant`` where ``typed`` stood."""
    changed = []
    for part in parts_of(text):
        named = _NAMED.fullmatch(part)
        if part == typed:
            changed.append(meant)
        elif named and named[2].strip() == typed:
            changed.append(f"{named[1].strip()} <{meant}>" if named[1].strip() else meant)
        else:
            changed.append(part)
    return ", ".join(changed)


def _read(tx: Connection, person: Account, part: str, names: Names, into: Checked) -> tuple[Contact, ...]:
    """Whom one part of a field means; nobody, with a sentence in ``into``, when it is a mistake."""
    named = _NAMED.fullmatch(part)
    name, text = (named[1].strip(), named[2].strip()) if named else ("", part)
    if named is None and "@" not in text:
        group = contacts.find_group(tx, person, text)
        if group is not None:
            return tuple(Contact(member) for member in group.members)
    try:
        address = Address.parse(text if "@" in text else f"{text}@{person.domain}")
    except Refused:
        if named is None and "@" not in text and (meant_people := names.called(text)):
            return _who_of(meant_people, text, into)
        _say_what_is_wrong(text[:80], person, into)
        return ()
    if address.domain == person.domain:
        known = (
            address.local.casefold() == BOARD_NAME
            or practice.is_here(address.local)
            or accounts.find_account_no(tx, person.tenant, address.local)
        )
        if not known and named is None and "@" not in text and (meant_people := names.called(text)):
            return _who_of(meant_people, text, into)
        if not known:
            shown = address.local[:64]
            meant_here = names.near(address.local)
            into.near += [(text, f"{one}@{person.domain}") for one in meant_here]
            into.errors.append(
                gettext("Nobody here is called “%(name)s”. Touch the name below if you mean it.", name=shown)
                if meant_here
                else gettext("Nobody here is called “%(name)s”. Ask them for their name in Lokole.", name=shown)
            )
            return ()
    else:
        meant = near_domain(address.domain, person.domain)
        if meant:
            into.near.append((text, f"{address.local}@{meant}"))
            into.doubtful.append(address.key)
    shown_name = "".join(sign for sign in name if sign.isprintable())
    return (Contact(str(address), shown_name[:100]),)


def _who_of(people: list[Contact], text: str, into: Checked) -> tuple[Contact, ...]:
    """The only one who has this name; nobody, and all of them as offers, when there are several."""
    if len(people) == 1:
        return tuple(people)
    into.near += [(text, one.address) for one in people]
    into.errors.append(gettext("Several people are called “%(name)s”. Touch the one you mean.", name=text[:80]))
    return ()


def _say_what_is_wrong(text: str, person: Account, into: Checked) -> None:
    shown = "".join(sign if sign.isprintable() else "�" for sign in text)
    local, at, domain = text.rpartition("@")
    meant = near_domain(domain, person.domain) if at else ""
    if meant:
        with suppress(Refused):
            into.near.append((text, str(Address.parse(f"{local}@{meant}"))))
    if at and local and domain and "." not in domain:
        into.errors.append(gettext("“%(address)s” lacks its end, for example .com", address=shown))
    else:
        into.errors.append(gettext("“%(address)s” is not an address. Write it like name@example.com", address=shown))


def what_is_doubtful(address: str) -> str:
    """The question about a valid address that looks like a mistake."""
    return gettext("Is “%(address)s” right? If it is, press the button once more.", address=address)
