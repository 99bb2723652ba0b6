"""Property P10: two to eight exchanges at once, while people write at the pages and letters come in.

Only one exchange meets the server at a time; the others say that one is under way and change nothing.
Nobody is refused for the sake of an exchange: every letter that is written and every letter that comes in is taken at the first attempt.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from tests.person_at import PersonAt
from tests.rigs import rig, scenario, world
from tests.rigs.ledger import DOMAIN, Ledger, Promise, judge, settle
from tests.rigs.place import Place, Program, report, sign_in, write

ROUNDS = 2


def trials(template: Place, ledger: Ledger, rng: random.Random) -> Sequence[str]:
    """How many exchanges at once, in turn."""
    return [f"{2 + n % 7}:{n}" for n in range(100_000)]


def do(bench: rig.Bench, name: str) -> rig.Outcome:
    """One trial: some rounds of exchanges and writers at once, then the end."""
    count = int(name.partition(":")[0])
    rng = random.Random(f"{bench.seed}:{name}")
    place = scenario.fresh_copy(bench.template, bench.folder)
    (place.root / "webhook").write_text((bench.template.root / "webhook").read_text())
    bench.world_keeps_in(place.world)
    ledger, wrong = bench.ledger.copy(), list[str]()
    try:
        place.start_server()
        place.start_pages()
        people = {who: sign_in(place, who) for who in ("ann", "ben", "cleo")}
        for n in range(ROUNDS):
            files = [rng.randbytes(rng.randrange(1, 20_000)) if rng.random() < 0.5 else None for _ in range(5)]
            work: list[Callable[[], str]] = [
                *(_writer(people[who], who, f"W{n} of {who}", file, ledger) for who, file in zip(people, files, strict=False)),
                _sender(place, f"S{n} by SMTP", files[3], ledger, posted=False),
                _sender(place, f"S{n} by webhook", files[4], ledger, posted=True),
            ]  # fmt: skip
            syncs = [place.start_sync() for _ in range(count)]
            with ThreadPoolExecutor(len(work)) as pool:
                wrong += [said for said in pool.map(lambda one: one(), work) if said]
            ended = [_ended(one) for one in syncs]
            if "ok" not in ended or set(ended) - {"ok", "busy"}:
                wrong.append(f"of {count} exchanges at once: {ended}")
        settle(place)
        verdict = judge(place, ledger)
        verdict.broken += wrong
        return rig.Outcome(verdict, count=count * ROUNDS)
    finally:
        place.stop_all()


def _ended(sync: Program) -> str:
    """How an exchange ended: ``ok`` when it met the server, ``busy`` when another was at it."""
    code = sync.wait(90)
    result = str(report(sync).get("result"))
    return result if code == 0 or result == "busy" else f"{result}, exit {code}"


def _writer(person: PersonAt, who: str, token: str, file: bytes | None, ledger: Ledger) -> Callable[[], str]:
    other = "ben" if who == "ann" else "ann"
    digest = None if file is None else sha256(file).hexdigest()
    ledger.promises.append(Promise(token, (other,), ("bob@example.org",), who, digest))

    def go() -> str:
        status = write(person, token, f"bob@example.org, {other}@{DOMAIN}", file=file)
        return "" if status == 200 else f"{token} was refused with {status}"

    return go


def _sender(place: Place, token: str, file: bytes | None, ledger: Ledger, *, posted: bool) -> Callable[[], str]:
    recipients = [f"ann@{DOMAIN}", f"ben@{DOMAIN}"]
    digest = None if file is None else sha256(file).hexdigest()
    ledger.promises.append(Promise(token, ("ann", "ben"), file=digest))
    raw = world.letter(token, recipients, file)

    def go() -> str:
        secret = (place.root / "webhook").read_text()
        taken = (
            world.post(place.ports.http, secret, raw, recipients)
            if posted
            else world.hand_in(place.ports.smtp, raw, recipients)
        )
        return "" if taken else f"{token} was refused"

    return go


def main() -> int:
    """The program."""
    rig.need_shim()
    options = rig.arguments("parallel", trials=200)
    return rig.run("parallel", options, prepare=scenario.prepare, trials=trials, do=do)


if __name__ == "__main__":
    sys.exit(main())
