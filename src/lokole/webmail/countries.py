"""Countries in the reader's language: their names, and those that a search means."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from babel import Locale
from babel.core import get_global

from lokole.mailbox.words import fold
from lokole.webmail.language import zone
from lokole.webmail.parts import parts
from lokole.webmail.words import locale


def name_of(code: str) -> str:
    """The country ``code`` (two letters) as the reader says it, in English where their language has no word for it, else its letters."""
    return _name(code.upper(), locale())


def found(codes: Iterable[str], query: str) -> list[tuple[str, str]]:
    """Code and name of each country with ``query`` in its name, or as its letters, by name; the one where the reader is comes first."""
    wanted, here = fold(query), _here()
    named = [(code, name_of(code)) for code in codes]
    matching = [(code, name) for code, name in named if wanted in fold(name) or wanted == code]
    return sorted(matching, key=lambda one: (one[0] != here, fold(one[1]), one[0]))


def _here() -> str:
    """The country of the reader's time zone, else of the box's; empty when neither has one."""
    territories = get_global("zone_territories")
    found = territories.get(str(zone())) or territories.get(parts().settings.time_zone) or ""
    return str(found).lower()


@lru_cache(maxsize=1024)
def _name(code: str, in_language: str) -> str:
    return Locale.parse(in_language).territories.get(code) or Locale.parse("en").territories.get(code) or code
