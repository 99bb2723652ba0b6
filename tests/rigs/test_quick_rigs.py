"""A part of each rig with a seed of its own; the full numbers are for ``make proof-NAME``."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs.rig import CANNOT
from tests.servers_mail import cannot_start

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


def run(name: str, *options: str) -> dict[str, int]:
    """Run a rig; its result. Where it cannot run here the test is skipped with its sentence.

    Its trials take half a minute; a machine that is busy with much else has four.
    """
    seed = random.SystemRandom().randrange(2**32)
    print(f"python -m tests.rigs.{name} --seed {seed} {' '.join(options)}")
    done = subprocess.run(
        [sys.executable, "-m", f"tests.rigs.{name}", "--workers", "1", "--seed", str(seed), "--seconds", "240", *options],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    if done.returncode == CANNOT:
        cannot_start(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    result: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize(("name", "trials"), [("kill", 8), ("power", 1), ("disk", 3), ("clock", 3)])
def test_nothing_is_lost_and_nothing_doubled(name: str, trials: int) -> None:
    result = run(name, "--trials", str(trials))
    assert result["trials"] >= 1
    assert (result["bad"], result["lost"], result["doubled"]) == (0, 0, 0)
