"""Making a stored letter a post of the board, and who may; what hangs there is ``board.py``'s."""

from __future__ import annotations

from datetime import datetime

from lokole.mail.model import Account, EmailNo
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.schema import post
from lokole.mailbox.standing import get_standing
from lokole.mailbox.upsert import insert_new

#: the name whose letters hang on the board
BOARD_NAME = "news"
#: the practice partner, whom the pages of a box answer for (``webmail/practice.py``)
ECHO_NAME = "echo"
_INSERT = insert_new(post)


def make_post(
    tx: Connection,
    tenant_no: int,
    no: EmailNo,
    now: datetime,
    *,
    account: int | None,
    public: bool,
    pinned: bool = False,
    expires_at: datetime | None = None,
) -> None:
    """A stored letter hangs on the board from now on; a repeat changes nothing."""
    values = {
        "tenant": tenant_no,
        "email": no,
        "account": account,
        "public": public,
        "pinned": pinned,
        "posted_at": to_micros(now),
        "expires_at": None if expires_at is None else to_micros(expires_at),
        "removed": False,
    }
    _INSERT.run(tx, values)


def may_post(tx: Connection, person: Account) -> bool:
    """Administrators may, and whom they have allowed."""
    return person.is_admin or get_standing(tx, person).may_post
