"""Two exchanges never run at once, in one process or in two."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lokole.device.lock import OneAtATime
from lokole.mail.errors import Refused


def test_whoever_comes_second_is_told_at_once(tmp_path: Path) -> None:
    lock = OneAtATime(tmp_path / "lock")
    with lock.held():
        assert lock.is_held_here()
        for other in (lock, OneAtATime(tmp_path / "lock")):
            with pytest.raises(Refused) as caught, other.held():
                raise AssertionError("both are in there")
            assert caught.value.code == "busy"
    assert not lock.is_held_here()
    with lock.held():
        pass


def test_a_lock_ends_with_whatever_happens_inside(tmp_path: Path) -> None:
    lock = OneAtATime(tmp_path / "lock")
    with pytest.raises(ZeroDivisionError), lock.held():
        raise ZeroDivisionError
    with lock.held():
        pass


def test_another_process_is_kept_out_and_its_sudden_end_lets_us_in(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys, pathlib; from lokole.device.lock import OneAtATime\n"
        "with OneAtATime(pathlib.Path(sys.argv[1])).held(): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(Refused), OneAtATime(path).held():
            pass
        other.kill()
        other.wait()
        with OneAtATime(path).held():
            pass
