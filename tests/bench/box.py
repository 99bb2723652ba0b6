"""The memory of a box: a real ``lokole device``, all its processes, after 200 pages of every kind.

It runs as the service of docs/operate-device.md does, without docstrings.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.mailbox import PASSWORD, PERSON, FilledMailbox
from tests.bench.measure import Figure, process_tree, pss_mib
from tests.e2e.processes import Visitor, device

LOADS = 200
_LETTERS = 500


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        box = device(Path(folder))
        with box.pages():
            pass  # the first start makes the database
        mailbox = FilledMailbox(Path(box.settings["LOKOLE_DATA"]))
        mailbox.fill(_LETTERS)
        mailbox.close()
        with box.pages() as visitor:
            _look_round(visitor, LOADS // 5)  # as every box was before the last time that its power went
        with box.pages() as visitor:
            assert box.process is not None
            fresh = pss_mib(process_tree(box.process.pid))
            _look_round(visitor, LOADS)
            pids = process_tree(box.process.pid)
            inbox_bytes = len(visitor.get("/email/inbox").body)
            yield Figure("box_pss_mib", pss_mib(pids), "MiB")
            yield Figure("box_fresh_pss_mib", fresh, "MiB")
            yield Figure("box_processes", len(pids), "processes")
            yield Figure("box_inbox_html_bytes", inbox_bytes, "bytes")


def _look_round(visitor: Visitor, loads: int) -> None:
    """Sign in and open so many pages of every kind."""
    answer = visitor.post("/user/login", {"name": PERSON, "password": PASSWORD})
    assert answer.status == 303, (answer.status, answer.body[:500])
    inbox = visitor.get("/email/inbox").body.decode()
    # the star of each letter has its number; the token of a form may begin with a figure as well
    numbers = sorted({int(no) for no in re.findall(r"name=\"?(?:un)?star\"? value=\"?(\d+)", inbox)})[:10]
    assert numbers, "the inbox shows no letter"
    paths = [
        "/",
        "/about",
        "/email/inbox",
        "/email/sent",
        "/email/outbox",
        "/email/new",
        "/email/search?query=the",
    ]
    paths += [f"/email/{no}" for no in numbers] + [f"/email/{no}/body" for no in numbers]
    for path in itertools.islice(itertools.cycle(paths), loads):
        answer = visitor.get(path)
        assert answer.status == 200, (path, answer.status)
