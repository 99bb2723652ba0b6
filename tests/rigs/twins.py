"""Property P22: a backup is put back, a card is copied, a box is reset; nothing is lost or doubled, and somebody is told within one visit.

Some nights pass between a real box and a real server in one process. Then, by the name of the trial:

- ``box``: the box's disk is replaced by its state of some nights ago;
- ``server``: the server's is, and takes no new epoch;
- ``epoch``: the server's is, and the operator has it take a new epoch, as the handbook says;
- ``clones``: two copies of the card visit in turn from now on;
- ``reset``: the box is stolen, its key taken back, and an empty one claims the place.

What was only on a disk that is gone is excused; everything else must be where it belongs once.
What the world took between a backup of the server and its restore goes out once more under the same Message-ID (protocol 8.6), counted as ``repeated``.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from email import message_from_bytes

from lokole.mailbox.identity import renew_epoch
from lokole.server import devices
from tests.rigs import inside
from tests.rigs.every_byte import DOMAIN, OPERATOR, World, world

KINDS = ("box", "server", "epoch", "clones", "reset")
#: visits after which everything that could come has come
LAST_VISITS = 8


class Trial:
    """One story; ``wrong`` says what came of it."""

    def __init__(self, made: World, kind: str, dice: random.Random) -> None:
        self.made, self.kind, self.dice = made, kind, dice
        self.up: list[str] = []
        self.down: list[str] = []
        self.excused: set[str] = set()
        self.may_repeat: set[str] = set()
        self.wrong: list[str] = []
        self.repeated = 0
        self.cards = ["only"]

    def run(self) -> None:
        made, dice = self.made, self.dice
        made.go_back("idle")
        made.restart_box()
        nights = dice.randrange(2, 6)
        for night in range(nights):
            made.remember(f"night-{night}")
            self._night(visits=1)
        # so that there is something which the older disk does not know
        self._letters(least=1)
        self._visit()
        self._letters()
        since = dice.randrange(nights)
        getattr(self, f"_{self.kind}")(f"night-{since}")
        for _ in range(dice.randrange(1, 4)):
            self._night(visits=1 if len(self.cards) == 1 else 2)
        for _ in range(LAST_VISITS):
            self._pass_by()
            for card in self.cards:
                self._put_in(card)
                self._visit()
        self._judge()

    # --- what happens ----------------------------------------------------------------------------

    def _box(self, backup: str) -> None:
        here, there = self._subjects(), self._at_server()
        self.made.box_side.go_back(f"box-{backup}")
        self.made.restart_box()
        self.excused |= here - there - self._subjects()
        self._letters()
        self._visit()
        self._must_be_told("a box from a backup")

    def _server(self, backup: str, *, epoch: bool = False) -> None:
        made = self.made
        there = self._at_server()
        made.server.go_back(f"server-{backup}")
        self.excused |= (there - self._at_server()) & set(self.down)
        self.may_repeat |= set(self.up)
        if epoch:
            with made.ports.database.write() as tx:
                renew_epoch(tx, made.ports.entropy)
        self._letters()
        self._visit()
        if not epoch:
            self._must_be_told("a server from a backup")

    def _epoch(self, backup: str) -> None:
        self._server(backup, epoch=True)

    def _clones(self, backup: str) -> None:
        self.made.box_side.remember("box-card-one")
        self.made.box_side.remember("box-card-two")
        self.cards, self._card = ["one", "two"], "one"
        for card in self.cards:
            self._put_in(card)
            self._letters(least=1)
            self._visit()
        self._must_be_told("a copied card")

    def _reset(self, backup: str) -> None:
        made = self.made
        here, there = self._subjects(), self._at_server()
        self.excused |= here & set(self.up) - there
        devices.revoke_keys(made.ports, OPERATOR, DOMAIN)
        made.box_side.go_back("box-blank")
        made.restart_box()
        made.claim()
        self._letters()
        self._visit()

    # --- nights ----------------------------------------------------------------------------------

    def _night(self, *, visits: int) -> None:
        self._pass_by()
        for card in self.cards[:visits]:
            self._put_in(card)
            self._letters()
            self._visit()

    def _pass_by(self) -> None:
        self.made.clock.advance(days=1)

    def _letters(self, *, least: int = 0) -> None:
        for _ in range(self.dice.randrange(least, 3)):
            self.up.append(f"up {len(self.up)}")
            self.made.write(self.up[-1])
        for _ in range(self.dice.randrange(least, 3)):
            self.down.append(f"down {len(self.down)}")
            self.made.receive(self.down[-1])

    def _visit(self) -> None:
        result = self.made.box.sync().result
        if result not in ("ok", "twin"):
            self.wrong.append(f"a visit ended with {result}")

    def _put_in(self, card: str) -> None:
        """The other card visits now."""
        if len(self.cards) == 1 or card == self._card:
            return
        side = self.made.box_side
        side.remember(f"box-card-{self._card}")
        side.go_back(f"box-card-{card}")
        self._card = card
        self.made.restart_box()

    # --- looking ---------------------------------------------------------------------------------

    def _subjects(self) -> set[str]:
        return {str(one) for (one,) in self.made.box_side.rows("SELECT subject FROM email")}

    def _at_server(self) -> set[str]:
        return {str(one) for (one,) in self.made.server.rows("SELECT subject FROM email")}

    def _must_be_told(self, what: str) -> None:
        server, box = self.made.server, self.made.box_side
        told = [
            *server.rows("SELECT 1 FROM credential WHERE twin_seen_at IS NOT NULL"),
            *server.rows("SELECT 1 FROM quarantine WHERE kind IN ('twin', 'restored')"),
            *box.rows("SELECT 1 FROM quarantine WHERE kind IN ('twin', 'restored')"),
            *box.rows("SELECT 1 FROM option WHERE name = 'twin_seen_at'"),
        ]
        if not told:
            self.wrong.append(f"nobody is told of {what}")

    def _inbox(self) -> Counter[str]:
        query = "SELECT m.subject FROM entry e JOIN email m ON m.order_no = e.email WHERE e.folder = 'inbox' AND NOT e.deleted"
        return Counter(str(one) for (one,) in self.made.box_side.rows(query))

    def _judge(self) -> None:
        came: dict[str, list[str]] = {}
        for raw in self.made.outside.messages:
            read = message_from_bytes(raw)
            came.setdefault(str(read["Subject"]), []).append(str(read["Message-ID"]))
        for subject in self.up:
            ids = came.pop(subject, [])
            if not ids and subject not in self.excused:
                self.wrong.append(f"{subject} is lost")
            if len(ids) > 1:
                if subject in self.may_repeat and len(set(ids)) == 1:
                    self.repeated += len(ids) - 1
                else:
                    self.wrong.append(f"{subject} went out {len(ids)} times under {len(set(ids))} names")
        if came:
            self.wrong.append(f"the world got what nobody wrote: {sorted(came)}")
        for card in self.cards:
            self._put_in(card)
            inbox = self._inbox()
            for subject in self.down:
                if not inbox[subject] and subject not in self.excused:
                    self.wrong.append(f"{subject} is not on card {card}")
                if inbox[subject] > 1:
                    self.wrong.append(f"{subject} is on card {card} {inbox[subject]} times")
            sent = Counter(
                str(one)
                for (one,) in self.made.box_side.rows(
                    "SELECT m.subject FROM entry e JOIN email m ON m.order_no = e.email"
                )
            )
            self.wrong += [f"{one} is on card {card} {n} times" for one, n in sent.items() if n > 1 and one in self.up]


def do(seed: int, worker: int, options: argparse.Namespace, began: float) -> dict[str, int]:
    """One worker's share of the trials."""
    figures = {"asked": 0, "trials": 0, "bad": 0, "repeated": 0, "excused": 0, "letters": 0}
    names = [f"{KINDS[n % len(KINDS)]}:{n}" for n in range(options.trials)]
    with world(seed) as made:
        for name in inside.turns(options, names, worker, began, figures):
            trial = Trial(made, name.partition(":")[0], random.Random(f"{seed}:{name}"))
            trial.run()
            figures["repeated"] += trial.repeated
            figures["excused"] += len(trial.excused)
            figures["letters"] += len(trial.up) + len(trial.down)
            inside.note_wrong(figures, name, trial.wrong)
    return figures


def main() -> int:
    """All trials, shared out to workers."""
    parser = inside.arguments("twins")
    parser.add_argument("--trials", type=int, default=1000)
    return inside.run("twins", parser.parse_args(), do)


if __name__ == "__main__":
    sys.exit(main())
