"""The process that runs the program of an update, in a session of its own; started by ``adapters/updater/program.py`` and nothing else.

It keeps the end of what the program says, ends it when its time is over, and writes how it ended.
The lock of the folder is a file that it was given open; it goes with this process, however that ends.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

KEPT_BYTES = 4096
#: how often it is looked whether the program has ended while something that it left behind still holds its output
_LOOK_SECONDS = 0.2
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def main(arguments: list[str]) -> None:
    """``arguments``: the folder, the id of this update, seconds, the program and its arguments."""
    folder, id_, seconds, *command = arguments
    code, said = run(command, float(seconds))
    write_whole(Path(folder) / "ended.json", {"id": id_, "code": code, "said": said})


def run(command: list[str], seconds: float) -> tuple[int, str]:
    """The exit code of ``command`` (-1 when there is none) and the end of what it said; after ``seconds`` all of it is ended."""
    try:
        program = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        return -1, f"{command[0]}: {error.strerror}"
    assert program.stdout is not None
    with program.stdout as output:
        return _watch(program, output.fileno(), seconds)


def _watch(program: subprocess.Popen[bytes], output: int, seconds: float) -> tuple[int, str]:
    end, kept = time.monotonic() + seconds, b""
    os.set_blocking(output, False)
    while True:
        over = program.poll() is not None
        if not over and time.monotonic() > end:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            return -1, _text(kept, f"It took longer than {seconds:g} seconds.")
        if not over:
            select.select([output], [], [], _LOOK_SECONDS)
        kept, closed = _taken(output, kept)
        if closed:
            with suppress(subprocess.TimeoutExpired):
                program.wait(_LOOK_SECONDS)
        if over:
            return program.returncode, _text(kept)


def write_whole(path: Path, value: Mapping[str, object]) -> None:
    """``value`` as JSON in ``path``: all of it or what was there before, also when the power goes."""
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _taken(output: int, kept: bytes) -> tuple[bytes, bool]:
    """What is there to be read, its end only, and whether nothing more will come."""
    # bounded, so that a program that never stops talking cannot keep us from looking at the time
    for _ in range(256):
        try:
            piece = os.read(output, 65536)
        except BlockingIOError:
            return kept, False
        if not piece:
            return kept, True
        kept = (kept + piece)[-KEPT_BYTES:]
    return kept, False


def _text(kept: bytes, more: str = "") -> str:
    lines = _COLOURS.sub("", kept.decode("utf-8", "replace")).replace("\r", "\n").splitlines()
    said = "\n".join("".join(sign for sign in line if sign.isprintable()) for line in lines if line.strip())
    return "\n".join(part for part in (said, more) if part)


if __name__ == "__main__":
    main(sys.argv[1:])
