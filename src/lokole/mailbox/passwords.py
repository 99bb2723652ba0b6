"""Passwords as bcrypt hashes.

bcrypt reads 72 bytes and no more: longer input is cut there, so that hashes of the first Lokole keep their meaning.
"""

from __future__ import annotations

import bcrypt

MIN_COST = 10
_MAX_BYTES = 72
_ROWS = (
    "1234567890" * 3,
    "0123456789" * 3,
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "azertyuiop",
    "asdfghjkl",
    "qsdfghjklm",
)
_COMMON = frozenset(
    [
        "password",
        "passw0rd",
        "motdepasse",
        "nenosiri",
        "iloveyou",
        "jetaime",
        "lokole",
        "village",
        "internet",
        "azerty",
        "qwerty",
    ]
)


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


def easily_guessed(text: str, name: str = "") -> bool:
    """Whether ``text`` is among the first things somebody tries who knows ``name``.

    That is: one character over and over, a row of the keyboard or of the alphabet, the commonest words with or without
    figures behind them, and the name itself.
    """
    plain = "".join(text.casefold().split())
    word = plain.rstrip("0123456789!.")
    rows = [way for row in _ROWS for way in (row, row[::-1])]
    return (
        len(set(plain)) < 3
        or any(plain in row for row in rows)
        or word in _COMMON
        or (bool(name) and word == name.casefold().partition("@")[0].rstrip("0123456789!."))
    )


def _bytes(text: str) -> bytes:
    # a NUL would end the password for some readers of the hash, so it is written as another letter
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace")[:_MAX_BYTES]


# salt and digest of a random password that nobody kept; so that an unknown name costs the time of a known one
_NOBODY = "yk8pCmPtKcIAbv1SpgexfuOiZ/iewCUyp3c36qjkUDxiOYrzr.kSm"
