"""Properties P10 and P17: the state machine of the mailbox to its full number, shared out to processes with seeds of their own.

A failure prints what replays it. The address pairs of P12 are compared here too, a million of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time

from tests.rigs.mutants import ROOT
from tests.rigs.rig import note, working_folder

MACHINE = "tests/property/test_mailbox_machine.py::test_three_people_on_one_box_never_see_each_others_doings"
ADDRESSES = "tests/api/test_own_domain.py::test_two_addresses_never_become_one"
STEPS = 50


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.machines")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--note", action="store_true", help="add the result to docs/proof.md")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began, folder = time.monotonic(), working_folder()
    each = -(-options.runs // options.workers)
    try:
        programs = [
            _pytest(MACHINE, options.seed + k, folder / str(k), LOKOLE_TEST_MACHINE_RUNS=each)
            for k in range(options.workers)
        ]
        codes = [program.wait() for program in programs]
        codes.append(_pytest(ADDRESSES, options.seed, folder / "pairs", LOKOLE_TEST_ADDRESS_PAIRS=options.pairs).wait())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    line = {
        "rig": "machines",
        "seed": options.seed,
        "runs": each * options.workers,
        "steps": STEPS,
        "pairs": options.pairs,
        "bad": sum(code != 0 for code in codes),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(line), flush=True)
    if options.note:
        note("machines", line)
    return 1 if line["bad"] else 0


def _pytest(test: str, seed: int, folder: object, **settings: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}", test]
    environment = (
        os.environ | {"PYTHONPATH": str(ROOT / "src")} | {name: str(value) for name, value in settings.items()}
    )
    return subprocess.Popen([*command, f"--hypothesis-seed={seed}"], cwd=ROOT, env=environment)


if __name__ == "__main__":
    sys.exit(main())
