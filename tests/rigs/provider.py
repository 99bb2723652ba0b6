"""Property P5: whatever the other side does while it is handed a letter, nothing is lost, and each writer hears how it ended.

A trial is a way out with a number: ``smtp`` hands over to a relay, ``sendgrid`` to the Web API.
Ann writes a few letters at the box, to people that the other side takes and to some that it refuses; the box visits.
At each attempt the other side may be away, hang, answer 4xx, 429 or 5xx, say nonsense, drop the line before or in the middle of a letter,
or take the letter and drop the line before its yes is heard. In some trials it stays away until the server gives up.
Time passes as the gaps between attempts want it, and the box comes home with the receipts.

A recipient is lost when the box says neither accepted nor refused, or says accepted and nobody has the letter.
Only where a yes was not heard may a letter come once more, always under one Message-ID; that is ``repeated``.
"""

from __future__ import annotations

import argparse
import random
import re
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from typing import Any, Protocol

from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.adapters.mail_out.smtp import SmtpMailOut
from lokole.mail.model import Contact, DeliveryState, EmailNo
from lokole.mailbox.database import from_micros
from lokole.mailbox.recipients import deliveries
from lokole.ports.mail_out import MailOut
from tests.rigs import inside
from tests.rigs.every_byte import World, world
from tests.sendgrid import KEY, SendGrid, sendgrid

WAYS = ("smtp", "sendgrid")
#: seconds that a way out waits for the other side here; one that is only slow on a busy machine must be heard
PATIENCE = 2.0
#: attempts that are met by trouble, at most; a server tries for five days
MOST_TROUBLES = 5
#: how a relay by SMTP fails, and how SendGrid does, with words of ``tests/sendgrid.py``
SMTP_TROUBLES = (
    "away", "hang", "greeting-421", "mail-451", "rcpt-450", "rcpt-452", "data-451", "dot-451", "dot-452", "drop-in-data",
    "taken-then-drop", "taken-then-hang",
)  # fmt: skip
SENDGRID_TROUBLES = (429, 500, 502, 503, 504, 408, 400, 401, 403, "never", "nonsense", "drop-after-taking")
_PATH = re.compile(r"<([^>]*)>")

#: (subject, recipient)
Pair = tuple[str, str]


class Other(Protocol):
    """The other side: what it has taken, and how it will fail."""

    #: for each pair how often each Message-ID came
    taken: dict[Pair, Counter[str]]
    #: how often of that nobody heard the yes
    unheard: Counter[Pair]

    def fail(self, troubles: list[str | int], *, for_good: bool) -> None:
        """Meet the next attempts with ``troubles``, one each; ``for_good`` is away after that."""

    def settle(self) -> None:
        """Count what came."""

    def refused(self) -> str:
        """Somebody whom it refuses."""


@dataclass
class Relay:
    """A relay by SMTP, as small as it can be: one thread, one connection at a time, each with its trouble."""

    taken: dict[Pair, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unheard: Counter[Pair] = field(default_factory=Counter)
    port: int = 0
    _troubles: list[str | int] = field(default_factory=list)
    _for_good: bool = False

    def fail(self, troubles: list[str | int], *, for_good: bool) -> None:
        self._troubles, self._for_good = troubles, for_good
        self.taken.clear()
        self.unheard.clear()

    def settle(self) -> None:
        """Everything is counted as it comes."""

    def refused(self) -> str:
        return "nobody@example.org"

    def serve(self, listener: socket.socket) -> None:
        """Until the listener is closed."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            trouble = self._troubles.pop(0) if self._troubles else "away" if self._for_good else ""
            threading.Thread(target=self._meet, args=(connection, str(trouble)), daemon=True).start()

    def _meet(self, connection: socket.socket, trouble: str) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            if trouble == "away":
                return
            if trouble == "hang":
                time.sleep(PATIENCE * 2)
                return
            with connection.makefile("rb") as lines:
                self._talk(connection, lines, trouble)

    def _talk(self, connection: socket.socket, lines: Any, trouble: str) -> None:
        step, _, code = trouble.partition("-")

        def say(text: str, at: str = "") -> None:
            connection.sendall((f"{code} as told" if at and step == at else text).encode() + b"\r\n")

        say("220 relay.example", "greeting")
        people: list[str] = []
        while line := lines.readline():
            verb = line[:4].upper()
            if verb in (b"EHLO", b"HELO"):
                say("250 relay.example")
            elif verb == b"MAIL":
                say("250 go on", "mail")
            elif verb == b"RCPT":
                (name,) = _PATH.findall(line.decode())
                if name == self.refused():
                    say("550 5.1.1 no such person")
                    continue
                if step != "rcpt":
                    people.append(name)
                say("250 go on", "rcpt")
            elif verb == b"DATA":
                say("354 go on", "data")
                if step == "data":
                    continue
                content = bytearray()
                while (piece := lines.readline()) not in (b".\r\n", b""):
                    content += piece
                    if trouble == "drop-in-data":
                        return
                if step != "dot":
                    self._take(bytes(content), people, heard=step != "taken")
                if trouble == "taken-then-hang":
                    time.sleep(PATIENCE * 2)
                if step == "taken":
                    return
                say("250 taken", "dot")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 fine")

    def _take(self, content: bytes, people: list[str], *, heard: bool) -> None:
        head = message_from_bytes(content)
        for one in people:
            pair = (str(head["Subject"]), one)
            self.taken[pair][str(head["Message-ID"])] += 1
            self.unheard[pair] += not heard


@dataclass
class WebApi:
    """SendGrid; what it takes while the line drops is told apart by its own count of calls."""

    told: SendGrid
    taken: dict[Pair, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unheard: Counter[Pair] = field(default_factory=Counter)
    _troubles: list[str | int] = field(default_factory=list)

    def fail(self, troubles: list[str | int], *, for_good: bool) -> None:
        self.taken.clear()
        self.unheard.clear()
        self.told.taken.clear()
        self.told.unheard.clear()
        self.told.next = [*troubles, *([503] * 10_000 if for_good else [])]

    def settle(self) -> None:
        for n, mail in enumerate(self.told.taken):
            for copy in mail["personalizations"]:
                for one in (*copy.get("to", ()), *copy.get("cc", ()), *copy.get("bcc", ())):
                    pair = (mail["subject"], one["email"])
                    self.taken[pair][mail["headers"]["Message-ID"]] += 1
                    self.unheard[pair] += n in self.told.unheard

    def refused(self) -> str:
        return "élan@example.org"


@dataclass
class Outcome:
    """What came of a trial; ``refused`` counts recipients whose writer was told so."""

    wrong: list[str] = field(default_factory=list)
    recipients: int = 0
    refused: int = 0
    repeated: int = 0


def run(made: World, other: Other, way: str, dice: random.Random) -> Outcome:
    """One trial; see the module."""
    made.go_back("idle")
    made.restart_box()
    for_good = dice.random() < 0.1
    pool: tuple[str | int, ...] = SMTP_TROUBLES if way == "smtp" else SENDGRID_TROUBLES
    other.fail([dice.choice((*pool, "")) if way == "smtp" else dice.choice((*pool, 202)) for _ in range(dice.randrange(MOST_TROUBLES + 1))], for_good=for_good)  # fmt: skip
    letters: dict[EmailNo, str] = {}
    for n in range(dice.randint(1, 3)):
        subject = f"P letter {n}"
        people = dice.sample(
            ["bob@example.org", "carl@example.com", "dora@example.net", other.refused()], dice.randint(1, 4)
        )
        roles = {role: tuple(map(Contact, people[k::3])) for k, role in enumerate(("to", "cc", "bcc")) if people[k::3]}
        letters[made.write(subject, **roles)] = subject
    outcome = Outcome()
    if made.box.sync().result != "ok":
        outcome.wrong.append("the box met no server")
    _let_work(made, outcome)
    for _ in range(2):
        made.box.sync()
    other.settle()
    for no, subject in letters.items():
        with made.box.ports.database.read() as tx:
            states = deliveries(tx, made.box.tenant, no)
        for one in states:
            _judge(outcome, other, (subject, one.address), one.state, one.reason, for_good=for_good)
    strangers = set(other.taken) - {(s, one) for s in letters.values() for one in ("bob@example.org", "carl@example.com", "dora@example.net")}  # fmt: skip
    outcome.wrong += [f"{pair} was sent to nobody's wish" for pair in strangers]
    return outcome


def _let_work(made: World, outcome: Outcome) -> None:
    """Until the server has nothing to do, with the time between attempts."""
    for _ in range(120):
        made.ports.bell.ring()
        ((due,),) = made.server.rows("SELECT min(run_after) FROM job WHERE state = 'ready'")
        if due is None:
            return
        made.clock.advance(seconds=max(1.0, (from_micros(due) - made.clock()) / timedelta(seconds=1)))
    outcome.wrong.append("the server still has work after all this time")


def _judge(outcome: Outcome, other: Other, pair: Pair, state: DeliveryState, reason: str, *, for_good: bool) -> None:
    came = other.taken.get(pair, Counter())
    times, unheard = came.total(), other.unheard[pair]
    outcome.recipients += 1
    outcome.refused += state is DeliveryState.REFUSED
    outcome.repeated += max(0, times - 1)
    if state not in (DeliveryState.ACCEPTED, DeliveryState.REFUSED):
        outcome.wrong.append(f"nobody told the writer what became of {pair}: {state}")
    if state is DeliveryState.ACCEPTED and not times:
        outcome.wrong.append(f"{pair} is lost: accepted, and nobody has it")
    if state is DeliveryState.REFUSED and (not reason or (times and not unheard)):
        outcome.wrong.append(f"{pair} is refused for “{reason}”, and was taken {times} times")
    if state is DeliveryState.REFUSED and pair[1] != other.refused() and not for_good:
        outcome.wrong.append(f"{pair} is refused by nobody: {reason}")
    if state is DeliveryState.ACCEPTED and pair[1] == other.refused():
        outcome.wrong.append(f"{pair} is accepted, and nobody of this name is there")
    if times > 1 + unheard or len(came) > 1:
        outcome.wrong.append(f"{pair} came {dict(came)}, and {unheard} times nobody heard the yes")


@contextmanager
def ways(seed: int) -> Iterator[dict[str, tuple[World, Other]]]:
    """A world for each way out."""
    relay = Relay()
    with socket.create_server(("127.0.0.1", 0)) as listener, sendgrid() as told:
        relay.port = int(listener.getsockname()[1])
        threading.Thread(target=relay.serve, args=(listener,), daemon=True).start()
        by_smtp: MailOut = SmtpMailOut("127.0.0.1", relay.port, host_name="town.example", timeout=PATIENCE)
        by_api: MailOut = SendGridMailOut(KEY, base_url=told.url, timeout=PATIENCE, deadline=PATIENCE * 4)
        with world(seed, by_smtp) as first, world(seed + 1, by_api) as second:
            yield {"smtp": (first, relay), "sendgrid": (second, WebApi(told))}


def do(seed: int, worker: int, options: argparse.Namespace, began: float) -> dict[str, int]:
    """One worker's share of the trials."""
    figures = {"asked": 0, "trials": 0, "recipients": 0, "refused": 0, "repeated": 0, "bad": 0}
    names = [f"{WAYS[n % len(WAYS)]}:{n}" for n in range(options.trials)]
    with ways(seed) as made:
        for name in inside.turns(options, names, worker, began, figures):
            way = name.partition(":")[0]
            outcome = run(*made[way], way, random.Random(f"{seed}:{name}"))
            figures["recipients"] += outcome.recipients
            figures["refused"] += outcome.refused
            figures["repeated"] += outcome.repeated
            inside.note_wrong(figures, name, outcome.wrong)
    return figures


def main() -> int:
    """All trials, shared out to workers."""
    parser = inside.arguments("provider")
    parser.add_argument("--trials", type=int, default=2000)
    return inside.run("provider", parser.parse_args(), do)


if __name__ == "__main__":
    sys.exit(main())
