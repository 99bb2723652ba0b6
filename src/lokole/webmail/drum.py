"""Drum names: each correspondent has a tile of a first letter and five high or low beats.

The beats are computed from the address, so that the same address always looks the same, even to someone who reads little.
All low and all high are left out, which leaves 30 patterns: a tile is a help to the eye and proves nothing.
"""

from __future__ import annotations

import hashlib

_PLACES = ("9", "15.5", "22", "28.5", "35")
PATTERNS = range(1, 31)


def pattern(address: str) -> int:
    """The number of the pattern of ``address``, 1 to 30; case does not count."""
    digest = hashlib.sha256(address.strip().casefold().encode("utf-8", "replace")).digest()
    return PATTERNS[int.from_bytes(digest[:4], "big") % len(PATTERNS)]


def first_letter(name: str, address: str) -> str:
    """What stands on the tile: the first letter or digit of the name, else of the address."""
    for character in name + address:
        if character.isalnum():
            return character.upper()[:1]
    return "?"


def symbols() -> str:
    """The 30 patterns as SVG symbols ``d1`` to ``d30``."""
    return "".join(f'<symbol id="d{n}" viewBox="0 0 44 48"><path d="{_path(n)}"/></symbol>\n' for n in PATTERNS)


def _path(n: int) -> str:
    return "".join(f"M{x} {33 if n >> place & 1 else 39}v3" for place, x in enumerate(_PLACES))
