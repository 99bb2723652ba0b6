"""How a rig runs that needs no processes of its own: shares of its trials in forked workers, one JSON line at the end.

Every trial is drawn from the seed that the line names. With ``--note`` the line goes into ``docs/proof.md`` as well.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.rigs.rig import note

#: one worker's share: (seed, number of the worker, options, when the rig began) to its figures; "trials" and "bad" are among them
Share = Callable[[int, int, argparse.Namespace, float], dict[str, int]]


def arguments(module: str, *, seconds: float = 1700, named: bool = True) -> argparse.ArgumentParser:
    """The options that every such rig has, for more to be added; ``named``: its trials have names, and one can be done alone."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.rigs.{module}")
    parser.add_argument("--seconds", type=float, default=seconds, help="begin no trial after this time")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=2)
    if named:
        parser.add_argument("--only", action="append", help="the trial of this name, as a line of a failure says")
    parser.add_argument("--note", action="store_true", help="add the result to docs/proof.md")
    return parser


def turns(
    options: argparse.Namespace, names: Sequence[str], worker: int, began: float, figures: dict[str, int]
) -> Iterator[str]:
    """The names of this worker's trials (those of ``--only``, where it is given) until the time is up, each counted when it is done."""
    mine = (options.only or names)[worker :: options.workers]
    figures["asked"] = len(mine)
    for name in mine:
        if time.monotonic() - began > options.seconds:
            break
        yield name
        figures["trials"] += 1


def note_wrong(figures: dict[str, int], name: str, wrong: Sequence[str]) -> None:
    """Say and count what a trial has found, if anything."""
    if wrong:
        figures["bad"] += 1
        print(f"BAD {name}: {'; '.join(wrong)}", flush=True)


def run(name: str, options: argparse.Namespace, share: Share) -> int:
    """Let the workers do their shares and say what came of it; returns the exit code."""
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    print(f"seed {seed}", flush=True)
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    with multiprocessing.get_context("fork").Pool(options.workers) as pool:
        shares = [pool.apply_async(share, (seed, worker, options, began)) for worker in range(options.workers)]
        done = [one.get() for one in shares]
    line: dict[str, Any] = {"rig": name, "seed": seed}
    line |= {figure: sum(one[figure] for one in done) for figure in done[0]}
    line["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(line), flush=True)
    if options.note:
        note(name, line)
    return 1 if line["bad"] or line["trials"] < line["asked"] else 0
