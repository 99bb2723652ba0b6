"""Whatever brings a new version of the program to a box."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class UpdateState(StrEnum):
    """What became of an update; ``CUT`` is one that ended without a word, as by the power, while the version is the one from before."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Update:
    """The last update. ``version`` is the wished one, empty for the newest; ``said`` the end of what the program said."""

    state: UpdateState
    version: str
    began_at: datetime
    said: str = ""


class Updater(Protocol):
    """One update at a time, which goes on when the program that began it is started anew, and is remembered after that."""

    def is_ready(self) -> bool:
        """Whether what does it is there and may be run."""

    def start(self, version: str) -> str:
        """Begin and return at once: ``started``, or ``busy`` when one is under way; ``version`` empty means the newest.

        Raises Refused with code ``version`` for what is none, and Temporary when it could not begin.
        """

    def last(self) -> Update | None:
        """The one that is under way, else the last one, else None."""
