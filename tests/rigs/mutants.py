"""Property P24: every sabotage of ``mutant_list.py`` is seen by the tests that it names.

The tree is copied, the tests pass there unharmed, then one mutant at a time is applied and one of its tests must fail.
A test that cannot run is no test that fails: only the exit code of failed tests counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from tests.rigs.mutant_list import MUTANTS, Mutant
from tests.rigs.rig import note

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "src",
    "tests",
    "docs",
    "requirements",
    "tools",
    "pyproject.toml",
    "README.md",
    "Makefile",
    "babel.cfg",
    "babel.pot",
)
#: exit codes of pytest
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Result:
    """What became of a mutant: ``caught``, ``survived``, ``gone`` (its text is not there once) or ``broken`` (its tests did not run)."""

    mutant: Mutant
    word: str
    seconds: float
    said: str = ""


def apply(mutant: Mutant, root: Path) -> str | None:
    """The changed text of the mutant's file, or None when its text is not there exactly once."""
    text = (root / "src" / "lokole" / mutant.file).read_text(encoding="utf-8")
    return text.replace(mutant.old, mutant.new) if text.count(mutant.old) == 1 else None


def copy_tree(target: Path) -> Path:
    """A copy of this repository that tests can run in."""
    target.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif source.exists():
            shutil.copy(source, target / name)
    if (ROOT / "node_modules").is_dir():
        (target / "node_modules").symlink_to(ROOT / "node_modules")
    return target


def run_tests(
    tree: Path, tests: Sequence[str], *, without: Sequence[str] = (), whole: bool = False, seconds: float = 300
) -> tuple[int, str]:
    """pytest's exit code in ``tree`` and the end of what it said; a run that takes too long has failed.

    It ends at the first failure unless ``whole``; the tests of ``without`` are left out.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LOKOLE_") or name == "LOKOLE_TEST_SHARED"
    }
    environment["PYTHONPATH"] = str(tree / "src")
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    environment.setdefault("LOKOLE_TEST_SHARED", str(ROOT.parent / "shared"))
    environment.pop("CI", None)  # what a machine cannot start is not what is asked here
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *([] if whole else ["-x"])]
    command += [*tests, *(f"--deselect={one}" for one in without)]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return FAILED, "it did not come to an end"
    return done.returncode, (done.stdout + done.stderr)[-3000:]


def prove(mutant: Mutant, tree: Path, without: Sequence[str] = ()) -> Result:
    """Apply one mutant to ``tree``, run its tests but ``without`` some, and put the tree right again."""
    began = time.monotonic()
    changed = apply(mutant, tree)
    if changed is None:
        return Result(mutant, "gone", 0.0)
    path = tree / "src" / "lokole" / mutant.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(changed, encoding="utf-8")
    try:
        code, said = run_tests(tree, mutant.tests, without=without)
    finally:
        path.write_text(whole, encoding="utf-8")
    word = {FAILED: "caught", PASSED: "survived"}.get(code, "broken")
    if word == "caught" and (
        "ImportError while loading" in said or "SyntaxError" in said or "error during collection" in said
    ):
        word = "broken"
    return Result(mutant, word, time.monotonic() - began, said)


@contextmanager
def trees(count: int) -> Iterator[Queue[Path]]:
    """``count`` copies, handed out one at a time."""
    with tempfile.TemporaryDirectory(prefix="lokole-mutants-") as folder:
        free: Queue[Path] = Queue()
        for k in range(count):
            free.put(copy_tree(Path(folder) / str(k)))
        yield free


def main() -> int:
    """The program; exit code 1 when a mutant lives."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.mutants")
    parser.add_argument("--only", action="append", help="words of a mutant's name")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--note", action="store_true", help="add the result to docs/proof.md")
    options = parser.parse_args()
    chosen = [one for one in MUTANTS if not options.only or any(words in one.name for words in options.only)]
    began = time.monotonic()
    red: list[str] = []
    with trees(options.workers) as free, ThreadPoolExecutor(options.workers) as pool:

        def at_a_tree(mutant: Mutant) -> Result:
            tree = free.get()
            try:
                result = prove(mutant, tree, red)
            finally:
                free.put(tree)
            print(f"{result.word:9} {result.seconds:5.1f} s  {mutant.property:4} {mutant.name}", flush=True)
            if result.word == "broken":
                print(result.said, flush=True)
            return result

        def unharmed(tests: list[str]) -> tuple[int, str]:
            tree = free.get()
            try:
                return run_tests(tree, tests, whole=True, seconds=1500)
            finally:
                free.put(tree)

        files = sorted({test for one in chosen for test in one.tests})
        for code, said in pool.map(
            unharmed, [part for k in range(options.workers) if (part := files[k :: options.workers])]
        ):
            # what is red without any sabotage shows nothing
            red += [line.split()[1] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
            if code != PASSED:
                print(f"the tests should pass unharmed and end with {code}:\n{said}", flush=True)
            if code not in (PASSED, FAILED):
                return 1
        found = list(pool.map(at_a_tree, chosen))
    caught = [one for one in found if one.word == "caught"]
    line = {
        "rig": "mutants",
        "mutants": len(found),
        "caught": len(caught),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(f"caught {len(caught)} of {len(found)}")
    print(json.dumps(line))
    for one in found:
        if one.word != "caught":
            print(f"{one.word}: {one.mutant.name} ({one.mutant.file})")
    if options.note and not options.only:
        note("mutants", line)
    return 0 if len(caught) == len(found) and not red else 1


if __name__ == "__main__":
    sys.exit(main())
