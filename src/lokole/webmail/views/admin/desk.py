"""What all screens of the people who look after a box share: the blueprint, and the log of what they do.

That only administrators come here is a rule of ``webmail/access.py``, for the whole blueprint.
"""

from __future__ import annotations

from flask import Blueprint, abort

from lokole.mail.model import Account, AccountNo
from lokole.mailbox import accounts, audit
from lokole.mailbox.database import Connection
from lokole.webmail import access
from lokole.webmail.parts import parts

blueprint = Blueprint("admin", __name__)


def note(tx: Connection, act: str, subject: str = "", detail: str = "") -> None:
    """The one who asks does ``act``: written down in the transaction that does it."""
    audit.note_act(tx, access.account(), act, parts().ports.clock(), subject=subject, detail=detail)


def one_person(tx: Connection, no: int, *, other: bool = False) -> Account:
    """Somebody of this box; with ``other`` 403 for the one who asks, since nobody shuts themselves out."""
    found = accounts.get_account(tx, access.account().tenant, AccountNo(no))
    if other and found.no == access.account().no:
        abort(403)
    return found
