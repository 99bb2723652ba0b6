"""The oracle: who was promised which letter, and what became of it. It uses nothing of the code under test.

Each letter carries a mark of its own in its body (``letter-17-end``), the same mark in every copy of a letter that somebody sent twice;
so the unit is (mark, recipient), and how many letters with that mark somebody is to have.
Mailboxes, quarantine and work are read from the tables with plain SQL.

- *delivered*: the recipient has as many as were accepted, in the mailbox or at the world's server;
- *refused*: it will not come, and somebody who waits for it was told: the writer, the sender outside, or the operator by the dead-letter page;
- *lost*: neither, and a trace of it is left where a person can see it (it still waits, or it is kept apart);
- *silent*: neither, and nothing tells of it;
- *doubled*: somebody has more than were accepted. What the world took twice because its reply was lost, with equal Message-ID, is counted apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lokole.simulate.disk import Disk

MARK = re.compile(r"letter-(\d+)-end")
_SUBJECT = re.compile(r"About (\d+)\.")
_ADDRESS = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+\.[a-z]+")

#: (mark, address)
Pair = tuple[int, str]


def text_of(mark: int) -> str:
    """What stands in the body of a letter with ``mark``."""
    return f"letter-{mark}-end"


def subject_of(mark: int) -> str:
    """What stands in its subject, by which a note about it is known."""
    return f"About {mark}."


@dataclass
class Verdict:
    """What became of all letters, counted in pairs of letter and recipient."""

    letters: int = 0
    delivered: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    silent: int = 0
    reply_lost_repeats: int = 0
    lines: list[str] = field(default_factory=list)


class Ledger:
    """What was accepted from whom for whom."""

    def __init__(self) -> None:
        self.accepted: Counter[Pair] = Counter()
        #: how many of a mark a writer of a box sent: that many are among the sent letters
        self.written: Counter[Pair] = Counter()
        #: refusals that somebody was told before the disk was gone on which they stood
        self.told: set[Pair] = set()
        #: pairs of which some may be gone with a disk that is gone; never more than were accepted
        self.excused: Counter[Pair] = Counter()
        self.told_outside: set[Pair] = set()
        self._last = 0

    def new_mark(self) -> int:
        """A mark that no letter has yet."""
        self._last += 1
        return self._last

    def accept(self, mark: int, recipients: Iterable[str], *, writer: str = "") -> None:
        """Somebody took responsibility for a letter to ``recipients``; ``writer`` is its writer when that is a person of a box."""
        for address in set(recipients):
            self.accepted[mark, address] += 1
        if writer:
            self.written[mark, writer] += 1

    def tell_outside(self, mark: int, address: str) -> None:
        """The sender outside was told that the letter does not reach ``address``."""
        self.told_outside.add((mark, address))

    def excuse(self, pair: Pair) -> None:
        """One of these was on a disk that is gone, and nowhere else."""
        if self.excused[pair] < self.accepted[pair]:
            self.excused[pair] += 1


@dataclass
class Found:
    """What the mailboxes, the world and the server say at the end."""

    #: distinct letters that a recipient has, over all machines that serve them
    held: Counter[Pair] = field(default_factory=Counter)
    #: the most that one machine shows of it
    shown: Counter[Pair] = field(default_factory=Counter)
    #: the most that one machine shows among the sent letters of the writer
    sent: Counter[Pair] = field(default_factory=Counter)
    #: what the world took once more because its reply was lost, with equal Message-ID
    repeats: Counter[Pair] = field(default_factory=Counter)
    refused: set[Pair] = field(default_factory=set)
    #: marks of letters that still wait somewhere, or are kept apart
    visible: set[int] = field(default_factory=set)

    def read_box(self, disk: Disk, domain: str, seen: dict[Pair, set[bytes]]) -> None:
        """Add a box; ``seen`` collects the ids of letters over several machines of one domain."""
        shown: Counter[Pair] = Counter()
        sent: Counter[Pair] = Counter()
        query = (
            "SELECT a.name, e.written, m.id, m.sender_address, m.body FROM entry e"
            " JOIN account a ON a.no = e.account JOIN email m ON m.order_no = e.email ORDER BY m.order_no"
        )
        for name, written, id, sender, body in disk.rows(query):
            address = f"{name}@{domain}"
            if sender.startswith("postmaster@"):
                continue  # a note; refusals_on() reads it
            for mark in set(MARK.findall(body)):
                pair = (int(mark), address)
                if written:
                    sent[pair] += 1
                if not written or _is_to(disk, id, name, domain):
                    shown[pair] += 1
                    seen.setdefault(pair, set()).add(bytes(id))
        for pair, count in shown.items():
            self.shown[pair] = max(self.shown[pair], count)
            self.held[pair] = len(seen[pair])
        for pair, count in sent.items():
            self.sent[pair] = max(self.sent[pair], count)
        self.refused |= refusals_on(disk)
        for (body,) in disk.rows(_WAITING):
            self.visible |= marks_in(body)
        self._read_quarantine(disk)

    def read_server(self, disk: Disk) -> None:
        """Add what the server tells its operator and what it still has to do."""
        for (body,) in disk.rows(_WAITING):
            self.visible |= marks_in(body)
        bodies = dict(disk.rows("SELECT order_no, body FROM email"))
        for kind, ids in disk.rows(
            "SELECT kind, ids FROM job WHERE state != 'done' AND kind IN ('send', 'receive', 'stranger', 'unpack')"
        ):
            for number in re.findall(r'"email":(\d+)', ids):
                self.visible |= marks_in(bodies.get(int(number), ""))
            for key in [key for key in disk.blobs.list() if kind == "receive" and key.rpartition("/")[2] in ids]:
                self.visible |= marks_in(disk.blobs.read(key).decode("latin-1"))
        self._read_quarantine(disk)

    def _read_quarantine(self, disk: Disk) -> None:
        for kind, reason, ref in disk.rows("SELECT kind, reason, raw_ref FROM quarantine"):
            content = disk.blobs.read(ref).decode("latin-1") if ref in set(disk.blobs.list(ref or "")) else ""
            marks = marks_in(content)
            self.visible |= marks
            if kind == "dead-letter" and "nobody" in reason:
                self.refused |= {(mark, address) for mark in marks for address in _ADDRESS.findall(content)}

    def read_world(self, taken: Mapping[Pair, Counter[str]], unheard: Mapping[Pair, Counter[str]]) -> None:
        """Add what servers outside took: for each pair how often each Message-ID came, and how often nobody heard that it was taken.

        Each of the latter excuses one more with the same Message-ID.
        """
        first: dict[tuple[str, str], int] = {}  # a reader shows one letter for each Message-ID
        for pair, ids in taken.items():
            self.held[pair] = sum(first.setdefault((pair[1], message_id), pair[0]) == pair[0] for message_id in ids)
            for message_id, count in ids.items():
                repeats = min(count - 1, unheard.get(pair, Counter())[message_id])
                self.shown[pair] += count - repeats
                self.repeats[pair] += repeats


_WAITING = "SELECT m.body FROM waiting w JOIN email m ON m.order_no = w.email WHERE w.state != 'delivered'"


def refusals_on(disk: Disk) -> set[Pair]:
    """What the people of a box can read there: their letter does not reach an address."""
    found: set[Pair] = set()
    notes = "SELECT subject, body FROM email WHERE sender_address LIKE 'postmaster@%'"
    for subject, body in disk.rows(notes):
        found |= {(int(mark), address) for mark in _SUBJECT.findall(subject) for address in _ADDRESS.findall(body)}
    states = "SELECT m.body, r.address FROM recipient r JOIN email m ON m.order_no = r.email WHERE r.state = 'refused'"
    for body, address in disk.rows(states):
        found |= {(int(mark), address) for mark in MARK.findall(body)}
    return found


def addresses_in(text: str) -> set[str]:
    """What in ``text`` looks like an address."""
    return set(_ADDRESS.findall(text))


def marks_in(text: str) -> set[int]:
    """The marks that stand in ``text``."""
    return {int(mark) for mark in MARK.findall(text)}


def _is_to(disk: Disk, id: bytes, name: str, domain: str) -> bool:
    query = (
        "SELECT 1 FROM recipient r JOIN email m ON m.order_no = r.email WHERE m.id = ? AND r.address = ?"
        " UNION SELECT 1 FROM envelope r JOIN email m ON m.order_no = r.email WHERE m.id = ? AND r.address = ?"
    )
    address = f"{name}@{domain}"
    return bool(disk.rows(query, id, address, id, address))


def judge(ledger: Ledger, found: Found) -> Verdict:
    """Compare what was accepted with what was found."""
    verdict = Verdict()
    for pair, wanted in sorted(ledger.accepted.items()):
        verdict.letters += wanted
        held, shown = found.held[pair], found.shown[pair]
        delivered = min(held, wanted)
        verdict.delivered += delivered
        words = [f"delivered {delivered} of {wanted}"] if delivered or wanted > 1 else []
        if repeats := found.repeats[pair]:
            verdict.reply_lost_repeats += repeats
            words.append(f"repeated {repeats} after a lost reply")
        if shown > wanted:
            verdict.doubled += shown - wanted
            words.append(f"DOUBLED {shown - wanted}")
        missing = wanted - delivered
        if missing and (pair in found.refused or pair in ledger.told_outside or pair in ledger.told):
            verdict.refused += missing
            words.append(f"refused {missing}")
            missing = 0
        excused = min(missing, ledger.excused[pair])
        if excused:
            verdict.letters -= excused
            words.append(f"gone with its disk {excused}")
            missing -= excused
        if missing and pair[0] in found.visible:
            verdict.lost += missing
            words.append(f"LOST {missing}")
        elif missing:
            verdict.silent += missing
            words.append(f"SILENT {missing}")
        verdict.lines.append(f"ledger {pair[0]} to {pair[1]}: {', '.join(words)}")
    for pair, wanted in sorted(ledger.written.items()):
        if found.sent[pair] > wanted:
            verdict.doubled += found.sent[pair] - wanted
            verdict.lines.append(f"ledger {pair[0]} of {pair[1]}: DOUBLED among the sent")
    for pair in sorted(set(found.shown) - set(ledger.accepted)):
        verdict.doubled += found.shown[pair]
        verdict.lines.append(f"ledger {pair[0]} at {pair[1]}: DOUBLED, nobody sent it there")
    return verdict


def problems(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a verdict that should not be there."""
    return (line for line in lines if re.search(r"LOST|SILENT|DOUBLED", line))
