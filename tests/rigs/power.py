"""Property P3: the power goes at any moment, on the box, on the server, or on both; what was promised before is there afterwards.

The data folders lie on file systems of their own (ext4 on a loop device). While people write at the pages, senders hand letters in and
the box visits, the image of the one that loses its power is copied as it is on its disk at that moment: nothing is flushed,
what the kernel still held is gone. The copy is mounted anew (the journal is replayed), everything starts again and exchanges to the end.
The other side is copied as its programs see it. Promises are those that somebody had the answer to before the moment.

The copy is one moment and no smear: it counts only when the device has written nothing while it was made.
It loses the memory of the machine and not the cache inside a disk.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.person_at import PersonAt
from tests.rigs import rig, scenario, world
from tests.rigs.ledger import DOMAIN, WELCOME, Ledger, Promise, judge, settle
from tests.rigs.place import Place, Program, query, sign_in, sign_up, write

#: how often the power goes in one run
CUTS = 5
MEGABYTES = 24
WHO = ("box", "server", "both")
WORLD = ("bob@example.org", "dora@example.net", "erin@example.org")


@dataclass
class Disk:
    """An image and where it is mounted."""

    image: Path
    at: Path

    def mount(self) -> None:
        self.at.mkdir(parents=True, exist_ok=True)
        _run("mount", "-o", "loop", str(self.image), str(self.at))

    def unmount(self) -> None:
        # a process that was just killed may not have let go
        for _ in range(50):
            if subprocess.run(["umount", str(self.at)], capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise OSError(f"{self.at} cannot be unmounted")

    def writes(self) -> tuple[int, int]:
        """Writes that the device has done, and those it has at hand."""
        device = self.at.stat().st_dev
        numbers = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
        return int(numbers[4]), int(numbers[8])

    def copy_as_it_is(self, target: Path, before: Callable[[], None]) -> None:
        """The image at one moment; ``before`` is called before each attempt."""
        for _ in range(200):
            before()
            counted = self.writes()
            if counted[1] == 0:
                shutil.copyfile(self.image, target)
                if self.writes() == counted:
                    return
            time.sleep(0.001)
        raise OSError("the device never stops writing")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermissionError(f"{command[0]} does not work here: {done.stderr.strip()}")


def make_image(image: Path, content: Path) -> None:
    """An ext4 image with ``content`` in its folder ``data``, as a box's card has it."""
    above = image.with_suffix(".content")
    above.mkdir()
    shutil.copytree(content, above / "data")
    _run("mke2fs", "-q", "-t", "ext4", "-d", str(above), str(image), f"{MEGABYTES}M")
    shutil.rmtree(above)


def prepare(root: Path, seed: int) -> Ledger:
    """The scenario, and an image of each side."""
    ledger = scenario.prepare(root, seed)
    for side in ("box", "server"):
        make_image(root / f"{side}.img", root / side)
    return ledger


# --- what happens all the time -------------------------------------------------------------------


class Book:
    """What was begun and what was answered, a line each, written by several processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def note(self, word: str, promise: Promise) -> None:
        """``begun`` before somebody asks, ``done`` after the answer that says yes."""
        line = json.dumps({"word": word, **promise.__dict__}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, line.encode())
        os.close(descriptor)

    def read(self) -> tuple[list[Promise], list[Promise]]:
        """(done, begun)"""
        found: dict[str, list[Promise]] = {"done": [], "begun": []}
        for line in self._path.read_text().splitlines():
            told: dict[str, Any] = json.loads(line)
            word = told.pop("word")
            told["people"], told["outside"] = tuple(told["people"]), tuple(told["outside"])
            found[word].append(Promise(**told))
        return found["done"], found["begun"]


def _people(place: Place, book: Book, rng: random.Random) -> None:
    """Two people write letters without a pause; now and then somebody new signs up."""
    writers = {name: sign_in(place, name) for name in ("ann", "ben")}
    n = 0
    while True:
        n += 1
        if rng.random() < 0.1:
            name = f"new{n}"
            promise = Promise(WELCOME, people=(name,))
            book.note("begun", promise)
            with suppress(OSError, AssertionError):
                writers[name] = sign_up(place, name)
                book.note("done", promise)
            continue
        _write(place, book, rng, n, writers)
        time.sleep(rng.random() * 0.05)


def _write(place: Place, book: Book, rng: random.Random, n: int, writers: dict[str, PersonAt]) -> None:
    name = rng.choice(sorted(writers))
    outside = tuple(rng.sample(WORLD, rng.randrange(0, 3)))
    here = ("ann",) if name != "ann" and (not outside or rng.random() < 0.3) else () if outside else ("ben",)
    file = rng.randbytes(rng.randrange(1, 9000)) if rng.random() < 0.5 else None
    token = f"P{n} by {name}"
    promise = Promise(token, here, outside, name, None if file is None else sha256(file).hexdigest())
    book.note("begun", promise)
    with suppress(OSError, AssertionError):
        to = ", ".join([*outside, *(f"{one}@{DOMAIN}" for one in here)])
        if write(writers[name], token, to, file=file) == 200:
            book.note("done", promise)


def _senders(place: Place, book: Book, rng: random.Random) -> None:
    """Letters from outside come without a pause, by SMTP and by webhook."""
    secret = (place.root / "webhook").read_text()
    n = 0
    while True:
        n += 1
        people = tuple(rng.sample(("ann", "ben"), rng.randrange(1, 3)))
        recipients = [f"{name}@{DOMAIN}" for name in people]
        file = rng.randbytes(rng.randrange(1, 9000)) if rng.random() < 0.5 else None
        promise = Promise(f"S{n}", people, file=None if file is None else sha256(file).hexdigest())
        raw = world.letter(promise.token, recipients, file)
        book.note("begun", promise)
        if rng.random() < 0.5:
            taken = world.hand_in(place.ports.smtp, raw, recipients)
        else:
            taken = world.post(place.ports.http, secret, raw, recipients)
        if taken:
            book.note("done", promise)
        time.sleep(rng.random() * 0.05)


def _actor(place: Place, act: Callable[[Place, Book, random.Random], None], book: Book, rng: random.Random) -> Program:
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            act(place, book, rng)
        os._exit(1)
    program = Program(pid, act.__name__, place.root / "none")
    place.running.append(program)
    return program


# --- a run and its cuts --------------------------------------------------------------------------


@dataclass
class Cut:
    """What is left after the power went on the side ``who``; ``ledger`` are the promises of before."""

    folder: Path
    who: str
    ledger: Ledger = field(default_factory=Ledger)


def do(bench: rig.Bench, name: str) -> rig.Outcome:
    """One run with several cuts, each judged afterwards."""
    rng = random.Random(f"{bench.seed}:{name}")
    outcome = rig.Outcome(count=0)
    shutil.rmtree(bench.folder, ignore_errors=True)
    bench.folder.mkdir()
    for cut in _exchange(bench, rng):
        verdict = _after(bench, cut)
        outcome.count += 1
        outcome.verdict.lost += [f"{cut.who} {cut.folder.name}: {one}" for one in verdict.lost]
        outcome.verdict.doubled += [f"{cut.who} {cut.folder.name}: {one}" for one in verdict.doubled]
        outcome.verdict.broken += [f"{cut.who} {cut.folder.name}: {one}" for one in verdict.broken]
        outcome.verdict.repeated += verdict.repeated
    return outcome


@contextmanager
def _mounted(bench: rig.Bench) -> Iterator[tuple[Place, dict[str, Disk]]]:
    root = bench.folder / "live"
    root.mkdir()
    disks = {side: Disk(root / f"{side}.img", root / f"{side}-disk") for side in ("box", "server")}
    place = Place(root, bench.template.ports)
    (root / "webhook").write_text((bench.template.root / "webhook").read_text())
    mounted = []
    try:
        for side, disk in disks.items():
            shutil.copyfile(bench.template.root / f"{side}.img", disk.image)
            disk.mount()
            mounted.append(disk)
        place.box_data, place.server_data = disks["box"].at / "data", disks["server"].at / "data"
        yield place, disks
    finally:
        place.stop_all()
        for disk in mounted:
            disk.unmount()


def _exchange(bench: rig.Bench, rng: random.Random) -> list[Cut]:
    """Let everybody be busy and cut the power at random moments; what was left each time."""
    cuts: list[Cut] = []
    with _mounted(bench) as (place, disks):
        bench.world_keeps_in(place.world)
        book = Book(place.root / "book")
        place.start_server()
        place.start_pages()
        _actor(place, _people, book, random.Random(rng.random()))
        _actor(place, _senders, book, random.Random(rng.random()))
        next_cut = time.monotonic() + 0.4 + rng.random() * 1.5
        sync = place.start_sync()
        while len(cuts) < CUTS:
            if sync.poll() is not None:
                place.running.remove(sync)
                sync = place.start_sync()
            if time.monotonic() >= next_cut:
                cuts.append(_cut(bench, place, disks, book, rng.choice(WHO), len(cuts), rng.random() < 0.5))
                next_cut = time.monotonic() + rng.random() * 1.2
            time.sleep(rng.random() * 0.003)
    for cut in cuts:
        cut.ledger.promises = [*bench.ledger.promises, *cut.ledger.promises]
    return cuts


def _cut(
    bench: rig.Bench, place: Place, disks: dict[str, Disk], book: Book, who: str, number: int, at_once: bool
) -> Cut:
    """The disks as they are now. ``at_once``: without waiting until what is in the kernel comes back from it."""
    cut = Cut(bench.folder / f"cut-{number}", who)
    cut.folder.mkdir()
    running = [one for one in place.running if one.poll() is None]
    for program in running:
        os.kill(program.pid, signal.SIGSTOP)
    if not at_once:
        _until_stopped(running)
    try:

        def promised() -> None:
            cut.ledger.promises = book.read()[0]

        first, *others = ["box", "server"] if who != "server" else ["server", "box"]
        disks[first].copy_as_it_is(cut.folder / f"{first}.img", promised)
        _until_stopped(running)
        for side in others:
            if who == "both":
                disks[side].copy_as_it_is(cut.folder / f"{side}.img", lambda: None)
            else:
                shutil.copytree(disks[side].at / "data", cut.folder / side)
        shutil.copytree(place.world, cut.folder / "world")
        cut.ledger.maybe = book.read()[1]
    finally:
        for program in running:
            os.kill(program.pid, signal.SIGCONT)
    return cut


def _until_stopped(programs: Sequence[Program]) -> None:
    for program in programs:
        for _ in range(2000):
            with suppress(FileNotFoundError):
                if Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZ":
                    break
            time.sleep(0.001)


def _after(bench: rig.Bench, cut: Cut) -> Any:
    """The power is back: mount, start, exchange to the end, compare."""
    place = Place(cut.folder, bench.template.ports)
    bench.world_keeps_in(place.world)
    mounted = []
    try:
        for side in ("box", "server"):
            image = cut.folder / f"{side}.img"
            if image.exists():
                disk = Disk(image, cut.folder / f"{side}-disk")
                disk.mount()
                mounted.append(disk)
                setattr(place, f"{side}_data", disk.at / "data")
        place.start_server()
        settle(place)
        verdict = judge(place, _of_people(place, cut.ledger), may_repeat=True)
        return verdict
    finally:
        place.stop_all()
        for disk in mounted:
            disk.unmount()
        shutil.rmtree(cut.folder, ignore_errors=True)


def _of_people(place: Place, ledger: Ledger) -> Ledger:
    """The letter of welcome is one promise for all of its people; who may have signed up has it when they are there."""
    there = {name for (name,) in query(place.databases()[0], "SELECT name FROM account")}
    sure = {name for one in ledger.promises if one.token == WELCOME for name in one.people}
    perhaps = {name for one in ledger.maybe if one.token == WELCOME for name in one.people} & there
    return Ledger(
        [
            *(one for one in ledger.promises if one.token != WELCOME),
            Promise(WELCOME, people=tuple(sorted(sure | perhaps))),
        ],
        [one for one in ledger.maybe if one.token != WELCOME],
    )


def trials(template: Place, ledger: Ledger, rng: random.Random) -> Sequence[str]:
    """Runs without end; the option says how many."""
    return [str(n) for n in range(100_000)]


def main() -> int:
    """The program."""
    if not can_mount():
        print(
            "A file system in a file cannot be mounted here, which this rig needs (root and loop devices).",
            file=sys.stderr,
        )
        return rig.CANNOT
    rig.need_shim()
    options = rig.arguments("power", trials=100)
    return rig.run("power", options, prepare=prepare, trials=trials, do=do)


def can_mount() -> bool:
    """Whether this machine lets us mount an image."""
    if os.geteuid() != 0 or shutil.which("mke2fs") is None:
        return False
    folder = rig.working_folder()
    disk = Disk(folder / "x.img", folder / "x")
    try:
        _run("mke2fs", "-q", "-t", "ext4", str(disk.image), "8M")
        disk.mount()
        disk.unmount()
        return True
    except OSError:
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
