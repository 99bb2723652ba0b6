"""What the organisation says of its place: its name, whom to ask, and which languages are offered. Data, edited in the browser.

Read once and kept until it is changed here: every page asks for it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

from flask import current_app

from lokole.mail.errors import Temporary
from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option, set_option
from lokole.webmail.parts import parts

OPTION = "site"
MAX_PLACE, MAX_CONTACT = 60, 500
_KEPT = "lokole-site"


@dataclass(frozen=True, slots=True)
class Site:
    """``languages`` are codes; none means all. ``language`` is that of people whose browser asks for none of them."""

    place: str = ""
    contact: str = ""
    languages: tuple[str, ...] = ()
    language: str = ""


def site() -> Site:
    """What is said of this box; nothing where there are many tenants, or while the database is out of reach."""
    known = current_app.extensions.get(_KEPT)
    if known is not None:
        return cast(Site, known)
    tenant = parts().tenants.here
    if tenant is None:
        return Site()
    try:
        with parts().ports.database.read() as tx:
            found = get_option(tx, tenant, OPTION, {})
    except Temporary:
        return Site()
    fields = found if isinstance(found, dict) else {}
    codes = fields.get("languages")
    read = Site(
        place=str(fields.get("place", "")),
        contact=str(fields.get("contact", "")),
        languages=tuple(str(code) for code in codes) if isinstance(codes, list) else (),
        language=str(fields.get("language", "")),
    )
    current_app.extensions[_KEPT] = read
    return read


def set_site(tx: Connection, tenant_no: int, wanted: Site) -> None:
    """Keep it; call :func:`changed` when the transaction is durable."""
    set_option(tx, tenant_no, OPTION, asdict(wanted))


def changed() -> None:
    """Read it anew with the next page."""
    current_app.extensions.pop(_KEPT, None)
