"""A one-time password on a slip of paper, for somebody who has none or has forgotten it."""

from __future__ import annotations

from lokole.mail.model import Account
from lokole.mailbox.accounts import set_password
from lokole.mailbox.database import Connection
from lokole.ports.callables import Entropy

#: after so many days a slip is only paper
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


def issue_slip(tx: Connection, person: Account, hashed: str) -> None:
    """``hashed`` is of the one-time password; the older one counts no more and all sessions end."""
    set_password(tx, person, hashed, must_change=True)
