"""How a rig runs: the shim loaded, the programs imported once, trials shared out to workers, one JSON line at the end.

Every trial is drawn from the seed that the line names; ``--only`` repeats one of them. With ``--note`` the line goes into
``docs/proof.md`` as well.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.rigs import shim
from tests.rigs.ledger import Ledger, Verdict
from tests.rigs.place import PR_SET_PDEATHSIG, Place, Ports, import_programs, outside

#: what a rig that cannot run here exits with, after a sentence on standard error
CANNOT = 77
#: of sched.h: mounts of one's own
CLONE_NEWNS = 0x00020000
PROOF = Path(__file__).resolve().parents[2] / "docs" / "proof.md"


@dataclass
class Outcome:
    """What came of a trial. ``happened`` is False when the programs never came to the point at which they were to be broken.

    ``count`` is how often they were broken in it.
    """

    verdict: Verdict = field(default_factory=Verdict)
    happened: bool = True
    count: int = 1


@dataclass(frozen=True)
class Bench:
    """What a worker has for its trials: a prepared place that it copies, a folder of its own, the world."""

    template: Place
    ledger: Ledger
    folder: Path
    world_keeps_in: Callable[[Path], None]
    seed: int


#: does one trial
Do = Callable[[Bench, str], Outcome]


def arguments(name: str, *, trials: int) -> argparse.Namespace:
    """The options that every rig has."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.rigs.{name}")
    parser.add_argument("--trials", type=int, default=trials, help="at most so many, drawn by the seed (0: all)")
    parser.add_argument("--seconds", type=float, default=1700, help="begin no trial after this time")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", action="append", help="the trial of this name, as a line of a failure says")
    parser.add_argument("--note", action="store_true", help="add the result to docs/proof.md")
    parser.add_argument("--keep", action="store_true", help="leave the folder of a failure where it is")
    return parser.parse_args()


def need_shim() -> None:
    """Run this process again with the shim loaded, unless it is; exits with :data:`CANNOT` where it cannot be built."""
    library = shim.built()
    if library is None:
        print(
            "No C compiler is here, which this rig needs to build its shim (`make setup-test` installs it).",
            file=sys.stderr,
        )
        sys.exit(CANNOT)
    if os.environ.get("LD_PRELOAD") != str(library):
        os.environ["LD_PRELOAD"] = str(library)
        spec = sys.modules["__main__"].__spec__
        assert spec is not None
        os.execv(sys.executable, [sys.executable, "-m", spec.name, *sys.argv[1:]])


def working_folder() -> Path:
    """A new folder, in memory where the system has some: a killed process leaves to the kernel what it wrote, whatever lies below."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="lokole-rig-", dir=memory if os.access(memory, os.W_OK) else None))


def run(
    name: str,
    options: argparse.Namespace,
    *,
    prepare: Callable[[Path, int], Ledger],
    trials: Callable[[Place, Ledger, random.Random], Sequence[str]],
    do: Do,
    extra: Callable[[], dict[str, Any]] = dict,
) -> int:
    """Prepare, do all trials, say what came of it; returns the exit code.

    ``trials`` names them in the order in which they are to be done; ``extra`` adds to the line of the result.
    """
    began = time.monotonic()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    print(f"seed {seed}", flush=True)
    import_programs()
    folder = working_folder()
    try:
        ledger = prepare(folder / "template", seed)
        template = Place(folder / "template", Ports.free())
        names = list(options.only or trials(template, ledger, random.Random(seed)))
        if options.trials and not options.only:
            names = names[: options.trials]
        found = _share_out(names, options, folder, template, ledger, seed, do, began)
        line = _summary(name, seed, names, found, time.monotonic() - began) | extra()
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    for one in found:
        if one["bad"]:
            print(f"BAD {one['name']}: {'; '.join(one['bad'])}", flush=True)
    print(json.dumps(line), flush=True)
    if options.note:
        note(name, line)
    return 1 if line["bad"] or (line["trials"] < len(names) and not options.only) else 0


def _share_out(
    names: list[str],
    options: argparse.Namespace,
    folder: Path,
    template: Place,
    ledger: Ledger,
    seed: int,
    do: Do,
    began: float,
) -> list[dict[str, Any]]:
    """Do the trials in ``options.workers`` processes; what each said, in the order of ``names``."""
    workers = max(1, min(options.workers, len(names)))
    pids = []
    for k in range(workers):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _work(names[k::workers], options, folder / f"worker-{k}", template, ledger, seed, do, began)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        pids.append(pid)
    try:
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    except BaseException:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        raise
    found = [
        json.loads(line) for k in range(workers) for line in (folder / f"worker-{k}" / "said").read_text().splitlines()
    ]
    if any(codes):
        broke = Outcome(Verdict(broken=["a worker of the rig broke"]), count=0)
        found.append(_told("-", broke))
    return found


def _work(
    names: list[str],
    options: argparse.Namespace,
    folder: Path,
    template: Place,
    ledger: Ledger,
    seed: int,
    do: Do,
    began: float,
) -> None:
    _live_alone()
    folder.mkdir()
    mine = Place(template.root, Ports.free())
    with outside(folder, mine.ports.world) as keep_in, (folder / "said").open("w") as said:
        for name in names:
            if time.monotonic() - began > options.seconds:
                break
            outcome = Outcome()
            bench = Bench(mine, ledger, folder / "place", keep_in, seed)
            try:
                outcome = do(bench, name)
            except Exception as error:
                traceback.print_exc()
                outcome.verdict.broken.append(f"{type(error).__name__}: {error}")
            verdict = outcome.verdict
            said.write(json.dumps(_told(name, outcome)) + "\n")
            said.flush()
            if verdict.bad:
                print(f"bad: {name}: {'; '.join(verdict.bad)}", file=sys.stderr, flush=True)
                if options.keep:
                    shutil.copytree(bench.folder, folder / f"bad-{name.replace(' ', '-')}", dirs_exist_ok=True)


def _live_alone() -> None:
    """End with the rig, and what is mounted with it: whoever stops a rig is left nothing to clean up."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.geteuid() == 0 and libc.unshare(CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False)


def _told(name: str, outcome: Outcome) -> dict[str, Any]:
    """An outcome as a worker writes it down."""
    verdict = outcome.verdict
    return {
        "name": name,
        "happened": outcome.happened,
        "count": outcome.count,
        "bad": verdict.bad,
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "repeated": verdict.repeated,
    }


def _summary(name: str, seed: int, names: list[str], found: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    done = [one for one in found if one["happened"]]
    return {
        "rig": name,
        "seed": seed,
        "asked": len(names),
        "trials": len(found),
        "reached": sum(one["count"] for one in done),
        "bad": sum(1 for one in found if one["bad"]),
        "lost": sum(one["lost"] for one in found),
        "doubled": sum(one["doubled"] for one in found),
        "repeated": sum(one["repeated"] for one in found),
        "seconds": round(seconds, 1),
    }


def note(name: str, line: dict[str, Any]) -> None:
    """Add a row to the table of ``docs/proof.md``."""
    result = ", ".join(f"{key} {value}" for key, value in line.items() if key not in ("rig", "seed"))
    row = f"| {datetime.now(UTC):%Y-%m-%d} | `make proof-{name}` | {line.get('seed', '')} | {result} |\n"
    with PROOF.open("a") as file:
        file.write(row)
