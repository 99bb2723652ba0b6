"""The access point that was chosen for the modem of a box: an option, for the pages that show it and for whatever dials."""

from __future__ import annotations

from dataclasses import asdict

from lokole.mail.access_point import AccessPoint
from lokole.mail.errors import Refused
from lokole.mailbox.database import Connection
from lokole.mailbox.options import forget_option, get_option, set_option

OPTION = "access_point"


def get_access_point(tx: Connection, tenant_no: int) -> AccessPoint | None:
    """What was chosen, or None; what cannot be an access point counts as nothing."""
    found = get_option(tx, tenant_no, OPTION)
    if not isinstance(found, dict):
        return None
    try:
        return AccessPoint(**{name: str(found.get(name, "")) for name in AccessPoint.__dataclass_fields__})
    except Refused:
        return None


def set_access_point(tx: Connection, tenant_no: int, wanted: AccessPoint | None) -> None:
    """From the next dialling on; None forgets it."""
    if wanted is None:
        forget_option(tx, tenant_no, OPTION)
    else:
        set_option(tx, tenant_no, OPTION, asdict(wanted))
