"""Pages of a real ``lokole device`` over a full mailbox: the inbox and the search, their CPU and the inbox's bytes.

All letters belong to the person who asks, the worst case; CPU is that of all the box's processes, per page.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.letters import ABSENT_WORD, COMMON_WORD
from tests.bench.mailbox import PASSWORD, PERSON, FilledMailbox
from tests.bench.measure import Figure, tree_cpu_seconds
from tests.e2e.processes import Device, Visitor, device

FEW, MANY = 5_000, 50_000
_LOADS = 100


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        box = device(Path(folder))
        with box.pages():
            pass  # the first start makes the database
        mailbox = FilledMailbox(Path(box.settings["LOKOLE_DATA"]))
        mailbox.fill(FEW)
        with box.pages() as visitor:
            _sign_in(visitor)
            few_ms, _, _ = _page(box, visitor, "/email/inbox")
        mailbox.fill(MANY)
        mailbox.close()
        with box.pages() as visitor:
            _sign_in(visitor)
            many_ms, wall_ms, html_bytes = _page(box, visitor, "/email/inbox")
            absent_ms, _, _ = _page(box, visitor, f"/email/search?query={ABSENT_WORD}")
            common_ms, common_wall_ms, _ = _page(box, visitor, f"/email/search?query={COMMON_WORD}")
    yield Figure("inbox_50k_cpu_ms", many_ms, "ms")
    yield Figure("inbox_5k_cpu_ms", few_ms, "ms")
    yield Figure("search_50k_cpu_ms", max(absent_ms, common_ms), "ms")
    yield Figure("search_50k_no_hit_cpu_ms", absent_ms, "ms")
    yield Figure("search_50k_common_word_cpu_ms", common_ms, "ms")
    yield Figure("inbox_html_bytes", html_bytes, "bytes")
    yield Figure("inbox_growth_10x", many_ms / few_ms, "ratio")
    yield Figure("wall_inbox_50k_ms", wall_ms, "ms")
    yield Figure("wall_search_50k_common_word_ms", common_wall_ms, "ms")


def _sign_in(visitor: Visitor) -> None:
    answer = visitor.post("/user/login", {"name": PERSON, "password": PASSWORD})
    assert answer.status == 303, (answer.status, answer.body[:500])


def _page(box: Device, visitor: Visitor, path: str) -> tuple[float, float, int]:
    """(CPU milliseconds, wall milliseconds, bytes) of one load of ``path``, after a few to warm up."""
    assert box.process is not None
    for _ in range(10):
        visitor.get(path)
    cpu, wall = tree_cpu_seconds(box.process.pid), time.perf_counter()
    for _ in range(_LOADS):
        visitor.get(path)
    used, passed = tree_cpu_seconds(box.process.pid) - cpu, time.perf_counter() - wall
    answer = visitor.get(path)
    assert answer.status == 200, (path, answer.status)
    return used * 1000 / _LOADS, passed * 1000 / _LOADS, len(answer.body)
