"""One simulation: nights with faults, then calm nights in which everything must arrive, then the judgement.

A night of a village: people write, read and delete; the world writes in; the box meets the server; the server works.
Before each meeting one to three faults are armed. The figures count a letter once for each of its recipients.
"""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random

from starlette.types import ASGIApp

from lokole.simulate.faults import KINDS, Chaos, PowerCut
from lokole.simulate.ledger import Found, Ledger, Verdict, judge
from lokole.simulate.link import Town
from lokole.simulate.machines import BoxMachine, ServerMachine, World
from lokole.simulate.outside import MailServers
from lokole.simulate.senders import Senders
from lokole.simulate.village import Site, Villages

#: after so many calm nights whatever still waits is lost
CALM_NIGHTS = 12
_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder with a name nobody can guess is made in it


@dataclass(frozen=True, slots=True)
class Options:
    """What to simulate; ``faults`` are kinds of ``faults.py``."""

    nights: int = 20
    boxes: int = 3
    seed: int = 0
    faults: frozenset[str] = frozenset(KINDS)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one or several simulations came to; ``seconds`` on the wall clock, which is no part of the trace."""

    nights: int = 0
    syncs: int = 0
    letters: int = 0
    delivered: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    silent: int = 0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Nothing lost, nothing doubled."""
        return self.lost + self.doubled + self.silent == 0

    def line(self) -> dict[str, int | float]:
        """What is printed."""
        return asdict(self) | {"seconds": round(self.seconds, 1)}

    def and_also(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(
            *(mine + theirs for mine, theirs in zip(asdict(self).values(), asdict(other).values(), strict=True))
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One simulation: its figures, its trace with the ledger at the end, how often each fault struck."""

    figures: Figures
    trace: tuple[str, ...]
    struck: dict[str, int] = field(default_factory=dict)
    reply_lost_repeats: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the trace: equal for equal seeds."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def simulate(options: Options) -> Outcome:
    """Run one simulation in a folder that is removed afterwards."""
    started = time.perf_counter()
    where = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="lokole-simulate-", dir=where) as folder, _silence():
        simulation = _Simulation(options, Path(folder))
        try:
            verdict = simulation.run()
        finally:
            simulation.close()
    figures = Figures(
        nights=options.nights,
        syncs=simulation.syncs,
        letters=verdict.letters,
        delivered=verdict.delivered,
        refused=verdict.refused,
        lost=verdict.lost,
        doubled=verdict.doubled,
        silent=verdict.silent,
        seconds=time.perf_counter() - started,
    )
    trace = (*simulation.trace, *verdict.lines)
    return Outcome(figures, trace, dict(sorted(simulation.chaos.struck.items())), verdict.reply_lost_repeats)


def simulate_seeds(options: Options, seeds: Sequence[int], *, jobs: int = 1) -> Iterator[tuple[int, Outcome]]:
    """One simulation for each of ``seeds``, in that order, ``jobs`` at a time in processes of their own."""
    each = [replace(options, seed=seed) for seed in seeds]
    if jobs == 1 or len(each) == 1:
        for one in each:
            yield one.seed, simulate(one)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from zip(seeds, pool.map(simulate, each), strict=True)


@contextmanager
def _silence() -> Iterator[None]:
    """The logs of the programs are for operators; here they would tell of nothing but the faults."""
    names = ("lokole", "asyncio")
    levels = [logging.getLogger(name).level for name in names]
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in zip(names, levels, strict=True):
            logging.getLogger(name).setLevel(level)


class _Simulation:
    def __init__(self, options: Options, folder: Path) -> None:
        self._options = options
        self._night = 0
        self.syncs = 0
        self.trace: list[str] = []
        self._rng = Random(f"people {options.seed}")  # noqa: S311  # it must be the same every time
        self.chaos = Chaos(Random(f"faults {options.seed}"), options.faults, self._tell)  # noqa: S311
        self._world = World(str(options.seed), folder, self.chaos, self._tell)
        self._ledger = Ledger()
        self._mail = MailServers(self.chaos, self._tell)
        self._server = ServerMachine(self._world, self._mail)
        self._town = Town(self._reach, self._work_beside)
        self._senders = Senders(self._rng, self.chaos, self._tell, self._ledger)
        self._villages = Villages(self._world, self._rng, self._ledger, self._town, self._server)
        self._calm = True
        for number in range(1, options.boxes + 1):
            self._villages.found(f"box{number}")

    def run(self) -> Verdict:
        """All nights and the judgement."""
        self._calm = not self._options.faults
        for night in range(1, self._options.nights + 1):
            self._night = night
            for site in self._rng.sample(self._villages.sites, len(self._villages.sites)):
                self._night_of(site)
            self._server.work()
            if self._rng.random() < 0.3:
                self._server.sweep()
        self._settle()
        return self._judge()

    def close(self) -> None:
        """Give everything back."""
        for site in self._villages.sites:
            for machine in site.machines:
                machine.take_away()
        self._server.take_away()
        self._town.close()

    # --- nights ------------------------------------------------------------------------------

    def _night_of(self, site: Site) -> None:
        rng = self._rng
        self._world.let_pass(hours=24 / len(self._villages.sites))
        if not self._calm:
            self.chaos.arm()
            self._accidents(site)
        self._life(site)
        for machine in tuple(site.machines):
            if machine is not site.machines[0]:
                self.chaos.arm()
            self._senders.carry(self._town, self._server)
            if not self._calm and machine.wrong_by and rng.random() < 0.5:
                machine.reboot()
                machine.set_right()
            self.syncs += 1
            if not self._visit(machine) and rng.random() < 0.3:
                self._world.let_pass(minutes=20)
                self._visit(machine)
            self._server.work(rng.choice((0, 1, 1000)))
        self.chaos.disarm()
        if "box-restored" in self._options.faults and not self._calm:
            self._villages.back_up(site, self._night)

    def _accidents(self, site: Site) -> None:
        fault = self.chaos.at("night", site.name)
        if fault is None or len(site.machines) > 1:
            return
        if fault.kind == "box-restored" and site.backups:
            self._villages.restore(site, fault.dice)
        elif fault.kind == "box-cloned":
            self._villages.clone(site)

    def _life(self, site: Site) -> None:
        rng = self._rng
        for _ in range(rng.choice((0, 1, 2, 3))):
            self._villages.write(site)
        for _ in range(rng.choice((0, 1, 2))):
            self._villages.read_and_delete(site)
        for _ in range(rng.choice((0, 1, 2))):
            self._write_in(site)
        if rng.random() < 0.05:
            name = f"new{self._ledger.new_mark()}"
            if rng.random() < 0.5:
                self._write_in(site, site.address(name))  # before anybody at the server knows them
            self._villages.sign_up(site, name)

    def _write_in(self, site: Site, first: str | None = None) -> None:
        rng = self._rng
        recipients = [first or site.address(rng.choice(site.people))]
        while rng.random() < 0.3:
            recipients.append(rng.choice((site.address(rng.choice(site.people)), self._villages.somebody())))
        if rng.random() < 0.03:
            recipients.append(site.address(f"ghost{rng.randrange(3)}"))
        recipients = list(dict.fromkeys(recipients))
        hidden = [one for one in recipients if rng.random() < 0.3]
        secrets = {one.domain: one.secret for one in self._villages.sites} if rng.random() < 0.6 else {}
        domains = {one.rpartition("@")[2] for one in recipients}
        used = {domain: secret for domain, secret in secrets.items() if domain in domains}
        mark = self._ledger.new_mark()
        self._tell(f"world: writes {mark} to {', '.join(recipients)}{' by webhook' if used else ' by SMTP'}")
        self._senders.write(mark, recipients, secrets=used, hidden=hidden, copies=2 if rng.random() < 0.1 else 1)

    def _visit(self, machine: BoxMachine) -> bool:
        """The box meets the server; whether it says that all went well."""
        try:
            report = machine.ensure_on().sync()
        except PowerCut:
            self._tell(f"{machine.name}: power cut")
            return False
        self._tell(
            f"{machine.name}: met, {report.result}, {report.letters_up} up, {report.letters_down} down, "
            f"{report.quarantined} apart, {report.waiting} waiting"
        )
        return report.result == "ok"

    def _settle(self) -> None:
        """Calm nights, until nothing is on its way any more."""
        self.chaos.disarm()
        self._calm = True
        self._server.restart()
        for site in self._villages.sites:
            for machine in site.machines:
                machine.reboot()
                machine.set_right()
        for night in range(CALM_NIGHTS):
            self._night += 1
            for _ in range(4):
                self._senders.carry(self._town, self._server)
                self._world.let_pass(hours=6)
                self._server.work()
            for site in self._villages.sites:
                for machine in site.machines:
                    self._visit(machine)
            self._server.work()
            if night >= 2 and not self._is_under_way():
                break

    def _is_under_way(self) -> bool:
        disks = [self._server.disk, *(one.disk for site in self._villages.sites for one in site.machines)]
        return bool(
            self._senders.waiting
            or any(disk.rows("SELECT 1 FROM waiting WHERE state != 'delivered' LIMIT 1") for disk in disks)
            or self._server.disk.rows("SELECT 1 FROM job WHERE state = 'ready' LIMIT 1")
        )

    def _judge(self) -> Verdict:
        found = Found()
        for site in self._villages.sites:
            seen: dict[tuple[int, str], set[bytes]] = {}
            for machine in site.machines:
                found.read_box(machine.disk, site.domain, seen)
        found.read_server(self._server.disk)
        found.read_world(self._mail.taken, self._mail.unheard)
        found.refused |= self._mail.notices
        return judge(self._ledger, found)

    # --- what others call --------------------------------------------------------------------

    def _reach(self) -> ASGIApp:
        if not self._server.is_on and not self._calm and self._rng.random() < 0.4:
            raise ConnectionRefusedError("the server is off")
        return self._server.reach()

    def _work_beside(self) -> None:
        """The worker of the server goes on while a box is on the line."""
        if self._rng.random() < 0.4:
            self._server.work(self._rng.choice((1, 2, 5)))

    def _tell(self, what: str) -> None:
        self.trace.append(f"night {self._night:03} {what}")
