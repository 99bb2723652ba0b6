"""What goes wrong, and when: faults are armed before a night's work and strike at a step that is drawn with them.

Everything that can fail asks :meth:`Chaos.at` at each of its steps. A *pool* is a row of steps of one kind
(the disk of a box, the requests on the line); an armed fault counts the steps of its pool and strikes at one of them.
How many steps a pool has is learned from the nights before, so that most faults strike.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

#: kind of fault to the pool whose steps it counts
KINDS = {
    "request-lost": "request",  # the server never hears it
    "request-cut": "request",  # half of it arrives
    "request-twice": "request",  # something between repeats it; the second answer comes back
    "request-replayed": "request",  # somebody sends an old one again first
    "answer-lost": "answer",  # the server has acted
    "answer-cut": "answer",  # part of the answer arrives
    "box-dies": "box",  # power cut
    "box-full": "box",  # the disk takes nothing for some steps
    "box-clock": "box",  # jumps by years until the box is started anew
    "server-dies": "server",
    "server-full": "server",
    "server-clock": "server",
    "mail-later": "send",  # the recipient's server says 4xx
    "mail-reply-lost": "send",  # it has taken the letter, and its reply is lost
    "post-twice": "post",  # the provider repeats a post that was answered
    "post-answer-lost": "post",  # the provider does not hear our answer
    "box-restored": "night",  # a backup of some nights ago is put back
    "box-cloned": "night",  # a copy of the card goes on beside the box
}
#: these come once in a while only
RARE = frozenset(("box-restored", "box-cloned"))
_RARELY = 0.06
MOST = 3


class PowerCut(BaseException):
    """The machine stops here. No handler of the code under test may catch it, as none could."""


@dataclass(slots=True)
class Fault:
    """One fault; ``step`` is the step of its pool at which it strikes, ``dice`` a number of its own from 0 to 1."""

    kind: str
    step: int
    dice: float


class Chaos:
    """The faults of one simulation. ``kinds`` are those that may happen; ``tell`` writes a line into the trace."""

    def __init__(self, rng: random.Random, kinds: Collection[str], tell: Callable[[str], None]) -> None:
        self._rng = rng
        self._often = [kind for kind in KINDS if kind in kinds and kind not in RARE]
        self._rare = [kind for kind in KINDS if kind in kinds and kind in RARE]
        self._tell = tell
        self._armed: list[Fault] = []
        self._counted: Counter[str] = Counter()
        self._usual: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()

    def arm(self) -> None:
        """One to three faults for what comes now; those that have not struck yet are forgotten."""
        self.disarm()
        if not self._often and not self._rare:
            return
        chosen = []
        for _ in range(self._rng.randint(1, MOST)):
            rarely = bool(self._rare) and self._rng.random() < _RARELY
            if rarely or self._often:
                chosen.append(self._rng.choice(self._rare if rarely else self._often))
        for kind in chosen:
            usual = max(1, self._usual[KINDS[kind]])
            self._armed.append(Fault(kind, self._rng.randint(1, usual), self._rng.random()))

    def disarm(self) -> None:
        """Nothing more goes wrong until :meth:`arm`."""
        for pool, count in self._counted.items():
            self._usual[pool] = max(count, self._usual[pool] * 3 // 4)
        self._armed.clear()
        self._counted.clear()

    def at(self, pool: str, where: str) -> Fault | None:
        """One step of ``pool``, called ``where`` in the trace; the fault that strikes at it, or None."""
        self._counted[pool] += 1
        for fault in self._armed:
            if KINDS[fault.kind] == pool and fault.step <= self._counted[pool]:
                self._armed.remove(fault)
                self.struck[fault.kind] += 1
                self._tell(f"FAULT {fault.kind} at {where}")
                return fault
        return None


def kinds_of(text: str) -> frozenset[str]:
    """``none``, ``all`` or names with commas between, each of which may be a pool; raises ValueError naming what is unknown."""
    if text == "none":
        return frozenset()
    if text == "all":
        return frozenset(KINDS)
    found: set[str] = set()
    for name in (part.strip() for part in text.split(",")):
        matching = {kind for kind, pool in KINDS.items() if name in (kind, pool)}
        if not matching:
            raise ValueError(f"no such fault: {name}; known are {', '.join(KINDS)}")
        found |= matching
    return frozenset(found)
