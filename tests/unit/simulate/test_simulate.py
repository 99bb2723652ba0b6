"""The simulator: its runs replay, calm runs deliver all, faults lose nothing, and it sees a build that does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random, SystemRandom

import pytest
from click.testing import CliRunner

from lokole.cli import main
from lokole.simulate import Options, simulate, simulate_seeds
from lokole.simulate.faults import KINDS, RARE, Chaos, kinds_of
from lokole.simulate.ledger import problems
from tests.unit.simulate import sabotage

FAULTS = frozenset(KINDS) - RARE
MOST_SEEDS = 30


def test_a_calm_run_delivers_every_letter_and_is_short_of_nothing() -> None:
    outcome = simulate(Options(nights=4, boxes=2, seed=7, faults=frozenset()))
    figures = outcome.figures
    assert list(problems(outcome.trace)) == []
    assert figures.syncs == 8
    assert figures.letters == figures.delivered + figures.refused
    assert figures.delivered > 15
    assert outcome.struck == {}
    assert outcome.reply_lost_repeats == 0


def test_a_seed_replays_bit_for_bit_in_another_process() -> None:
    options = Options(nights=4, boxes=2, seed=11, faults=frozenset(KINDS))
    here = simulate(options)
    program = (
        "from lokole.simulate import Options, simulate; from lokole.simulate.faults import KINDS; "
        "print(simulate(Options(nights=4, boxes=2, seed=11, faults=frozenset(KINDS))).digest)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert there.stdout.strip() == here.digest
    assert simulate(Options(nights=1, boxes=2, seed=12)).digest != here.digest


def test_nothing_is_lost_or_doubled_under_faults_of_a_fresh_seed() -> None:
    seed = SystemRandom().randrange(10**9)
    print(f"seeds {seed} and {seed + 1}")
    for number, outcome in simulate_seeds(Options(nights=12, boxes=3, faults=FAULTS), [seed, seed + 1], jobs=2):
        assert list(problems(outcome.trace)) == [], f"lokole simulate --nights 12 --boxes 3 --seed {number}"
        assert outcome.figures.syncs == 36
        assert sum(outcome.struck.values()) > 20
        assert outcome.figures.letters > 60


@pytest.mark.parametrize("wrong", sabotage.ALL, ids=lambda one: one.__name__)
def test_a_build_that_loses_or_doubles_is_seen(wrong: sabotage.Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong(monkeypatch)
    faults = kinds_of(sabotage.ALL[wrong])
    tried = (simulate(Options(nights=6, boxes=2, seed=seed, faults=faults)) for seed in range(MOST_SEEDS))
    assert any(not outcome.figures.is_good for outcome in tried)


def test_the_command_prints_one_line_and_writes_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    asked = ["--nights", "2", "--boxes", "1", "--seed", "3", "--faults", "none", "--trace", str(path)]
    done = CliRunner().invoke(main, ["simulate", *asked])
    trace = path.read_text(encoding="utf-8")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert list(told) == ["nights", "syncs", "letters", "delivered", "refused", "lost", "doubled", "silent", "seconds"]
    assert (told["nights"], told["syncs"]) == (2, 2)
    assert "night 001" in trace
    assert "ledger 1 to" in trace


def test_the_command_says_that_a_letter_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage.route_by_the_headers(monkeypatch)
    done = CliRunner().invoke(main, ["simulate", "--nights", "8", "--boxes", "1", "--seed", "1", "--faults", "none"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["lost"] + json.loads(done.stdout)["silent"] > 0
    assert "seed 1: ledger" in done.stderr


def test_an_unknown_fault_is_named() -> None:
    done = CliRunner().invoke(main, ["simulate", "--faults", "gremlins"])
    assert done.exit_code == 2
    assert "No such fault: gremlins" in done.stderr


def test_every_kind_of_fault_strikes() -> None:
    chaos = Chaos(Random(1), KINDS, lambda line: None)
    for _ in range(500):
        chaos.arm()
        for pool in sorted(set(KINDS.values())):
            for _ in range(3):
                chaos.at(pool, "somewhere")
    assert set(chaos.struck) == set(KINDS)
