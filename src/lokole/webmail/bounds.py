"""How much a letter of one person may carry: what the form takes, and what the people who look after the box have set.

The form says it before anything is sent, its script while files are chosen; that nothing more leaves is the rule of ``mailbox/allowances.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lokole.mail.errors import Refused
from lokole.mail.model import Account, Contact
from lokole.mailbox import allowances
from lokole.mailbox.contacts import Group
from lokole.mailbox.database import Connection
from lokole.webmail.parts import parts
from lokole.webmail.refusals import why_not_sent
from lokole.webmail.sheet import MAX_FILES
from lokole.webmail.words import gettext


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sizes in bytes, text and files together: ``here`` for people of the box, ``world`` for everybody else, never more than that.

    ``shut`` is the sentence that says why nothing of this person goes into the world now, or nothing; ``left`` how many letters may today, None without a bound.
    ``room`` is whether what is left of the person's own room is what bounds a letter.
    """

    here: int
    here_files: int
    world: int
    world_files: int
    shut: str = ""
    left: int | None = None
    room: int | None = None

    @property
    def differ(self) -> bool:
        """Whether letters into the world may carry less, and may go at all."""
        return not self.shut and (self.world, self.world_files) != (self.here, self.here_files)

    @property
    def shown(self) -> tuple[int, int]:
        """Bytes and files that the form counts against as long as nobody has said for whom the letter is."""
        return (self.here, self.here_files) if self.shut else (self.world, self.world_files)

    @property
    def many(self) -> str:
        """The sentence for too many files into the world."""
        return _said("letter-files", self.world_files)

    @property
    def large(self) -> str:
        """The sentence for too many bytes into the world."""
        return _said("letter-size", self.world)

    def why_not(self, size: int, files: int, *, outwards: bool) -> str:
        """What is too much of a letter of ``size`` bytes with so many files, in a sentence; empty when it may go."""
        if outwards and self.shut:
            return self.shut
        if size > self.here:
            return (
                _said("full", self.room)
                if self.room is not None
                else gettext("These files are too large together. Take fewer or smaller ones.")
            )
        if files > self.here_files:
            return gettext("These are too many files. Take fewer.")
        if outwards and size > self.world:
            return self.large
        return self.many if outwards and files > self.world_files else ""


def bounds_for(tx: Connection, person: Account) -> Bounds:
    """What holds for a letter of ``person`` now."""
    most = parts().settings.max_upload_bytes
    allowed = allowances.allowed(tx, person, parts().ports.clock())
    full = allowed.room_bytes is not None and allowed.room_bytes < most
    here = min(most, max(0, allowed.room_bytes or 0)) if full else most
    shut = why_not_sent(allowed.shut) if allowed.shut is not None else None
    return Bounds(
        here=here,
        here_files=MAX_FILES,
        world=min(here, allowed.letter_bytes or here),
        world_files=min(MAX_FILES, allowed.files or MAX_FILES),
        shut=shut or "",
        left=None if allowed.shut is not None else allowed.letters_left,
        room=allowed.quota_bytes if full else None,
    )


def goes_out(people: Iterable[Contact], person: Account) -> bool:
    """Whether one of ``people`` is not served where ``person`` is."""
    return any(one.address.rpartition("@")[2].lower() != person.domain for one in people)


def group_goes_out(group: Group, person: Account) -> bool:
    """Whether somebody of a group is not served where ``person`` is."""
    return goes_out((Contact(one) for one in group.members), person)


def _said(code: str, bound: int) -> str:
    return why_not_sent(Refused(code, code=code, field=str(bound))) or ""
