"""Twenty people at one box, each asking for the inbox of 50,000 letters every two seconds: how long a page takes, 95th percentile.

Once with the machine as it is, once with a quarter of one core for the whole box (a quota of the kernel), which is about a Pi 3.
Wall-clock times: they say something only on a machine that does nothing else.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.mailbox import PASSWORD, PERSON, FilledMailbox
from tests.bench.measure import Figure
from tests.e2e.processes import Device, Visitor, device

CLIENTS = 20
EVERY_S = 2.0
LENGTH_S = 40.0
LETTERS = 50_000
#: of one core, for all processes of the box together
SLOW = 0.25
_PERIOD_US = 20_000
_CGROUP = "lokole-bench"


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        box = device(Path(folder))
        with box.pages():
            pass  # the first start makes the database
        mailbox = FilledMailbox(Path(box.settings["LOKOLE_DATA"]))
        mailbox.fill(LETTERS)
        mailbox.close()
        with box.pages():
            first = _signed_in(box)
            # one sign-in: what is measured is the inbox, and a box lets nobody sign in twenty times a minute from one place
            visitors = [first, *(first.beside() for _ in range(CLIENTS - 1))]
            yield Figure("inbox_crowd_p95_ms", _p95(visitors), "ms")
            assert box.process is not None
            with _slowed(box.process.pid) as slowed:
                if slowed:
                    yield Figure("inbox_crowd_slow_p95_ms", _p95(visitors), "ms")
                else:
                    print("inbox_crowd_slow_p95_ms: no CPU quota can be set here", file=sys.stderr)
            for visitor in visitors:
                visitor.close()


def _signed_in(box: Device) -> Visitor:
    visitor = Visitor(box.port)
    answer = visitor.post("/user/login", {"name": PERSON, "password": PASSWORD})
    assert answer.status == 303, (answer.status, answer.body[:500])
    return visitor


def _p95(visitors: list[Visitor]) -> float:
    times: list[float] = []

    def come_back(visitor: Visitor, first: float) -> None:
        due = time.monotonic() + first
        end = due + LENGTH_S
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            started = time.perf_counter()
            answer = visitor.get("/email/inbox")
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status == 200, answer.status
            due += EVERY_S

    chance = random.Random(1)
    threads = [threading.Thread(target=come_back, args=(one, chance.random() * EVERY_S)) for one in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) > CLIENTS * LENGTH_S / EVERY_S * 0.9, f"only {len(times)} pages came"
    return statistics.quantiles(times, n=20)[-1]


@contextmanager
def _slowed(pid: int) -> Iterator[bool]:
    """Give ``pid`` a quarter of a core while the block lasts; False where the kernel or our rights do not let us."""
    first = Path("/sys/fs/cgroup/cpu")
    second = Path("/sys/fs/cgroup")
    quota = int(_PERIOD_US * SLOW)
    try:
        if first.is_dir():
            group = first / _CGROUP
            group.mkdir(exist_ok=True)
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            group = second / _CGROUP
            group.mkdir(exist_ok=True)
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        (group.parent / "cgroup.procs").write_text(str(pid))
        time.sleep(0.1)
        group.rmdir()


if __name__ == "__main__":
    for figure in measure():
        print(figure, os.getloadavg())
