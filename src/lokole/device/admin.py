"""Making an administrator, with a password that works once.

The person is made when there is none of that name; who exists keeps everything but the password.
"""

from __future__ import annotations

from lokole.device.box import Box
from lokole.mailbox import accounts
from lokole.mailbox.passwords import hash_password
from lokole.ports.callables import Entropy

#: easily told apart when read from a slip of paper: no 0 o 1 l i
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_PASSWORD_LENGTH = 12


def make_admin(box: Box, name: str) -> str:
    """Make ``name`` an administrator with a new one-time password, which is returned: it has to be changed at the first sign-in.

    Raises Refused with field ``name`` when it cannot be anybody's.
    """
    password = one_time_password(box.ports.entropy)
    hashed = hash_password(password)  # random already: a cost above the default would add nothing
    with box.ports.database.write() as tx:
        person = accounts.find_account(tx, box.tenant, name)
        if person is None:
            person = accounts.create_account(
                tx, box.tenant, name, password_hash=hashed, now=box.ports.clock(), allow_reserved=True
            )
        accounts.set_password(tx, person, hashed, must_change=True)
        accounts.set_admin(tx, person, True)
        accounts.set_suspended(tx, person, False)
    return password


def one_time_password(entropy: Entropy) -> str:
    """Twelve letters in groups of four, 59 bits."""
    letters: list[str] = []
    while len(letters) < _PASSWORD_LENGTH:
        (number,) = entropy(1)
        if number < len(_LETTERS) * (256 // len(_LETTERS)):  # so that every letter is equally likely
            letters.append(_LETTERS[number % len(_LETTERS)])
    return "-".join("".join(letters[at : at + 4]) for at in range(0, _PASSWORD_LENGTH, 4))
