"""Property P2: SIGKILL before, in and after every call of a sync that writes, on the box and on the server; then on as if nothing had been.

A trial is named ``SIDE:N:MODE``: the process of that side ends at its N-th such call. All is started again and synced to the end,
and each letter must be everywhere it belongs exactly once. The world may get one letter again under the same Message-ID when
the server ended between handing it over and writing that down; those are counted as ``repeated``.

The calls are seen by ``shim.c``; ``--check`` compares what it counts with what strace counts.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.rigs import rig, scenario, world
from tests.rigs.ledger import Ledger, judge, settle
from tests.rigs.place import Place, Program, Stuck, outside, until_idle
from tests.rigs.shim import Control

#: how the calls of strace are called by the shim
TRACED = {
    "write": "write", "pwrite64": "write", "writev": "write", "pwritev": "write", "pwritev2": "write",
    "fsync": "sync", "fdatasync": "sync", "rename": "rename", "renameat": "rename", "renameat2": "rename",
    "link": "link", "linkat": "link", "unlink": "unlink", "unlinkat": "unlink", "rmdir": "unlink",
    "sendto": "send", "sendmsg": "send", "sendmmsg": "send", "sendfile": "send", "connect": "connect",
    "truncate": "truncate", "ftruncate": "truncate", "fallocate": "truncate", "copy_file_range": "write", "splice": "write",
    "open": "create", "openat": "create", "creat": "create", "mkdir": "mkdir", "mkdirat": "mkdir",
}  # fmt: skip
#: the server's threads do not make the same calls in every run; a point that is never reached is not counted
MARGIN = 1.1
points: dict[str, int] = {}


def trials(template: Place, ledger: Ledger, rng: random.Random) -> Sequence[str]:
    """All points of both sides, shuffled; found by watching one exchange that nothing breaks."""
    watched = _watch(template, ledger)
    points.update({side: len(calls) for side, calls in watched.items()})
    found = []
    for side, calls in watched.items():
        count = len(calls) if side == "box" else round(len(calls) * MARGIN)
        found += [f"{side}:{n}:{mode}" for n in range(1, count + 1) for mode in ("before", "after")]
        found += [f"{side}:{n}:midst" for n, kind in enumerate(calls, start=1) if kind == "send"]
    rng.shuffle(found)
    return found


def _watch(template: Place, ledger: Ledger) -> dict[str, list[str]]:
    """The calls of both sides in one exchange as :func:`do` makes it, unbroken."""
    found: dict[str, list[str]] = {}
    root = template.root.parent / "watched"
    with outside(template.root.parent, template.ports.world) as keep_in:
        for side in ("box", "server"):
            place = scenario.fresh_copy(template, root)
            keep_in(place.world)
            try:
                watched = server = place.start_server()
                assert server.control is not None
                server.control.count_from_now()
                expected = ledger
                if side == "server":
                    sender, expected = _late_sender(place, ledger)
                    assert place.sync()["result"] == "ok"
                    _end(place, sender)
                else:
                    watched = place.start_sync(Control.count_from_now)
                    assert watched.wait() == 0, watched.said()
                    settle(place)
                assert watched.control is not None
                found[side] = watched.control.calls()
                verdict = judge(place, expected)
                assert not verdict.bad, verdict.bad
            finally:
                place.stop_all()
                shutil.rmtree(root)
    return found


def do(bench: rig.Bench, name: str) -> rig.Outcome:
    """One kill; see the module."""
    side, number, mode = name.split(":")
    n = int(number)
    place = scenario.fresh_copy(bench.template, bench.folder)
    bench.world_keeps_in(place.world)
    try:
        if side == "box":
            place.start_server()
            sync = place.start_sync(lambda control: _kill_from_start(control, n, mode))
            happened = sync.wait() == -signal.SIGKILL
            settle(place)
            return rig.Outcome(judge(place, bench.ledger), happened)
        server = place.start_server()
        sender, ledger = _late_sender(place, bench.ledger)
        assert server.control is not None
        server.control.kill(n, mode)
        server.control.count_from_now()
        sync = place.start_sync()
        happened = _until_broken(place, server, sync)
        server.kill()
        place.start_server()
        sync.wait()
        _end(place, sender)
        return rig.Outcome(judge(place, ledger, may_repeat=True), happened)
    finally:
        place.stop_all()


def _kill_from_start(control: Control, n: int, mode: str) -> None:
    control.kill(n, mode)
    control.count_from_now()


def _until_broken(place: Place, server: Program, sync: Program) -> bool:
    """Wait for the server to be killed; False when it has done everything and lives."""
    while server.poll() is None:
        if sync.poll() is not None:
            with suppress(Stuck, OSError):  # it may have been killed just now
                settle(place, rounds=2, seconds=20)
            return server.poll() is not None
        time.sleep(0.002)
    return True


def _late_sender(place: Place, ledger: Ledger) -> tuple[Program, Ledger]:
    """Somebody outside who offers a letter until the server has it, in a process of their own."""
    promise, raw, recipients = scenario.late_letter()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if world.until_taken(place.ports.smtp, raw, recipients) else 1)
    sender = Program(pid, "sender", place.root / "none")
    place.running.append(sender)
    with_it = ledger.copy()
    with_it.promises.append(promise)
    return sender, with_it


def _end(place: Place, sender: Program) -> None:
    settle(place)
    if sender.wait(70) != 0:
        raise Stuck("the server took no letter from outside")
    until_idle(place)
    settle(place)


# --- is the shim right? --------------------------------------------------------------------------


def check(folder: Path) -> dict[str, Any]:
    """One sync under strace and shim at once; raises AssertionError when they differ.

    Returns what both saw. Raises PermissionError where strace may not trace.
    """
    from tests.rigs.place import Ports, import_programs

    import_programs()
    scenario.prepare(folder / "template", 1)
    place = scenario.fresh_copy(Place(folder / "template", Ports.free()), folder / "traced")
    with outside(folder, place.ports.world) as keep_in:
        keep_in(place.world)
        try:
            place.start_server()
            sync = place.start_sync(Control.count_from_now, stopped=True)
            os.waitpid(sync.pid, os.WUNTRACED)
            lines = folder / "strace"
            tracer = subprocess.Popen(
                ["strace", "-f", "-qq", "-o", str(lines), "-e", f"trace={','.join(TRACED)}", "-p", str(sync.pid)]
            )
            end = time.monotonic() + 20
            while f"TracerPid:\t{tracer.pid}" not in Path(f"/proc/{sync.pid}/status").read_text():
                if tracer.poll() is not None or time.monotonic() > end:
                    raise PermissionError("strace may not trace here")
                time.sleep(0.01)
            os.kill(sync.pid, signal.SIGCONT)
            assert sync.wait(120) == 0, sync.said()
            tracer.wait(20)
            assert sync.control is not None
            ours, theirs = Counter(sync.control.calls()), _counted(lines.read_text())
            assert ours == theirs, f"the shim saw {dict(ours)}, strace {dict(theirs)}"
            return dict(ours)
        finally:
            place.stop_all()


def _counted(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in text.splitlines():
        call = line.partition("(")[0].rpartition(" ")[2]
        kind = TRACED.get(call)
        if kind is None or "resumed>" in line:
            continue
        if kind == "create" and "O_CREAT" not in line and "O_TMPFILE" not in line:
            continue
        found[kind] += 1
    return found


def main() -> int:
    """The program."""
    rig.need_shim()
    if sys.argv[1:] == ["--check"]:
        if shutil.which("strace") is None:
            print("strace is not installed here (`make setup-test` installs it).", file=sys.stderr)
            return rig.CANNOT
        folder = rig.working_folder()
        try:
            print(check(folder))
        except PermissionError as error:
            print(f"{error}.", file=sys.stderr)
            return rig.CANNOT
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    options = rig.arguments("kill", trials=0)
    return rig.run("kill", options, prepare=scenario.prepare, trials=trials, do=do, extra=lambda: {"points": points})


if __name__ == "__main__":
    sys.exit(main())
