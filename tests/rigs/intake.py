"""Property P6: what the webhook or SMTP has answered with yes is there, once, whatever breaks while it is answering.

A trial is a kind of trouble with a number: ``kill`` ends the server before, in or after a call that writes while letters are handed in;
``refuse`` lets its calls on files answer ENOSPC, EIO or EROFS for a while; ``calm`` breaks nothing.
Providers behave as they do: they post the same bytes again, after a yes too, or by the other way, or give up.
Among the letters are blind copies, letters without a date, and envelopes that name people of two domains.
A letter that was answered with yes must be with each of its people exactly once; another may be there once or not at all.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.rigs import rig, shim, world
from tests.rigs.disk import ERRORS
from tests.rigs.ledger import DOMAIN, Ledger, Verdict
from tests.rigs.place import Place, Ports, Program, Stuck, outside, query, register, sign_up, until_idle

OTHER = "hill.lokole.test"
KINDS = ("kill", "refuse", "kill", "refuse", "calm")
#: calls of the server while it takes the letters of a trial, about
CALLS = 160
#: attempts of a provider after its first
MOST_REPEATS = 3


@dataclass(frozen=True)
class Letter:
    """One message for ``people`` of the two domains; ``domain`` is the one at whose webhook it may be posted."""

    token: str
    raw: bytes
    people: tuple[str, ...]
    domain: str | None


def prepare(root: Path, seed: int) -> Ledger:
    """A server that serves two domains with two people each."""
    place = Place(root, Ports.free())
    with outside(root, place.ports.world) as keep_in:
        keep_in(place.world)
        server = place.start_server()
        for domain in (DOMAIN, OTHER):
            box = Place(root, place.ports)
            box.box_data = root / f"box-{domain}"
            (root / f"webhook-{domain}").write_text(register(box, domain))
            pages = box.start_pages()
            for name in ("ann", "ben"):
                sign_up(box, name)
            found = box.sync()
            assert found["result"] == "ok", found
            pages.stop()
        until_idle(place)
        server.stop()
    return Ledger()


def trials(template: Place, ledger: Ledger, rng: random.Random) -> Sequence[str]:
    """Each kind in turn."""
    return [f"{KINDS[n % len(KINDS)]}:{n}" for n in range(100_000)]


def letters(rng: random.Random, name: str) -> list[Letter]:
    """The letters of one trial, one of each sort."""
    found = []
    for n, (people, domain) in enumerate(
        (
            ([f"ann@{DOMAIN}"], DOMAIN),
            ([f"ann@{DOMAIN}", f"ben@{DOMAIN}"], DOMAIN),
            ([f"ben@{OTHER}"], OTHER),
            ([f"ann@{DOMAIN}", f"ann@{OTHER}"], None),  # two domains in one envelope: by SMTP
        )
    ):
        token = f"M{n} of {name.replace(':', ' ')}"
        file = rng.randbytes(rng.randrange(1, 40_000)) if rng.random() < 0.5 else None
        raw = world.letter(token, people[:1], file)  # those beyond the first are blind copies
        if rng.random() < 0.5:
            raw = raw.replace(b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n", b"")
        if rng.random() < 0.5:
            raw = raw.replace(b"Message-ID:", b"X-No-Message-ID:")
        found.append(Letter(token, raw, tuple(people), domain))
    return found


def do(bench: rig.Bench, name: str) -> rig.Outcome:
    """One trial; see the module."""
    kind = name.partition(":")[0]
    rng = random.Random(f"{bench.seed}:{name}")
    shutil.rmtree(bench.folder, ignore_errors=True)
    bench.folder.mkdir()
    for path in bench.template.root.glob("webhook-*"):
        shutil.copy(path, bench.folder)
    shutil.copytree(bench.template.root / "server", bench.folder / "server")
    place = Place(bench.folder, bench.template.ports)
    bench.world_keeps_in(place.world)
    try:
        server = place.start_server()
        assert server.control is not None
        offered = letters(rng, name)
        if kind == "kill":
            server.control.kill(rng.randrange(1, CALLS), rng.choice(("before", "after", "midst")))
        elif kind == "refuse":
            first = rng.randrange(1, CALLS // 2)
            server.control.refuse(
                tuple(rng.sample(shim.STORING, rng.randrange(1, len(shim.STORING) + 1))),
                rng.choice(ERRORS), first, first + rng.randrange(20, CALLS), place.server_data,
            )  # fmt: skip
        server.control.count_from_now()
        plans = [random.Random(f"{bench.seed}:{name}:{n}") for n in range(len(offered))]
        with ThreadPoolExecutor(len(offered)) as pool:
            answers = list(pool.map(lambda one: _offer(place, *one), zip(offered, plans, strict=True)))
        server.control.page.on = 0
        time.sleep(0.05)  # a call that was counted just before may be the last one
        happened = server.poll() is not None or kind != "kill"
        if server.poll() is not None:
            server = place.start_server()
        # whoever heard no yes comes again or gives up, whoever heard one may come again all the same
        for n, (one, dice) in enumerate(zip(offered, plans, strict=True)):
            for _ in range(dice.randrange(MOST_REPEATS + 1)):
                answers[n] = _offer(place, one, dice) or answers[n]
        _let_work(place, server)
        return rig.Outcome(judge(place, offered, answers), happened)
    finally:
        place.stop_all()


def _offer(place: Place, letter: Letter, dice: random.Random) -> bool:
    """Hand a letter in once, by one way or the other; whether the answer was yes."""
    if letter.domain is None or dice.random() < 0.3:
        return world.hand_in(place.ports.smtp, letter.raw, list(letter.people))
    secret = (place.root / f"webhook-{letter.domain}").read_text()
    return world.post(place.ports.http, secret, letter.raw, list(letter.people))


def _let_work(place: Place, server: Program) -> None:
    """Until the server has nothing to do, with the time that work which failed waits for."""
    for hours in (0, 1, 7, 14):
        assert server.control is not None
        server.control.page.clock_offset = hours * 3600
        if hours:
            time.sleep(1.2)  # the worker looks once a second
        with suppress(Stuck):
            until_idle(place, ahead=hours * 3600, seconds=20)
        if not query(place.databases()[1], "SELECT 1 FROM job WHERE state = 'ready'"):
            return
    left = query(
        place.databases()[1], "SELECT kind, attempts, run_after, lease_until, error FROM job WHERE state = 'ready'"
    )
    raise Stuck(f"the server still has work: {left[:5]} {server.stacks()}")


def judge(place: Place, offered: Sequence[Letter], answers: Sequence[bool]) -> Verdict:
    """Compare what the server has with what it said."""
    verdict, database = Verdict(), place.databases()[1]
    has = Counter(
        (f"{name}@{domain}", subject)
        for name, domain, subject in query(
            database,
            "SELECT account.name, tenant.domain, email.subject FROM entry JOIN account ON account.no = entry.account"
            " JOIN tenant ON tenant.no = account.tenant JOIN email ON email.order_no = entry.email"
            " WHERE entry.folder = 'inbox'",
        )
    )
    leaves = Counter(
        (domain, subject)
        for domain, subject in query(
            database,
            "SELECT tenant.domain, email.subject FROM waiting JOIN tenant ON tenant.no = waiting.tenant"
            " JOIN email ON email.order_no = waiting.email WHERE waiting.direction = 'down'",
        )
    )
    for letter, yes in zip(offered, answers, strict=True):
        for person in letter.people:
            _once(verdict, f"{letter.token} with {person}", has[person, letter.token], yes)
            waits = leaves[person.partition("@")[2], letter.token]
            if waits < min(1, has[person, letter.token]):
                verdict.lost.append(f"{letter.token} does not wait for the box of {person}")
        strangers = {person for person, subject in has if subject == letter.token} - set(letter.people)
        verdict.broken += [f"{letter.token} came to {sorted(strangers)}"] if strangers else []
    for reason, *_ in query(database, "SELECT reason FROM quarantine"):
        verdict.broken.append(f"in quarantine: {reason}")
    for error, *_ in query(database, "SELECT error FROM job WHERE state = 'dead'"):
        verdict.broken.append(f"given up: {error}")
    if query(database, "PRAGMA integrity_check") != [("ok",)]:
        verdict.broken.append("the database is damaged")
    return verdict


def _once(verdict: Verdict, what: str, found: int, sure: bool) -> None:
    if sure and not found:
        verdict.lost.append(f"{what}, and the sender was told that it is there")
    if found > 1:
        verdict.doubled.append(f"{what}: {found} times")


def main() -> int:
    """The program."""
    rig.need_shim()
    options = rig.arguments("intake", trials=1000)
    return rig.run("intake", options, prepare=prepare, trials=trials, do=do)


if __name__ == "__main__":
    sys.exit(main())
