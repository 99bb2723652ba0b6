"""Pages of a real ``lokole device`` over a full mailbox: the inbox and the search, their CPU and the inbox's bytes.

All letters belong to the person who asks, the worst case; CPU is that of all the box's processes, per page.
A small mailbox is asked in turn with the large one, so that a machine that is busy for a while is so for both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.letters import ABSENT_WORD, COMMON_WORD
from tests.bench.mailbox import PASSWORD, PERSON, FilledMailbox
from tests.bench.measure import Figure, tree_cpu_seconds
from tests.e2e.processes import Device, Visitor, device

FEW, MANY = 5_000, 50_000
_ROUNDS = 8
_LOADS = 25
_INBOX = "/email/inbox"
_ABSENT = f"/email/search?query={ABSENT_WORD}"
_COMMON = f"/email/search?query={COMMON_WORD}"


@dataclass
class Asked:
    """One path of one box: what each round cost, in milliseconds per page, and how large the page was."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    html_bytes: int = 0

    @property
    def cpu(self) -> float:
        return statistics.median(self.cpu_ms)

    @property
    def wall(self) -> float:
        return statistics.median(self.wall_ms)


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        small, large = (_box(Path(folder) / str(count), count) for count in (FEW, MANY))
        at_small, at_large = (stack.enter_context(box.pages()) for box in (small, large))
        for visitor in (at_small, at_large):
            answer = visitor.post("/user/login", {"name": PERSON, "password": PASSWORD})
            assert answer.status == 303, (answer.status, answer.body[:500])
        few, many, absent, common = Asked(), Asked(), Asked(), Asked()
        for _ in range(_ROUNDS):
            _ask(few, small, at_small, _INBOX)
            _ask(many, large, at_large, _INBOX)
            _ask(absent, large, at_large, _ABSENT)
            _ask(common, large, at_large, _COMMON)
    yield Figure("inbox_50k_cpu_ms", many.cpu, "ms")
    yield Figure("inbox_5k_cpu_ms", few.cpu, "ms")
    yield Figure("inbox_growth_10x", many.cpu / few.cpu, "ratio")
    yield Figure("inbox_html_bytes", many.html_bytes, "bytes")
    yield Figure("search_50k_cpu_ms", max(absent.cpu, common.cpu), "ms")
    yield Figure("search_50k_no_hit_cpu_ms", absent.cpu, "ms")
    yield Figure("search_50k_common_word_cpu_ms", common.cpu, "ms")
    yield Figure("wall_inbox_50k_ms", many.wall, "ms")
    yield Figure("wall_search_50k_common_word_ms", common.wall, "ms")


def _box(folder: Path, count: int) -> Device:
    """A box that has run once, with ``count`` letters in it."""
    box = device(folder)
    with box.pages():
        pass  # the first start makes the database
    mailbox = FilledMailbox(Path(box.settings["LOKOLE_DATA"]))
    mailbox.fill(count)
    mailbox.close()
    return box


def _ask(asked: Asked, box: Device, visitor: Visitor, path: str) -> None:
    """One round of loads of ``path``; the very first is to warm up."""
    assert box.process is not None
    answer = visitor.get(path)
    assert answer.status == 200, (path, answer.status)
    cpu, wall = tree_cpu_seconds(box.process.pid), time.perf_counter()
    for _ in range(_LOADS):
        visitor.get(path)
    asked.cpu_ms.append((tree_cpu_seconds(box.process.pid) - cpu) * 1000 / _LOADS)
    asked.wall_ms.append((time.perf_counter() - wall) * 1000 / _LOADS)
    asked.html_bytes = len(answer.body)
