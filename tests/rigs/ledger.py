"""The oracle: what people and senders were promised, and what both ends and the world have in the end.

It stands outside the code under test: it reads the databases with the standard library and the blobs as files.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.rigs import world
from tests.rigs.place import DOMAIN, Place, Stuck, query, until_idle


@dataclass(frozen=True)
class Promise:
    """A letter that somebody was told is on its way: ``token`` is its subject, ``file`` the digest of its only file.

    ``people`` are those of the box who must have it in the inbox, ``outside`` the addresses in the world, ``writer`` who wrote it here.
    """

    token: str
    people: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    writer: str | None = None
    file: str | None = None


#: threads of the server that may have a letter in their hands when it is killed
WORKERS = 2
#: what the box itself writes to everybody who signs up
WELCOME = "Welcome to Lokole"


@dataclass
class Ledger:
    """All promises of one trial. ``maybe`` were begun and not answered: they may be there once, or not at all."""

    promises: list[Promise] = field(default_factory=list)
    maybe: list[Promise] = field(default_factory=list)

    def copy(self) -> Ledger:
        return Ledger(list(self.promises), list(self.maybe))


@dataclass
class Verdict:
    """What is wrong, each in a line; and how often the world got one letter twice under one Message-ID because the server broke."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    repeated: int = 0

    @property
    def bad(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.broken]


def settle(place: Place, *, rounds: int = 8, seconds: float = 60) -> None:
    """Sync until box and server have nothing more to say to each other; ``lokole server`` runs. Raises Stuck."""
    told, found = [], dict[str, Any]()
    for _ in range(rounds):
        end = time.monotonic() + seconds
        while (found := place.sync(seconds=seconds)).get("result") == "busy" and time.monotonic() < end:
            time.sleep(0.1)  # the box exchanges by itself just now
        told.append(found.get("result"))
        until_idle(place)
        if found.get("result") == "ok" and found["waiting"] == 0 and not _waits(place):
            return
        time.sleep(0.05)
    raise Stuck(f"box and server do not come to an end: {told} {_waits(place)} {found}")


def _waits(place: Place) -> list[str]:
    box, server = place.databases()
    found = [
        f"box {row}" for row in query(box, "SELECT state, count(*) FROM waiting WHERE state <> 'delivered' GROUP BY 1")
    ]
    return found + [
        f"server {row}"
        for row in query(server, "SELECT state, count(*) FROM waiting WHERE state <> 'delivered' GROUP BY 1")
    ]


def judge(place: Place, ledger: Ledger, *, may_repeat: bool = False) -> Verdict:
    """Compare; ``may_repeat`` where the server was broken: a letter handed over whose acceptance was lost goes out once more."""
    verdict = Verdict()
    for name, path in zip(("box", "server"), place.databases(), strict=True):
        _sound(verdict, name, path)
        _blobs(verdict, name, path, path.parent / "blobs")
    inbox = Counter(
        (person, subject)
        for person, subject in query(
            place.databases()[0],
            "SELECT account.name, email.subject FROM entry JOIN account ON account.no = entry.account"
            " JOIN email ON email.order_no = entry.email WHERE entry.folder = 'inbox' AND NOT entry.deleted",
        )
    )
    sent = Counter(
        query(
            place.databases()[0],
            "SELECT account.name, email.subject FROM entry JOIN account ON account.no = entry.account"
            " JOIN email ON email.order_no = entry.email WHERE entry.folder = 'sent' AND NOT entry.deleted",
        )
    )
    states = {
        (subject, address): state
        for subject, address, state in query(
            place.databases()[0],
            "SELECT email.subject, recipient.address, recipient.state FROM recipient"
            " JOIN email ON email.order_no = recipient.email",
        )
    }
    files = {
        (subject, digest)
        for subject, digest in query(
            place.databases()[0],
            "SELECT email.subject, attachment.sha256 FROM attachment JOIN email ON email.order_no = attachment.email",
        )
    }
    world_has: dict[tuple[str, str], list[world.Taken]] = {}
    for one in world.taken(place.world):
        world_has.setdefault((one.subject, one.recipient), []).append(one)

    sure = {promise.token for promise in ledger.promises}
    for promise in [*ledger.promises, *(one for one in ledger.maybe if one.token not in sure)]:
        least = 1 if promise.token in sure else 0
        here = least
        if promise.writer is not None:
            here = _count(
                verdict,
                f"{promise.token} among the sent of {promise.writer}",
                sent[promise.writer, promise.token],
                least,
            )
        for person in promise.people:
            had = _count(verdict, f"{promise.token} in the inbox of {person}", inbox[person, promise.token], least)
            here = max(here, had)
        if promise.file is not None and here and promise.people and (promise.token, promise.file) not in files:
            verdict.lost.append(f"the file of {promise.token}")
        for address in promise.outside:
            got = world_has.get((promise.token, address), [])
            # who has it among the sent must see it go
            if not got and here:
                verdict.lost.append(f"{promise.token} to {address} ({states.get((promise.token, address))})")
            if len(got) > 1:
                if may_repeat and len({one.message_id for one in got}) == 1:
                    verdict.repeated += len(got) - 1
                    if verdict.repeated > WORKERS:
                        verdict.doubled.append(f"{promise.token} to {address}: more than was at work")
                else:
                    verdict.doubled.append(f"{promise.token} to {address}: {len(got)} times")
            for one in got:
                if promise.file is not None and one.files != (promise.file,):
                    verdict.lost.append(f"the file of {promise.token} to {address}: {one.files}")
            if here and states.get((promise.token, address)) in (None, "waiting", "refused"):
                verdict.broken.append(
                    f"{promise.token} to {address} is shown as {states.get((promise.token, address))}"
                )
    known = {promise.token for promise in [*ledger.promises, *ledger.maybe]}
    for (person, subject), count in [*inbox.items(), *sent.items()]:
        if subject not in known:
            verdict.broken.append(f"{person} has {count} x “{subject}”, which nobody wrote")
    for subject, address in world_has:
        if subject not in known:
            verdict.broken.append(f"the world got “{subject}” to {address}, which nobody wrote")
    return verdict


def _count(verdict: Verdict, what: str, found: int, least: int) -> int:
    if found < least:
        verdict.lost.append(what)
    if found > 1:
        verdict.doubled.append(f"{what}: {found} times")
    return found


def _sound(verdict: Verdict, name: str, path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=30)) as database:
        said = database.execute("PRAGMA integrity_check").fetchall()
        if said != [("ok",)]:
            verdict.broken.append(f"the database of the {name}: {said[:3]}")
        keys = database.execute("PRAGMA foreign_key_check").fetchall()
        if keys:
            verdict.broken.append(f"the database of the {name} names rows that are not there: {keys[:3]}")
        apart = database.execute("SELECT kind, source, reason FROM quarantine").fetchall()
        if apart:
            verdict.broken.append(f"in quarantine at the {name}: {apart[:3]}")
        dead = database.execute("SELECT kind, error FROM job WHERE state = 'dead'").fetchall()
        if dead:
            verdict.broken.append(f"given up by the {name}: {dead[:3]}")
        wrong = database.execute(
            "SELECT c.account, c.folder, c.total, c.unread FROM folder_count c WHERE c.folder = 'inbox' AND c.total <> "
            "(SELECT count(*) FROM entry e WHERE e.account = c.account AND e.folder = 'inbox' AND NOT e.deleted)"
        ).fetchall()
        if wrong:
            verdict.broken.append(f"the counts of the {name} are wrong: {wrong[:3]}")


def _blobs(verdict: Verdict, name: str, path: Path, blobs: Path) -> None:
    """Every file of a letter is there and is what its name says."""
    for domain, digest, size in query(
        path,
        "SELECT tenant.domain, attachment.sha256, attachment.size FROM attachment JOIN tenant ON tenant.no = attachment.tenant",
    ):
        file = blobs / domain / digest
        if not file.is_file():
            verdict.lost.append(f"a file of the {name}: {digest[:12]}")
        elif file.stat().st_size != size or sha256(file.read_bytes()).hexdigest() != digest:
            verdict.broken.append(f"a file of the {name} is not what it was: {digest[:12]}")


__all__ = ["DOMAIN", "Ledger", "Promise", "Verdict", "judge", "settle"]
