"""How the people of boxes are written outside: ``user@box.domain``, or ``user-box@domain`` where a setting says so.

Inside there is one form, ``user@box.domain``: what leaves is rewritten on its way, what comes is written back before anything looks at it.
Addresses at the flat domain are understood as soon as there is one, whatever letters leave as, so that old ones can be answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lokole.mail.errors import Refused
from lokole.mail.flat import flatten, unflatten
from lokole.mail.model import Address, Contact, Email
from lokole.server.settings import SenderAddresses, ServerSettings


def home(settings: ServerSettings, text: str) -> str:
    """An address as its box has it; any other one as it is."""
    if settings.flat_domain is None:
        return text
    try:
        found = unflatten(Address.parse(text), settings.flat_domain)
    except Refused:
        return text
    return text if found is None else str(found)


def outward(settings: ServerSettings, text: str) -> str:
    """An address as the world gets it; one that would be too long stays that of its box."""
    if settings.flat_domain is None or settings.sender_addresses is not SenderAddresses.FLAT:
        return text
    try:
        found = flatten(Address.parse(text), settings.flat_domain)
    except Refused:
        return text
    return text if found is None else str(found)


def home_letter(settings: ServerSettings, email: Email) -> Email:
    """A letter that came, with the people of boxes as their boxes have them."""
    if settings.flat_domain is None:
        return email
    return _with_addresses(email, lambda text: home(settings, text))


def outward_letter(settings: ServerSettings, email: Email) -> Email:
    """A letter that leaves, with the people of boxes as the world gets them."""
    if settings.sender_addresses is not SenderAddresses.FLAT:
        return email
    return _with_addresses(email, lambda text: outward(settings, text))


def _with_addresses(email: Email, write: Callable[[str], str]) -> Email:
    def written(contact: Contact) -> Contact:
        return replace(contact, address=write(contact.address))

    return replace(
        email,
        sender=written(email.sender),
        to=tuple(map(written, email.to)),
        cc=tuple(map(written, email.cc)),
        reply_to=tuple(map(written, email.reply_to)),
    )
