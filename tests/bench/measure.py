"""How CPU, memory and time are measured: from ``/proc`` for processes beside us, by ``resource`` for our own.

CPU is user plus system time of all threads.
PSS is proportional set size (``smaps_rollup``), so that pages shared between processes count once.
Peak memory is ``VmHWM`` after it was reset, less the memory held before the work began.
Wall-clock rates are for reading only: the machine is shared.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024


@dataclass(frozen=True)
class Figure:
    """One line of the output."""

    name: str
    value: float
    unit: str


def process_tree(pid: int) -> list[int]:
    """``pid`` and every process that it and its children started and that is still there."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split() if int(child) not in found]
            except FileNotFoundError:
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """CPU seconds that ``pid`` and the children it has waited for have used; 10 ms fine, so measure many repeats."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / _TICK


def tree_cpu_seconds(pid: int) -> float:
    """CPU seconds of ``pid`` and all living processes below it."""
    return sum(cpu_seconds(one) for one in process_tree(pid))


def pss_mib(pids: Iterable[int]) -> float:
    """Proportional set size of the processes ``pids`` together, in MiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / _KIB


def own_cpu_seconds() -> float:
    """CPU seconds of this process and the children it has waited for."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


@dataclass
class Work:
    """What a block of work cost this process: filled when the block ends."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    idle_mib: float = 0.0
    peak_mib: float = 0.0
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def peak_over_idle_mib(self) -> float:
        return self.peak_mib - self.idle_mib


@contextmanager
def measured() -> Iterator[Work]:
    """Measure the block in this process; run it in a fresh process, since memory once taken is not given back."""
    work = Work()
    gc.collect()
    _reset_peak()
    work.idle_mib = _status_mib("VmRSS")
    cpu, wall = own_cpu_seconds(), time.perf_counter()
    yield work
    work.cpu_s = own_cpu_seconds() - cpu
    work.wall_s = time.perf_counter() - wall
    work.peak_mib = _status_mib("VmHWM")


def calibration_cpu_s() -> float:
    """CPU seconds of a fixed piece of work (hashing, dictionaries, text, JSON): what a second is worth on this machine."""
    started = time.process_time()
    counts: dict[str, int] = {}
    digest = hashlib.sha256()
    for n in range(300_000):
        word = f"word{n % 9973}"
        counts[word] = counts.get(word, 0) + len(word.upper())
        if n % 10 == 0:
            digest.update(word.encode() * 40)
    for _ in range(40):
        json.loads(json.dumps(counts, sort_keys=True))
    digest.hexdigest()
    return time.process_time() - started


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status_mib(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / _KIB
    raise LookupError(name)
