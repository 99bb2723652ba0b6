"""30 kB letters posted to one ``lokole server`` over a PostgreSQL that flushes and Azurite, with RabbitMQ and a ``lokole worker`` of two processes beside.

Measured as :mod:`tests.bench.intake_embedded` does: taken durably, and stored and waiting for the box, per second on two cores that carry all of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.bench.intake_embedded import LETTERS, POSTERS, WARM_UP, bodies, hook, some, wait_for
from tests.bench.measure import Figure
from tests.bench.shares import shared_by
from tests.bench.webhook import post_all
from tests.e2e.processes import process, server
from tests.servers import azurite, postgres
from tests.servers_broker import rabbitmq


def measure(count: int = LETTERS) -> Iterator[Figure]:
    letters = bodies()
    with ExitStack() as stack:
        database = stack.enter_context(postgres(durable=True))
        store = stack.enter_context(azurite())
        broker = stack.enter_context(rabbitmq())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {
            "LOKOLE_DATABASE": database.new_database(),
            "LOKOLE_BLOBS": store.new_container("letters"),
            "LOKOLE_BLOBS_KEY": store.account_key,
            "LOKOLE_JOBS": broker.new_queue(),
            "LOKOLE_JOBS_PASSWORD": "guest",
        }
        centre = stack.enter_context(server(folder, settings=settings))
        settings = {**centre.settings, "LOKOLE_DATA": str(folder / "worker"), "LOKOLE_WORKERS": "2"}
        assert broker.process is not None
        parts = {
            "api": centre.process.pid,
            "database": database.pid,
            "store": store.pid,
            "broker": broker.process.pid,
        }
        with process("worker", settings=settings, log=folder / "worker.log"):
            address = hook(centre)
        post_all(centre.http_port, address, some(letters, WARM_UP), posters=POSTERS)
        posts = some(letters, count)
        with shared_by(parts) as shares:
            post_all(centre.http_port, address, posts, posters=POSTERS)
        yield Figure("accepted_cloud_per_s", shares.per_second(count, "api"), "1/s")
        yield from shares.figures("accepted_cloud", count)
        with process("worker", settings=settings, log=folder / "worker.log") as worker:
            wait_for(centre, count + WARM_UP)
            posts = some(letters, count)
            with shared_by({**parts, "worker": worker.pid}) as shares:
                post_all(centre.http_port, address, posts, posters=POSTERS)
                wait_for(centre, 2 * count + WARM_UP)
        yield Figure("stored_cloud_per_s", shares.per_second(count, "api"), "1/s")
        yield from shares.figures("stored_cloud", count)
