"""Property P9: a clock that is wrong, or jumps by years in the middle of an exchange, costs nobody a letter.

A trial is ``SIDE:CLOCK:N``. The side (box, server or both) lives in 1970, just before or beyond the end of 2038's seconds, or ten years off;
or its clock jumps between such times after every few questions for the time. People write, senders hand letters in, the box visits.
Then the clocks are right again, and everything must be there once, in the order in which the server had it, and in sight at the pages.

Not here: TLS with a wrong clock. The line to the server is plain HTTP here; that a certificate which is not valid yet, or no more, is reported
as a wrong clock is tested in ``tests/unit/adapters/test_sync_peer_http.py``.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256

from tests.rigs import rig, scenario, world
from tests.rigs.ledger import DOMAIN, Ledger, Promise, Verdict, judge, settle
from tests.rigs.place import Place, Stuck, query, sign_in, until_idle, write
from tests.rigs.shim import Control

DAY = 86_400
YEARS = 3652 * DAY
SIDES = ("box", "server", "both")
LETTERS = 4


def _to(year: int, month: int, day: int) -> int:
    """The seconds from now to a date."""
    return round(datetime(year, month, day, tzinfo=UTC).timestamp() - time.time())


#: name of a clock to the seconds that are added to the time of day; several are jumped between
CLOCKS: dict[str, tuple[int, ...]] = {
    "1970": (_to(1970, 1, 1),),
    "2038": (_to(2038, 1, 19),),
    "after-2038": (_to(2038, 1, 20),),
    "ten-years-ahead": (YEARS,),
    "ten-years-behind": (-YEARS,),
    "a-day-ahead": (DAY + 7,),
    "jumps-ahead": (0, YEARS),
    "jumps-back": (0, -YEARS),
    "jumps": (0, YEARS, -YEARS, _to(1970, 1, 1), _to(2038, 1, 20), 3),
}


def trials(template: Place, ledger: Ledger, rng: random.Random) -> Sequence[str]:
    """Every clock on every side, again and again with other jumps; the first round in random order."""
    first = [f"{side}:{clock}:0" for side in SIDES for clock in CLOCKS]
    rng.shuffle(first)
    jumping = [clock for clock, offsets in CLOCKS.items() if len(offsets) > 1]
    return first + [f"{side}:{clock}:{n}" for n in range(1, 1000) for side in SIDES for clock in jumping]


def do(bench: rig.Bench, name: str) -> rig.Outcome:
    """One trial."""
    side, clock, _ = name.split(":")
    rng = random.Random(f"{bench.seed}:{name}")
    place = scenario.fresh_copy(bench.template, bench.folder)
    bench.world_keeps_in(place.world)
    ledger = bench.ledger.copy()

    def wrong(which: str) -> Callable[[Control], None] | None:
        return _set(CLOCKS[clock], rng.randrange(1, 60)) if side in (which, "both") else None

    try:
        server = place.start_server(wrong("server"))
        pages = place.start_pages(wrong("box"))
        for n in range(LETTERS):
            _mail(place, ledger, rng, n)
            sync = place.start_sync(wrong("box"))
            sync.wait()
        # what is tried again later gets its time
        pages.stop()
        server.kill()
        _set_right(place)
        verdict = judge(place, ledger, may_repeat=True)
        _look(place, verdict)
        return rig.Outcome(verdict)
    finally:
        place.stop_all()


def _set(offsets: tuple[int, ...], every: int) -> Callable[[Control], None]:
    def prepare(control: Control) -> None:
        if len(offsets) == 1:
            control.page.clock_offset = offsets[0]
            return
        control.page.jump_every, control.page.jumps = every, len(offsets)
        for n, offset in enumerate(offsets):
            control.page.jump[n] = offset

    return prepare


def _set_right(place: Place) -> None:
    """Right clocks, and as much time as work of a wrong future waits for."""
    server = place.start_server()
    place.start_pages()
    assert server.control is not None
    settle(place)
    end = time.monotonic() + 40
    while query(place.databases()[1], "SELECT 1 FROM job WHERE state = 'ready'"):
        # a piece of work that waits until a year that is not here yet would be late by years: it has to be mended, not waited for
        if time.monotonic() > end:
            left = query(
                place.databases()[1], "SELECT kind, attempts, run_after, lease_until FROM job WHERE state = 'ready'"
            )
            raise Stuck(f"the server puts work off: {left}")
        with suppress(Stuck):
            until_idle(place, seconds=3)
        time.sleep(0.2)
    settle(place)


def _mail(place: Place, ledger: Ledger, rng: random.Random, n: int) -> None:
    """One letter from the pages and one from outside."""
    file = rng.randbytes(rng.randrange(1, 3000)) if rng.random() < 0.5 else None
    digest = None if file is None else sha256(file).hexdigest()
    promise = Promise(f"P{n}", ("ben",), ("bob@example.org",), "ann", digest)
    said = 0
    with suppress(OSError, AssertionError):
        # a session may have ended by the clock
        said = write(sign_in(place, "ann"), promise.token, f"bob@example.org, ben@{DOMAIN}", file=file)
    (ledger.promises if said == 200 else ledger.maybe).append(promise)
    promise = Promise(f"S{n}", ("ann",), file=digest)
    raw = world.letter(promise.token, [f"ann@{DOMAIN}"], file)
    taken = world.hand_in(place.ports.smtp, raw, [f"ann@{DOMAIN}"])
    (ledger.promises if taken else ledger.maybe).append(promise)


def _look(place: Place, verdict: Verdict) -> None:
    """The letters from outside stand at the pages in the order in which the server had them, and every one does."""
    text = sign_in(place, "ann").open("/email/inbox").text
    shown = [int(found) for found in re.findall(r"\bS(\d)\b", re.sub(r"This is S\d", "", text))]
    order = list(dict.fromkeys(shown))
    there = {
        int(subject[1:])
        for (subject,) in query(
            place.databases()[0],
            "SELECT email.subject FROM entry JOIN account ON account.no = entry.account JOIN email ON email.order_no = entry.email"
            " WHERE account.name = 'ann' AND entry.folder = 'inbox' AND email.subject GLOB 'S[0-9]'",
        )
    }
    if set(order) != there:
        verdict.lost.append(f"in sight are {order}, there are {sorted(there)}")
    elif order != sorted(there, reverse=True):
        verdict.broken.append(f"the inbox is in the order {order}")


def main() -> int:
    """The program."""
    rig.need_shim()
    options = rig.arguments("clock", trials=300)
    return rig.run("clock", options, prepare=scenario.prepare, trials=trials, do=do)


if __name__ == "__main__":
    sys.exit(main())
