"""Property P8: a full or failing disk refuses, keeps, and goes on when it can.

A trial is a kind of trouble with a seed of its own:

- ``full``: the data folders of box and server lie on small file systems in memory, with room for 1 to 8 MB more, filled up at random and freed again;
- ``refusing``: calls of one program on its files answer ENOSPC, EIO or EROFS from one call on, for a while;
- ``files``: one program may open no further file for a while (EMFILE).

Meanwhile people write, senders hand letters in and the box visits. Whoever was told that a letter is on its way must be right,
and whoever was refused may be refused; a "sent" for a letter that was not kept is what this rig looks for.
When the trouble is over, programs that gave up are started again and everything goes on.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from tests.person_at import PersonAt
from tests.rigs import rig, scenario, shim, world
from tests.rigs.ledger import DOMAIN, Ledger, Promise, judge, settle
from tests.rigs.place import Place, Program, Stuck, query, sign_in, until_idle, write

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
#: file descriptors that a program may have at least, so that it lives at all
LEAST_FILES = 12
ROUNDS = 3
#: seconds; a program without file descriptors takes no connection, and a box waits for it
LONGEST_TROUBLE = 4.0
#: what SQLite may write beside a database before it takes it over (1,000 pages)
WAL_BYTES = 4 * 2**20
#: seconds that somebody waits for a program in trouble
PATIENCE = 4.0


def trials(template: Place, ledger: Ledger, rng: random.Random) -> Sequence[str]:
    """Each kind in turn, that without file descriptors, which is slow, every fifth time."""
    kinds = ("full", "refusing", "full", "refusing", "files") if can_mount() else ("refusing", "refusing", "files")
    return [f"{kinds[n % len(kinds)]}:{n}" for n in range(100_000)]


def do(bench: rig.Bench, name: str) -> rig.Outcome:
    """One trial."""
    kind = name.partition(":")[0]
    rng = random.Random(f"{bench.seed}:{name}")
    shutil.rmtree(bench.folder, ignore_errors=True)
    bench.folder.mkdir()
    (bench.folder / "webhook").write_text((bench.template.root / "webhook").read_text())
    place = Place(bench.folder, bench.template.ports)
    bench.world_keeps_in(place.world)
    ledger = bench.ledger.copy()
    with _disks(bench, place, rng if kind == "full" else None) as fill:
        try:
            programs = {"server": place.start_server(), "device": place.start_pages()}
            people = {name: sign_in(place, name) for name in ("ann", "ben")}
            for n in range(ROUNDS):
                with _trouble(kind, place, programs, rng, fill):
                    _mail(place, people, ledger, rng, f"{n} in trouble")
                    sync = place.start_sync(_impatient)
                    _mail(place, people, ledger, rng, f"{n} while it syncs")
                    with suppress(Stuck):
                        sync.wait(LONGEST_TROUBLE, kill=False)
                sync.wait(120)
                _mend(place, programs)
                _mail(place, people, ledger, rng, f"{n} after it", sure=True)
            _settle_in_time(place, programs["server"])
            return rig.Outcome(judge(place, ledger, may_repeat=True))
        finally:
            place.stop_all()


def _impatient(control: shim.Control) -> None:
    """A box gives a line on which nobody answers up after a minute; here after seconds."""
    control.page.longest_poll = round(LONGEST_TROUBLE * 1500)


# --- troubles ------------------------------------------------------------------------------------


@contextmanager
def _disks(bench: rig.Bench, place: Place, rng: random.Random | None) -> Iterator[dict[str, Path]]:
    """The data folders, with ``rng`` each on a small file system of its own; where they are."""
    found: dict[str, Path] = {}
    mounted = []
    try:
        for side in ("box", "server"):
            above = bench.folder / f"{side}-disk"
            above.mkdir()
            if rng is not None:
                used = sum(path.stat().st_blocks * 512 for path in (bench.template.root / side).rglob("*"))
                size = used + WAL_BYTES + rng.randrange(2**20, 8 * 2**20)
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(above)], check=True)
                mounted.append(above)
            shutil.copytree(bench.template.root / side, above / "data")
            found[side] = above
        place.box_data, place.server_data = found["box"] / "data", found["server"] / "data"
        yield found
    finally:
        place.stop_all()
        for above in mounted:
            for _ in range(50):
                if subprocess.run(["umount", str(above)], capture_output=True, check=False).returncode == 0:
                    break
                time.sleep(0.05)


@contextmanager
def _trouble(
    kind: str, place: Place, programs: dict[str, Program], rng: random.Random, disks: dict[str, Path]
) -> Iterator[None]:
    """The trouble lasts as long as the block."""
    side = rng.choice(("box", "server"))
    program = programs["device" if side == "box" else "server"]
    if kind == "full":
        fillers = [_fill(disks[one], rng) for one in ("box", "server") if one == side or rng.random() < 0.3]
        try:
            yield
        finally:
            for filler in fillers:
                filler.unlink()
    elif kind == "refusing":
        assert program.control is not None
        data = place.box_data if side == "box" else place.server_data
        program.control.count_from_now()
        kinds = tuple(rng.sample(shim.STORING, rng.randrange(1, len(shim.STORING))))
        first = rng.randrange(1, 150)
        program.control.refuse(kinds, rng.choice(ERRORS), first, first + rng.randrange(1, 200), data)
        try:
            yield
        finally:
            program.control.page.on = 0
    else:
        before = resource.prlimit(program.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (LEAST_FILES + rng.randrange(20), before[1]))
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                resource.prlimit(program.pid, resource.RLIMIT_NOFILE, before)


def _fill(folder: Path, rng: random.Random) -> Path:
    """A file that leaves between nothing and 200 kB."""
    filler = folder / "filler"
    left = rng.choice((0, 0, rng.randrange(200_000)))
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            free = os.statvfs(folder)
            size = free.f_bavail * free.f_frsize - left
            if size <= 0:
                break
            file.write(bytes(min(size, 2**16)))
    return filler


def _mend(place: Place, programs: dict[str, Program]) -> None:
    """What the trouble ended is started again, as systemd does."""
    for name, start in (("server", place.start_server), ("device", place.start_pages)):
        if programs[name].poll() is not None:
            programs[name] = start()


def _settle_in_time(place: Place, server: Program) -> None:
    """To the end, with the time that work which failed waits for its next attempt; the server's clock is moved for that."""
    assert server.control is not None
    for hours in (0, 1, 7, 14, 21):
        server.control.page.clock_offset = hours * 3600
        try:
            settle(place)
        except Stuck as error:
            raise Stuck(f"{error}\nserver: {server.stacks()}") from error
        if not query(place.databases()[1], "SELECT 1 FROM job WHERE state = 'ready'"):
            return
        time.sleep(1.2)  # the worker looks once a second
        until_idle(place, ahead=hours * 3600)
    raise Stuck(
        f"the server still has work: {query(place.databases()[1], 'SELECT kind, attempts, error FROM job WHERE state = ?', 'ready')}"
    )


# --- letters meanwhile ---------------------------------------------------------------------------


def _mail(
    place: Place, people: dict[str, PersonAt], ledger: Ledger, rng: random.Random, when: str, *, sure: bool = False
) -> None:
    """One letter from the pages, one from outside; ``sure`` when nothing stands in their way."""
    name, other = rng.sample(("ann", "ben"), 2)
    file = rng.randbytes(rng.randrange(1, 30_000)) if rng.random() < 0.6 else None
    digest = None if file is None else sha256(file).hexdigest()
    promise = Promise(f"P {when}", (other,) if rng.random() < 0.5 else (), ("bob@example.org",), name, digest)
    to = ", ".join(["bob@example.org", *(f"{one}@{DOMAIN}" for one in promise.people)])
    status = 0
    people[name].seconds = PATIENCE * (4 if sure else 1)
    with suppress(OSError, AssertionError):
        status = write(people[name], promise.token, to, file=file)
    if sure and status != 200:
        raise Stuck(f"the pages still refuse a letter: {status}")
    (ledger.promises if status == 200 else ledger.maybe).append(promise)

    promise = Promise(f"S {when}", (name,), file=digest)
    raw = world.letter(promise.token, [f"{name}@{DOMAIN}"], file)
    if rng.random() < 0.5:
        taken = world.hand_in(place.ports.smtp, raw, [f"{name}@{DOMAIN}"], seconds=people[name].seconds)
    else:
        secret = (place.root / "webhook").read_text()
        taken = world.post(place.ports.http, secret, raw, [f"{name}@{DOMAIN}"], seconds=people[name].seconds)
    if sure and not taken:
        raise Stuck("the server still refuses a letter")
    (ledger.promises if taken else ledger.maybe).append(promise)


def can_mount() -> bool:
    """Whether this machine lets us mount a small file system."""
    if os.geteuid() != 0:
        return False
    folder = rig.working_folder()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if mounted.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)
        return mounted.returncode == 0
    except OSError:
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """The program."""
    rig.need_shim()
    options = rig.arguments("disk", trials=500)
    if not can_mount():
        print("A small file system cannot be mounted here: full disks are left out.", file=sys.stderr)
    return rig.run("disk", options, prepare=scenario.prepare, trials=trials, do=do)


if __name__ == "__main__":
    sys.exit(main())
