"""Many machines: two ``lokole server`` and two ``lokole worker`` over one PostgreSQL, RabbitMQ and Azurite, killed at random under load.

Senders post letters at either server until one says yes; a box hands packages over and takes home what waits, all the while;
the world takes letters by SMTP. Each program has a data folder of its own, so nothing but database and store is shared.
Every few seconds one thing is killed (SIGKILL of a server, of a worker with its processes, of one of its processes, of PostgreSQL, of RabbitMQ)
or restarted politely, and started again. In the end each letter that somebody said yes to must be where it belongs exactly once;
the world may get one again under the same Message-ID, when a worker ended between handing it over and writing that down (``repeated``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import psycopg

from lokole.mail.model import Contact, Email
from lokole.sync.records import AccountRecord, EmailRecord
from tests.e2e.processes import LOKOLE, REGISTRATION, environment
from tests.rigs import rig, world
from tests.rigs.ledger import Verdict
from tests.servers import Azurite, Postgres, azurite, postgres
from tests.servers_broker import RabbitMq, rabbitmq
from tests.servers_mail import free_port, wait_for_port
from tests.unit.server.place import BoxAtPlace

DOMAIN = "many.lokole.test"
ANN = f"ann@{DOMAIN}"
#: what a piece of work is held for without a sign of life: so long a kill may put it off
LEASE = "4s"
#: what chance chooses from; the parts that matter most come more often
BLOWS = ("server", "worker", "worker-child", "server", "worker", "worker-child", "database", "broker", "roll-server", "roll-worker")  # fmt: skip


@dataclass
class Program:
    """A ``lokole`` command that is ended and started again, with its own data folder and log."""

    command: str
    settings: dict[str, str]
    folder: Path
    port: int | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; a server is waited for."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*LOKOLE, self.command],
                env=environment(self.settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_up(self) -> None:
        if self.port is not None:
            wait_for_port(self.port, self.process, seconds=90)

    def kill(self) -> None:
        """It and all its processes, as a machine ends that loses its power."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Politely; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self._end(signal.SIGKILL)

    def kill_child(self, dice: random.Random) -> None:
        """One of its processes."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError, IndexError):
            os.kill(int(dice.choice(children.read_text().split())), signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            self.process.wait()

    @property
    def said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@dataclass
class Many:
    """Everything that runs, and what was promised."""

    folder: Path
    database: Postgres
    broker: RabbitMq
    url: str
    servers: list[Program]
    workers: list[Program]
    world: Path
    blows: Counter[str] = field(default_factory=Counter)
    promised: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    taken: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    webhook: str = ""

    # --- what people do --------------------------------------------------------------------------

    def ask(self, method: str, path: str, **what: Any) -> httpx2.Response:
        """One request to either server; a server that is down is the other's turn."""
        for attempt in range(2_000):
            server = self.servers[(attempt + threading.get_ident()) % len(self.servers)]
            try:
                answer = httpx2.request(method, f"http://127.0.0.1:{server.port}{path}", timeout=20, **what)
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise TimeoutError(path)

    def register(self) -> BoxAtPlace:
        """A domain with its box and one person."""
        self.ask("POST", "/api/email/register/", json={"domain": DOMAIN}, auth=REGISTRATION)
        while (got := self.ask("GET", f"/api/email/register/{DOMAIN}", auth=REGISTRATION)).status_code != 200:
            time.sleep(0.2)
        details = got.json()
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT device_id FROM tenant WHERE domain = %s", (DOMAIN,)).fetchone()
        assert row is not None
        place: Any = SimpleNamespace(
            client=SimpleNamespace(post=lambda path, **what: self.ask("POST", path, **what), request=self._signed),
            ports=SimpleNamespace(entropy=os.urandom),
            row=lambda domain: SimpleNamespace(device_id=row[0]),
        )
        box = BoxAtPlace(place, DOMAIN, details["webhook"])
        box.claim(details["code"])
        box.put([AccountRecord(ANN, language="en", version=1)])
        self.webhook = box.webhook
        return box

    def _signed(self, method: str, path: str, **what: Any) -> httpx2.Response:
        """A signed request is said once: a repeat would need another counter."""
        server = self.servers[random.randrange(len(self.servers))]
        return httpx2.request(method, f"http://127.0.0.1:{server.port}{path}", timeout=20, **what)

    def send_letters(self, name: str, pause: float) -> None:
        """Post letters as a provider does: the same bytes again until the answer is yes."""
        n = 0
        while not self.over.is_set():
            token, n = f"in {name} {n}", n + 1
            raw = world.letter(token, [ANN])
            while not any(world.post(server.port or 0, self.webhook, raw, [ANN]) for server in self.servers):
                if self.over.wait(0.1):
                    return  # nobody said yes
            self.promised.append(token)
            time.sleep(pause)

    def visit(self, box: BoxAtPlace, pause: float) -> None:
        """Be the box: hand over a package until it is taken, take home what waits."""
        n = 0
        while not self.over.is_set():
            token, n = f"out {n}", n + 1
            letter = EmailRecord(
                f"{n:032x}", Email(sender=Contact(ANN), to=(Contact("bob@example.org"),), subject=token)
            )
            box.seq += 1
            while not self._tried(lambda letter=letter: box.put([letter], seq=box.seq)):
                time.sleep(0.1)
            self.written.append(token)
            self._tried(lambda: self.take(box))
            self.over.wait(pause)

    def take(self, box: BoxAtPlace) -> int:
        """Fetch and acknowledge; a package that was taken before is not taken twice, as on a real box."""
        offered = box.offers()
        for one in offered:
            name = (one["epoch"], one["seq"])
            letters = [record.email.subject for record in box.get(one) if isinstance(record, EmailRecord)]
            self.taken.setdefault(name, letters)
            box.acknowledge(one["epoch"], 0, [seq for epoch, seq in self.taken if epoch == one["epoch"]])
        return len(offered)

    @staticmethod
    def _tried(what: Any) -> bool:
        with suppress(httpx2.TransportError, AssertionError):
            what()
            return True
        return False

    # --- what breaks -----------------------------------------------------------------------------

    def strike(self, blow: str, dice: random.Random) -> None:
        """Break one thing and mend it."""
        self.blows[blow] += 1
        server, worker = dice.choice(self.servers), dice.choice(self.workers)
        down = dice.uniform(0, 3)
        if blow == "server":
            server.kill()
            time.sleep(down)
            server.start()
            server.wait_until_up()
        elif blow == "worker":
            worker.kill()
            time.sleep(down)
            worker.start()
        elif blow == "worker-child":
            worker.kill_child(dice)
        elif blow == "database":
            self.database.kill()
            time.sleep(down)
            self.database.start()
        elif blow == "broker":
            self.broker.kill()
            time.sleep(down)
            self.broker.start()
        elif blow == "roll-server":
            server.stop()
            server.start()
            server.wait_until_up()
        else:
            worker.stop()
            worker.start()

    # --- what came of it -------------------------------------------------------------------------

    def settle(self, box: BoxAtPlace, seconds: float) -> None:
        """Until no work is left and nothing waits for the box."""
        end = time.monotonic() + seconds
        while True:
            with (
                suppress(psycopg.Error, httpx2.TransportError, AssertionError),
                psycopg.connect(self.url) as connection,
            ):
                query = "SELECT kind, count(*), max(error) FROM job WHERE state = 'ready' GROUP BY 1"
                left = connection.execute(query).fetchall()
                if not left and not self.take(box):
                    return
                if time.monotonic() > end:
                    raise TimeoutError(f"work is left: {left}")
            time.sleep(0.3)

    def judge(self) -> Verdict:
        """Compare what the box and the world have with what was promised."""
        verdict = Verdict()
        home = Counter(subject for letters in self.taken.values() for subject in letters)
        for token in self.promised:
            if not home[token]:
                verdict.lost.append(token)
        verdict.doubled += [f"{token}: {count} times" for token, count in home.items() if count > 1]
        outside: dict[str, list[str]] = {}
        for one in world.taken(self.world):
            outside.setdefault(one.subject, []).append(one.message_id)
        for token in self.written:
            ids = outside.get(token, [])
            if not ids:
                verdict.lost.append(token)
            elif len(set(ids)) > 1:
                verdict.doubled.append(f"{token}: {len(ids)} times")
            verdict.repeated += max(0, len(ids) - 1)
        # what may be said twice to the world: one letter for each worker process that was killed
        if verdict.repeated > sum(self.blows[blow] for blow in ("worker", "worker-child", "database")):
            verdict.doubled.append(f"{verdict.repeated} letters went out twice, more than were at work")
        with psycopg.connect(self.url) as connection:
            dead = connection.execute("SELECT kind, error FROM job WHERE state = 'dead'").fetchall()
            apart = connection.execute("SELECT kind, reason FROM quarantine").fetchall()
        verdict.broken += [f"given up: {row}" for row in dead] + [f"set apart: {row}" for row in apart]
        return verdict


@contextmanager
def running(servers: int = 2, workers: int = 2) -> Iterator[Many]:
    """The whole of it, in a folder of its own."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="lokole-many-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        store: Azurite = stack.enter_context(azurite())
        database: Postgres = stack.enter_context(postgres())
        broker: RabbitMq = stack.enter_context(rabbitmq())
        outside, smtp = folder / "world", free_port()
        (outside / "now").mkdir(parents=True)
        (outside / "current").write_text(str(outside / "now"))
        taker = subprocess.Popen(
            [sys.executable, "-c", f"from pathlib import Path; from tests.rigs import world; world.serve({smtp}, Path({str(outside)!r}))"]
        )  # fmt: skip
        stack.callback(taker.wait)
        stack.callback(taker.kill)
        url = database.new_database()
        shared = {
            "LOKOLE_DATABASE": url,
            "LOKOLE_BLOBS": store.new_container("letters"),
            "LOKOLE_BLOBS_KEY": store.account_key,
            "LOKOLE_JOBS": broker.new_queue(),
            "LOKOLE_JOBS_PASSWORD": "guest",
            "LOKOLE_MAIL_OUT": f"smtp://127.0.0.1:{smtp}",
            "LOKOLE_RECIPIENTS_A_DAY": "0",
            "LOKOLE_SMTP_LISTEN": "off",
            "LOKOLE_REGISTRATION_USERNAME": REGISTRATION[0],
            "LOKOLE_REGISTRATION_PASSWORD": REGISTRATION[1],
            "LOKOLE_WORKERS": "1",
            "LOKOLE_LEASE": LEASE,
        }
        programs: list[Program] = []
        for n in range(servers + workers):
            place = folder / f"program-{n}"
            own = {**shared, "LOKOLE_DATA": str(place / "data")}
            port = None
            if n < servers:
                port = free_port()
                own["LOKOLE_LISTEN"] = f"127.0.0.1:{port}"
            programs.append(Program("server" if n < servers else "worker", own, place, port))
        many = Many(folder, database, broker, url, programs[:servers], programs[servers:], outside / "now")
        for program in programs:
            stack.callback(program.kill)
            program.start()
            if program is programs[0]:
                program.wait_until_up()  # it makes the tables
        for program in programs:
            program.wait_until_up()
        yield many


def prove(
    seconds: float, seed: int, *, blows: Sequence[str] = (), senders: int = 2, pause: float = 0.1, tail: float = 240
) -> dict[str, Any]:
    """Run the load for ``seconds`` (or until all of ``blows`` were struck), then judge; the line of the result."""
    began = time.monotonic()
    dice = random.Random(seed)
    with running() as many:
        box = many.register()
        threads = [threading.Thread(target=many.send_letters, args=(str(n), pause)) for n in range(senders)]
        threads.append(threading.Thread(target=many.visit, args=(box, 10 * pause)))
        for thread in threads:
            thread.start()
        try:
            left, end = list(blows), time.monotonic() + seconds
            while left or (not blows and time.monotonic() < end):
                time.sleep(dice.uniform(0.5, 1) if blows else dice.uniform(1, 6))
                many.strike(left.pop(0) if left else dice.choice(BLOWS), dice)
            time.sleep(1)
        finally:
            many.over.set()
            for thread in threads:
                thread.join(60)
        try:
            many.settle(box, tail)
            verdict = many.judge()
        except TimeoutError as error:
            verdict = Verdict(broken=[str(error)])
        if verdict.bad:
            for program in (*many.servers, *many.workers):
                print(f"--- {program.command}\n{program.said[-3000:]}", file=sys.stderr)
        for one in verdict.bad:
            print(f"BAD {one}", file=sys.stderr)
        return {
            "rig": "many",
            "seed": seed,
            "blows": sum(many.blows.values()),
            **{blow.replace("-", "_"): many.blows[blow] for blow in dict.fromkeys(BLOWS)},
            "letters_in": len(many.promised),
            "letters_out": len(many.written),
            "bad": len(verdict.bad),
            "lost": len(verdict.lost),
            "doubled": len(verdict.doubled),
            "repeated": verdict.repeated,
            "seconds": round(time.monotonic() - began, 1),
        }


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.many")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--note", action="store_true", help="add the result to docs/proof.md")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    line = prove(options.seconds, seed)
    print(json.dumps(line), flush=True)
    if options.note:
        rig.note("many", line)
    return 1 if line["bad"] else 0


if __name__ == "__main__":
    sys.exit(main())
