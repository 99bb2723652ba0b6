"""Asking what is to be thought of a letter from outside before it is taken in: is its sender proven, is it junk, should it come again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Posted:
    """A letter as SMTP brought it; ``client`` is the address that the connection came from and ``helo`` its name, both empty when nobody knows."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    client: str = ""
    helo: str = ""


class Advice(Enum):
    """What should become of a letter. None of it loses one."""

    TAKE = "take"
    JUNK = "junk"  # taken, and kept apart
    LATER = "later"  # not now, the sender comes again
    GREYLIST = "greylist"  # not at the first try


@dataclass(frozen=True, slots=True)
class Opinion:
    """``spf_passed``: the client may send for the envelope sender. ``signers``: the domains that signed (DKIM), or that DMARC has proven.

    ``score`` is what a filter gave, higher for junk; None when none was asked.
    """

    spf_passed: bool = False
    signers: frozenset[str] = frozenset()
    score: float | None = None
    advice: Advice = Advice.TAKE


NO_OPINION = Opinion()


class Judge(Protocol):
    """Has an opinion of each letter; raises Temporary when it has none just now. A letter may be shown more than once."""

    def judge(self, letter: Posted) -> Opinion:
        """What it thinks; it changes nothing."""
