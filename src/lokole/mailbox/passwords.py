"""Passwords as bcrypt hashes.

bcrypt reads 72 bytes and no more: longer input is cut there, so that hashes of the first Lokole keep their meaning.
"""

from __future__ import annotations

import bcrypt

MIN_COST = 10
_MAX_BYTES = 72


def hash_password(text: str, cost: int = 12) -> str:
    """A bcrypt hash of ``text`` (UTF-8, cut to 72 bytes) with ``cost`` rounds as a power of two, at least 10."""
    return bcrypt.hashpw(_bytes(text), bcrypt.gensalt(max(cost, MIN_COST))).decode("ascii")


def check_password(text: str, hashed: str | None, cost: int = 12) -> bool:
    """Whether ``text`` is the password behind ``hashed``.

    Without a hash (nobody of that name, or none here) it takes as long as with one of ``cost`` and is False; a damaged hash is False.
    """
    known = hashed is not None
    nobody = f"$2b${max(cost, MIN_COST):02}${_NOBODY}"
    try:
        right = bcrypt.checkpw(_bytes(text), (hashed or nobody).encode("utf-8"))
    except ValueError:
        return False
    return known and right


def needs_rehash(hashed: str, cost: int = 12) -> bool:
    """Whether the hash is weaker than ``cost``, or not written by us: hash the password again at the next right sign-in."""
    kind, _, rest = hashed.removeprefix("$").partition("$")
    rounds = rest.partition("$")[0]
    return kind != "2b" or not rounds.isdecimal() or int(rounds) < max(cost, MIN_COST)


def _bytes(text: str) -> bytes:
    # a NUL would end the password for some readers of the hash, so it is written as another letter
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace")[:_MAX_BYTES]


# salt and digest of a random password that nobody kept; so that an unknown name costs the time of a known one
_NOBODY = "yk8pCmPtKcIAbv1SpgexfuOiZ/iewCUyp3c36qjkUDxiOYrzr.kSm"
