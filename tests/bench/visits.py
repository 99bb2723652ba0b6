"""A thousand boxes visit one small server, 30 letters each way: how many visits fail, how long they take, what the server holds meanwhile.

The server is ``lokole server`` alone. 30 letters wait for every box, and each brings 30 for the outside world, sealed by its own key;
a visit goes through the adapter of a real box. Visits begin at random moments, as boxes wake whenever their power and their line allow.
They are spread over :data:`SECONDS`, faster than the ten minutes of an evening; ``python -m tests.bench.visits --seconds 600`` takes these.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lokole.config import load
from lokole.mail.errors import LokoleError
from lokole.mail.model import Contact, DeviceId, Email
from lokole.mailbox import accounts, attachments, letters, packages, recipients, tenants
from lokole.mailbox.identity import next_email_id
from lokole.server.build import build_ports
from lokole.server.keys import server_seed
from lokole.server.settings import ServerSettings
from lokole.sync.ids import SERVER_ORIGIN
from lokole.sync.records import EmailRecord
from lokole.sync.signing import new_key, public_key
from tests.bench.letters import Letters
from tests.bench.light_box import LightBox
from tests.bench.measure import Figure, process_tree, pss_mib, tree_cpu_seconds
from tests.e2e.processes import environment, server, server_settings

BOXES = 1_000
LETTERS = 30
SECONDS = 300.0
#: visits at once at most, as seen from the driver
_AT_ONCE = 100


def measure(boxes: int = BOXES, seconds: float = SECONDS) -> Iterator[Figure]:
    chance = random.Random(1_000)
    with tempfile.TemporaryDirectory() as folder:
        settings = server_settings(Path(folder))
        found = _register(settings, boxes)
        begin = sorted(chance.uniform(0, seconds) for _ in found)
        took: list[float] = []
        failed: list[str] = []
        with server(Path(folder), settings=settings) as centre:
            memory = _Memory(centre.process.pid)
            cpu, began = tree_cpu_seconds(centre.process.pid), time.monotonic()

            def visit(box: LightBox, at: float) -> None:
                box.url = centre.url
                written = [
                    _written(box.domain, n, letter) for n, letter in enumerate(Letters("x@example.org")(LETTERS))
                ]
                started = time.monotonic()
                try:
                    came = box.visit(written)
                except (LokoleError, OSError) as error:
                    failed.append(f"{box.domain}: {error!r}")
                else:
                    took.append(time.monotonic() - started)
                    if came != LETTERS:
                        failed.append(f"{box.domain}: {came} letters")

            with memory, ThreadPoolExecutor(_AT_ONCE) as pool:
                for box, at in zip(found, begin, strict=True):
                    time.sleep(max(0.0, began + at - time.monotonic()))
                    pool.submit(visit, box, at)
            passed = time.monotonic() - began
            left = _unfinished(settings)
            _work_off(settings)
            done = time.monotonic() - began
            used = tree_cpu_seconds(centre.process.pid) - cpu
            arrived = _arrived(settings)
    print("\n".join(failed[:10]), end="\n" if failed else "", file=sys.stderr)
    yield Figure("visits_failed", len(failed) + (boxes * LETTERS - arrived), "visits")
    yield Figure("visit_p95_s", statistics.quantiles(took, n=20)[-1], "s")
    yield Figure("visit_median_s", statistics.median(took), "s")
    yield Figure("visits_server_peak_mib", memory.peak, "MiB")
    yield Figure("visits_server_cpu_s", used / boxes, "s")
    yield Figure("visits_work_left", left, "rows")
    yield Figure("wall_visits_s", passed, "s")
    yield Figure("wall_visits_with_all_work_s", done, "s")


def _register(settings: dict[str, str], count: int) -> list[LightBox]:
    """So many boxes with their keys and one person each, for whom 30 letters wait."""
    ports = build_ports(load(ServerSettings, environment(settings)))
    now = datetime.now(UTC)
    sealed_to = public_key(server_seed(ports))
    source = list(Letters("ann@example.org")(LETTERS))
    found = []
    for n in range(count):
        domain, seed = f"box-{n}.lokole.test", new_key(ports.entropy)
        device_id = DeviceId(f"box-{n}")
        files = [attachments.put_attachments(ports.blobs, domain, one.attachments) for one in source]
        with ports.database.write(brief=True) as tx:
            tenant = tenants.add_tenant(
                tx, domain=domain, device_id=device_id, state="claimed", webhook_secret=f"hook-{n}", now=now
            )
            tenants.add_credential(tx, tenant, public_key(seed), now)
            person = accounts.create_account(tx, tenant, "ann", password_hash=None, now=now)
            for one, stored in zip(source, files, strict=True):
                no, _ = letters.store_email(
                    tx,
                    tenant,
                    replace(one, to=(Contact(f"ann@{domain}"),)),
                    id=next_email_id(tx, SERVER_ORIGIN),
                    received_at=now,
                    attachments=stored,
                    deliver_to=[person.no],
                )
                recipients.set_envelope(tx, tenant, no, {f"ann@{domain}": "delivered"})
                packages.add_waiting(tx, tenant, no, "down")
        found.append(LightBox("", domain, device_id, seed, sealed_to))
    ports.database.close()
    return found


def _written(domain: str, n: int, letter: Email) -> EmailRecord:
    return EmailRecord(
        f"{n:032x}", replace(letter, sender=Contact(f"ann@{domain}"), to=(Contact(f"friend-{n}@example.org"),))
    )


class _Memory:
    """Looks once a second how much a server holds; ``peak`` is the most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.peak = 0.0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(1):
            self.peak = max(self.peak, pss_mib(process_tree(self._pid)))


def _ask(settings: dict[str, str], query: str) -> int:
    with closing(sqlite3.connect(f"file:{settings['LOKOLE_DATA']}/lokole.db?mode=ro", uri=True)) as database:
        return int(database.execute(query).fetchone()[0])


def _unfinished(settings: dict[str, str]) -> int:
    return _ask(settings, "SELECT count(*) FROM job WHERE state = 'ready' AND kind IN ('unpack', 'send')")


def _work_off(settings: dict[str, str]) -> None:
    while _unfinished(settings):
        time.sleep(0.5)


def _arrived(settings: dict[str, str]) -> int:
    """Letters of the boxes that went to the outside world."""
    return _ask(settings, "SELECT count(*) FROM recipient WHERE state = 'accepted'")


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.visits")
    parser.add_argument("--boxes", type=int, default=BOXES)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    for figure in measure(options.boxes, options.seconds):
        print(figure, flush=True)


if __name__ == "__main__":
    main()
