"""What each part of a running server costs, and what two cores would bear by that.

The machine is shared with other work, so a rate by the clock says little: CPU seconds per letter of every part do.
Two cores carry all parts and whoever loads them; one Python process uses one core at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.bench.measure import Figure, own_cpu_seconds, tree_cpu_seconds

CORES = 2
LOAD = "load"


@dataclass
class Shares:
    """CPU seconds of each part while a block ran, and how long it took by the clock; filled when the block ends."""

    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: float = 0.0

    def per_second(self, count: int, *single: str) -> float:
        """How many of ``count`` things two cores do in a second; each of the parts ``single`` has one of them at most."""
        return count / max(sum(self.cpu_s.values()) / CORES, *(self.cpu_s[name] for name in single))

    def figures(self, name: str, count: int) -> Iterator[Figure]:
        """Milliseconds of CPU of each part for one thing, and the rate by the clock."""
        for part, used in self.cpu_s.items():
            yield Figure(f"{name}_{part}_cpu_ms", used / count * 1000, "ms")
        yield Figure(f"wall_{name}_per_s", count / self.wall_s, "1/s")


@contextmanager
def shared_by(parts: Mapping[str, int]) -> Iterator[Shares]:
    """Measure the processes at and below each pid of ``parts``, and this process as :data:`LOAD`."""
    shares = Shares()
    before = {name: tree_cpu_seconds(pid) for name, pid in parts.items()}
    own, began = own_cpu_seconds(), time.perf_counter()
    yield shares
    shares.wall_s = time.perf_counter() - began
    shares.cpu_s = {name: tree_cpu_seconds(pid) - before[name] for name, pid in parts.items()}
    shares.cpu_s[LOAD] = own_cpu_seconds() - own
