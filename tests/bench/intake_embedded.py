"""30 kB letters posted to ``lokole server`` alone (SQLite, a folder, its own worker thread), and its memory after ten thousand of them.

Measured: how many it takes durably, and how many are stored and wait for the box, per second on two cores.
It is asked by many at once, each post on a connection of its own, as a provider does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from lokole.sync.records import AccountRecord
from tests.bench.light_box import LightBox
from tests.bench.measure import Figure, process_tree, pss_mib
from tests.bench.shares import shared_by
from tests.bench.webhook import messages, post_all
from tests.e2e.processes import Server, server, webhook_form

DOMAIN = "bench.lokole.test"
POSTERS = 16
#: letters of each rate, letters after which memory is measured, letters before all of them
LETTERS = 2_000
MANY = 10_000
WARM_UP = 100

Body = tuple[bytes, str]


def measure(count: int = LETTERS, until: int = MANY) -> Iterator[Figure]:
    letters = bodies()
    with tempfile.TemporaryDirectory() as folder:
        with server(Path(folder)) as centre:
            address = hook(centre)
            yield Figure("server_idle_pss_mib", pss(centre), "MiB")
            settings = centre.settings
        with server(Path(folder), settings={**settings, "LOKOLE_WORKERS": "0"}) as centre:
            post_all(centre.http_port, address, some(letters, WARM_UP), posters=POSTERS)
            posts = some(letters, count)
            with shared_by({"api": centre.process.pid}) as shares:
                post_all(centre.http_port, address, posts, posters=POSTERS)
            yield Figure("accepted_embedded_per_s", shares.per_second(count, "api"), "1/s")
            yield from shares.figures("accepted_embedded", count)
        with server(Path(folder), settings=settings) as centre:
            wait_for(centre, count + WARM_UP)
            posts = some(letters, count)
            with shared_by({"server": centre.process.pid}) as shares:
                post_all(centre.http_port, address, posts, posters=POSTERS)
                wait_for(centre, 2 * count + WARM_UP)
            yield Figure("stored_embedded_per_s", shares.per_second(count, "server"), "1/s")
            yield from shares.figures("stored_embedded", count)
            done = 2 * count + WARM_UP
            while done < until:
                post_all(centre.http_port, address, some(letters, min(500, until - done)), posters=POSTERS)
                done = min(done + 500, until)
            wait_for(centre, done)
            yield Figure("server_10k_pss_mib", pss(centre), "MiB")


def bodies() -> Iterator[Body]:
    """Posts of different letters, as many as are needed."""
    return (webhook_form(raw, [f"amina@{DOMAIN}"]) for raw in messages(MANY + WARM_UP, domain=DOMAIN))


def some(letters: Iterator[Body], count: int) -> list[Body]:
    """The next ``count`` of them."""
    return list(islice(letters, count))


def hook(centre: Server) -> str:
    """Where the letters are posted to, of a box that has told the server of its one person; a worker has to run."""
    details = centre.register(DOMAIN)
    LightBox.claimed(centre.url, details["code"]).visit([AccountRecord(f"amina@{DOMAIN}", language="en", version=1)])
    centre.wait_for_people(DOMAIN, 1)
    return f"/api/email/sendgrid/{details['webhook']}"


def wait_for(centre: Server, count: int) -> None:
    """Until so many letters wait for the box."""
    while centre.pending(DOMAIN) < count:
        time.sleep(0.2)


def pss(centre: Server) -> float:
    """What the server and all below it hold, in MiB."""
    return pss_mib(process_tree(centre.process.pid))
