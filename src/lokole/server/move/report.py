"""What a move did: numbers, and the name of everything that could not be taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Count:
    """Of one kind of thing: taken now, here already from an earlier run, and left out because it cannot be read or taken."""

    new: int = 0
    known: int = 0
    bad: int = 0


#: what is counted, and what a person calls it
KINDS = {
    "domains": "domains",
    "people": "people",
    "letters": "letters",
    "waiting": "letters waiting for a box",
    "raw": "messages that had come and were not read",
    "packages": "packages of boxes that were not read",
}


@dataclass(slots=True)
class Report:
    """Filled while things are moved. ``problems`` are (container, name, reason); no reason holds anything of a letter."""

    dry: bool = False
    counts: dict[str, Count] = field(default_factory=lambda: {kind: Count() for kind in KINDS})
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    #: addresses whose password cannot be taken over
    without_password: list[str] = field(default_factory=list)
    #: letters that are here, and in nobody's mailbox because their person was never named to the server
    of_nobody: int = 0
    #: objects of domains that are not moved (now), and packages that boxes may still fetch where they lie
    of_others: int = 0
    for_boxes: int = 0
    #: letters that waited here after an earlier run, and that the box has fetched from the first server since
    fetched_there: int = 0

    def bad(self, kind: str, container: str, name: str, reason: object) -> None:
        """Leave an object out and say so."""
        self.counts[kind].bad += 1
        self.say(container, name, reason)

    def say(self, container: str, name: str, reason: object) -> None:
        """Something of an object could not be taken; the rest was."""
        self.problems.append((container, name, str(reason)))

    @property
    def is_whole(self) -> bool:
        """Whether everything was taken."""
        return not self.problems

    def fields(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "dry_run": self.dry,
            **{kind: {"new": one.new, "known": one.known, "bad": one.bad} for kind, one in self.counts.items()},
            "letters_of_nobody": self.of_nobody,
            "of_other_domains": self.of_others,
            "packages_for_boxes": self.for_boxes,
            "fetched_there": self.fetched_there,
            "without_password": self.without_password,
            "problems": [
                {"container": container, "name": name, "reason": reason} for container, name, reason in self.problems
            ],
            "warnings": self.warnings,
        }

    def sentences(self) -> list[str]:
        """The report for people, a line each."""
        lines = ["Nothing was written: this was a trial." if self.dry else "Everything below is stored."]
        for kind, words in KINDS.items():
            one = self.counts[kind]
            lines.append(f"{words}: {one.new} new, {one.known} here before, {one.bad} left out.")
        for number, words in (
            (self.of_nobody, "letters are for people whom their box never named; they stay as long as any letter."),
            (self.for_boxes, "packages lie ready for boxes; they stay where they are."),
            (self.fetched_there, "letters had been fetched from the first server meanwhile, and wait here no more."),
            (self.of_others, "objects belong to domains that were not moved."),
        ):
            if number:
                lines.append(f"{number} {words}")
        lines += [
            f"No password was taken over for {one}, who cannot sign in in town until the box tells one."
            for one in self.without_password
        ]
        lines += [f"Left out: {container}/{name}: {reason}." for container, name, reason in self.problems]
        return lines + self.warnings
