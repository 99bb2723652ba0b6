"""A one-time password on a slip of paper, for somebody who has forgotten their own.

It counts once, and only within some days of the box (``days.py``). While it is out, no older way in counts,
and whoever came in with it first chooses a way of their own.
"""

from __future__ import annotations

from sqlalchemy import insert, select

from lokole.mail.model import Account
from lokole.mailbox.accounts import set_password
from lokole.mailbox.database import Connection
from lokole.mailbox.days import today
from lokole.mailbox.schema import way_in
from lokole.mailbox.ways import PICTURES_WAY, PIN, forget_ways
from lokole.ports.callables import Entropy

SLIP = "slip"
#: after so many days of the box a slip is only paper
VALID_DAYS = 7
#: easily told apart when read from a slip of paper: no 0 o 1 l i
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 3, 4


def one_time_password(entropy: Entropy) -> str:
    """Twelve letters in groups of four, 59 bits."""
    letters: list[str] = []
    while len(letters) < _GROUPS * _GROUP:
        (number,) = entropy(1)
        if number < len(_LETTERS) * (256 // len(_LETTERS)):  # so that every letter is equally likely
            letters.append(_LETTERS[number % len(_LETTERS)])
    return "-".join("".join(letters[at : at + _GROUP]) for at in range(0, len(letters), _GROUP))


def as_typed(text: str) -> str:
    """The password as it was printed, from what somebody copied: case, blanks and dashes do not count."""
    plain = "".join(letter for letter in text.casefold() if letter in _LETTERS)
    return "-".join(plain[at : at + _GROUP] for at in range(0, len(plain), _GROUP))


def issue_slip(tx: Connection, person: Account, hashed: str) -> None:
    """``hashed`` is of the one-time password; older ways in and all sessions end here, an older slip too."""
    set_password(tx, person, None, must_change=True)
    forget_ways(tx, person, PIN, PICTURES_WAY, SLIP)
    tx.execute(
        insert(way_in).values(
            tenant=person.tenant, account=person.no, kind=SLIP, hash=hashed, day=today(tx, person.tenant)
        )
    )


def slip_hash(tx: Connection, person: Account) -> str | None:
    """The hash of the slip that is out for this person and still counts."""
    found: str | None = tx.execute(
        select(way_in.c.hash).where(
            way_in.c.tenant == person.tenant,
            way_in.c.account == person.no,
            way_in.c.kind == SLIP,
            way_in.c.day >= today(tx, person.tenant) - VALID_DAYS,
        )
    ).scalar()
    return found


def is_unused(tx: Connection, person: Account) -> bool:
    """Whether nobody has used the slip that is out for this person: nothing but it, or a new one, brings them in, however old it is."""
    here = (way_in.c.tenant == person.tenant, way_in.c.account == person.no, way_in.c.kind == SLIP)
    return tx.execute(select(way_in.c.kind).where(*here)).first() is not None


def use_slip(tx: Connection, person: Account) -> bool:
    """The slip is used up; False when somebody else was faster."""
    there = slip_hash(tx, person) is not None
    forget_ways(tx, person, SLIP)
    return there
