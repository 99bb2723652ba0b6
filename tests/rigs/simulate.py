"""P1 and P22: ``lokole simulate`` to its full number, seed after seed; the line goes into ``docs/proof.md`` with ``--note``.

A failure names its seed; ``lokole simulate --nights 25 --boxes 4 --seed SEED --trace FILE`` repeats it bit for bit.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from random import SystemRandom

from lokole.simulate import Figures, Options, simulate_seeds
from lokole.simulate.faults import kinds_of
from lokole.simulate.ledger import problems
from tests.rigs.rig import note

NIGHTS, BOXES = 25, 4


def main() -> None:
    """Run until so many exchanges were simulated; exits with 1 when a letter was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.simulate")
    parser.add_argument("--syncs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**9))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--faults", default="all")
    parser.add_argument("--note", action="store_true", help="add the result to docs/proof.md")
    asked = parser.parse_args()
    options = Options(nights=NIGHTS, boxes=BOXES, faults=kinds_of(asked.faults))
    seeds = range(asked.seed, asked.seed - (-asked.syncs // (NIGHTS * BOXES)))
    figures, struck, repeats, started = Figures(), Counter[str](), 0, time.monotonic()
    for seed, outcome in simulate_seeds(options, seeds, jobs=asked.jobs):
        figures = figures.and_also(outcome.figures)
        struck.update(outcome.struck)
        repeats += outcome.reply_lost_repeats
        for line in problems(outcome.trace):
            print(f"seed {seed}: {line}", file=sys.stderr, flush=True)
    told = replace(figures, seconds=time.monotonic() - started).line()
    result = {"seed": asked.seed, **told, "faults": struck.total(), "repeated": repeats}
    print(json.dumps(result))
    if asked.note:
        note("simulate", result)
    sys.exit(0 if figures.is_good else 1)


if __name__ == "__main__":
    main()
