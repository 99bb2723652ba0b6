"""Addresses of people of many boxes at one domain: ``user@box.domain`` written as ``user-box@domain``, and back.

A dash in either part is doubled, so a single dash parts them: a name of a box never begins with a dash (RFC 1035 section 2.3.1),
so of a row of dashes the last one is that dash when their number is odd. No two people can meet in one address,
as ``a-b@c`` and ``a@b-c`` did at the first Lokole.
"""

from __future__ import annotations

import re

from lokole.mail.errors import Refused
from lokole.mail.model import Address, normal_domain

# RFC 5321 section 4.5.3.1.1
_MAX_LOCAL = 64
_PARTED = re.compile(r"((?:[^-]|--)+)-((?:[^-]|--)+)")


def flatten(address: Address, root: str) -> Address | None:
    """``user-box@root`` for ``user@box.root``; None when it is not below ``root``, or would be longer than 64 characters."""
    box = address.domain.removesuffix(f".{root}")
    if box == address.domain:
        return None
    local = f"{address.local.replace('-', '--')}-{box.replace('-', '--')}"
    return Address(local, root) if len(local) <= _MAX_LOCAL else None


def unflatten(address: Address, root: str) -> Address | None:
    """The address that :func:`flatten` made this one of; None when it made it of none."""
    if address.domain != root:
        return None
    found = _PARTED.fullmatch(address.local)
    if found is None:
        return None
    user, box = (part.replace("--", "-") for part in found.groups())
    try:
        home = Address.parse(f"{user}@{normal_domain(f'{box}.{root}')}")
    except Refused:
        return None
    again = flatten(home, root)
    return home if again is not None and again.key == address.key else None
