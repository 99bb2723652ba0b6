"""What a visit costs in which nobody has anything to say: the bytes of a real ``lokole sync`` at a real ``lokole server``, both ways, without TLS."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.bench.measure import Figure
from tests.e2e.processes import device, server
from tests.rigs.every_byte import Proxy, Told

DOMAIN = "bench.lokole.test"


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "server") as centre:
        told = Told()
        with closing(Proxy(centre.http_port, told, 0)) as line:
            box = device(Path(folder) / "box")
            box.register(f"http://127.0.0.1:{line.port}", str(centre.register(DOMAIN)["code"]))
            for _ in range(2):
                box.sync()
            told.up = told.down = told.connections = 0
            report = box.sync()
        assert report["result"] == "ok", report
        assert (report["bytes_up"], report["bytes_down"]) == (told.up, told.down), (
            "the box counts what goes over its line"
        )
    yield Figure("idle_visit_bytes", told.up + told.down, "bytes")
    yield Figure("idle_visit_connections", told.connections, "connections")
