"""An update by a program of the operator's: real small scripts, real processes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lokole.adapters.updater.child import KEPT_BYTES, run
from lokole.adapters.updater.program import ProgramUpdater
from lokole.mail.errors import Refused, Temporary
from lokole.ports.updater import Update, UpdateState

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

Make = Callable[..., ProgramUpdater]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """An updater over a shell script in a folder ``at`` of the test's; ``version`` is the one that runs."""

    def made(script: str, *, version: str = "1.0", seconds: float = 60) -> ProgramUpdater:
        program = tmp_path / "update"
        program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{script}\n")
        program.chmod(0o755)
        return ProgramUpdater(program, tmp_path / "at", clock=lambda: NOW, version=version, seconds=seconds)

    return made


def ended(folder: Path) -> None:
    """Wait until nobody holds the lock of the update in ``folder``."""
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_the_wished_version_is_the_only_argument_and_its_end_is_remembered(make: Make, tmp_path: Path) -> None:
    updater = make('echo "$#: $1" > told; echo fine')
    assert updater.is_ready()
    assert updater.last() is None
    assert updater.start("2.1rc1") == "started"
    ended(tmp_path / "at")
    assert (tmp_path / "told").read_text() == "1: 2.1rc1\n"
    assert updater.last() == Update(UpdateState.DONE, "2.1rc1", NOW, "fine")
    assert make("", version="2.1rc1").last() == updater.last()


def test_without_a_version_there_is_no_argument(make: Make, tmp_path: Path) -> None:
    make('echo "$#" > told').start("")
    ended(tmp_path / "at")
    assert (tmp_path / "told").read_text() == "0\n"


@pytest.mark.parametrize(
    "version", ["-x", "--help", "../x", "1.0;reboot", "$(reboot)", "1 0", "1.0\n", "x", "1" * 50, "1.0/..", "１.0"]
)
def test_what_is_no_version_never_reaches_the_program(make: Make, tmp_path: Path, version: str) -> None:
    updater = make("touch told")
    with pytest.raises(Refused) as raised:
        updater.start(version)
    assert raised.value.code == "version"
    assert updater.last() is None
    assert not (tmp_path / "told").exists()


def test_a_failure_is_said_with_the_end_of_what_the_program_said(make: Make, tmp_path: Path) -> None:
    updater = make("seq 1 20000; printf '\\033[31mno \\000room\\033[0m\\n' >&2; exit 7")
    updater.start("")
    ended(tmp_path / "at")
    last = updater.last()
    assert last is not None
    assert last.state is UpdateState.FAILED
    assert last.said.endswith("\n20000\nno room")
    assert len(last.said) <= KEPT_BYTES


def test_there_is_one_update_at_a_time_for_every_process(make: Make, tmp_path: Path) -> None:
    updater = make("mkfifo gate; echo begun > began; read line < gate")
    updater.start("2.0")
    other = make("mkfifo gate; echo begun > began; read line < gate")
    assert updater.start("2.0") == other.start("3.0") == "busy"
    running = other.last()
    assert running is not None
    assert (running.state, running.version) == (UpdateState.RUNNING, "2.0")
    while not (tmp_path / "gate").exists():
        os.sched_yield()
    (tmp_path / "gate").write_text("go\n")
    ended(tmp_path / "at")
    assert updater.last() == Update(UpdateState.DONE, "2.0", NOW)
    assert (tmp_path / "began").read_text() == "begun\n"


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    code, said = run(["/bin/sh", "-c", f"echo slow; sleep 1000 & echo $! > {tmp_path}/pid; wait"], 0.5)
    assert code == -1
    assert said == "slow\nIt took longer than 0.5 seconds."
    pid = int((tmp_path / "pid").read_text())
    status = Path(f"/proc/{pid}/stat")
    # ended, though perhaps nobody has asked for its end yet
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_something_left_behind_does_not_keep_an_update_open(tmp_path: Path) -> None:
    code, said = run(["/bin/sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid; echo done"], 60)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert (code, said) == (0, "done")


def test_a_program_that_cannot_be_run_is_a_failure_with_its_name(make: Make, tmp_path: Path) -> None:
    updater = make("")
    (tmp_path / "update").chmod(0o600)
    assert not updater.is_ready()
    updater.start("")
    ended(tmp_path / "at")
    last = updater.last()
    assert last is not None
    assert last.state is UpdateState.FAILED
    assert last.said == f"{tmp_path}/update: Permission denied"
    (tmp_path / "update").unlink()
    assert not updater.is_ready()


@pytest.mark.parametrize(
    ("wished", "now", "state"),
    [
        ("", "1.0", UpdateState.CUT),
        ("", "2.0", UpdateState.DONE),
        ("2.0", "1.0", UpdateState.CUT),
        ("2.0", "2.0", UpdateState.DONE),
    ],
)
def test_when_everything_was_ended_with_the_box_the_version_says_what_became_of_it(
    make: Make, tmp_path: Path, wished: str, now: str, state: UpdateState
) -> None:
    # the program ends the process that began it all, as systemd ends all of a service
    updater = make("kill -9 $PPID")
    updater.start(wished)
    ended(tmp_path / "at")
    found = make("", version=now).last()
    assert found == Update(state, wished, NOW)


def test_the_result_of_an_older_update_is_not_that_of_this_one(make: Make, tmp_path: Path) -> None:
    updater = make("exit 1")
    updater.start("")
    ended(tmp_path / "at")
    begun = tmp_path / "at" / "begun.json"
    begun.write_text(json.dumps(json.loads(begun.read_text()) | {"id": "another"}))
    last = updater.last()
    assert last is not None
    assert last.state is UpdateState.CUT


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 1, "version": "", "before": "", "began_at": 1e300}'])
def test_a_file_that_broke_is_no_update(make: Make, tmp_path: Path, text: str) -> None:
    (tmp_path / "at").mkdir()
    (tmp_path / "at" / "begun.json").write_text(text)
    assert make("").last() is None


def test_a_disk_that_takes_nothing_is_said(make: Make, tmp_path: Path) -> None:
    (tmp_path / "at").write_text("in the way")
    with pytest.raises(Temporary):
        make("").start("")
