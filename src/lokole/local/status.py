"""The status page of ``lokole local`` at an address of its own, as it would stand on GitHub Pages; the server is elsewhere.

The summary and ``/status.json`` ask for no sign-in here: loopback only, and nothing of any letter.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

from lokole.local.pages import Page
from lokole.ports.identity import Caller
from lokole.server import fleet, status_files
from lokole.server.boxes import list_boxes
from lokole.server.ports import ServerPorts
from lokole.server.summary import summary


class StatusPages:
    """``endpoint`` is where the server is for a browser; ``targets`` are pinged at ``/healthcheck/ping``, by name and port, for programs."""

    def __init__(
        self, ports: ServerPorts, *, endpoint: str, links: Mapping[str, str], targets: Mapping[str, int]
    ) -> None:
        self._ports = ports
        self._config = status_files.config(endpoint=endpoint, links=links)
        self._targets = targets

    def get(self, path: str, _query: Mapping[str, str]) -> Page | None:
        if path == "/status.json":
            told = {"pings": self._pings(), "boxes": self._boxes()}
            return Page(json.dumps(told).encode(), "application/json")
        if path == "/config.json":
            return Page(self._config, "application/json")
        if path == "/summary":
            everything = fleet.fleet(self._ports, Caller("local", may_override=True))
            return Page(summary(everything, self._ports.clock()).encode())
        found = status_files.get_file(path.removeprefix("/"))
        return None if found is None else Page(found.body, found.type, headers=found.headers)

    def _pings(self) -> dict[str, float | None]:
        return {name: _ping(port) for name, port in self._targets.items()}

    def _boxes(self) -> list[dict[str, Any]]:
        with self._ports.database.read() as tx:
            found = list_boxes(tx, self._ports.clock())
        return [
            one.fields()
            | {"last_visit": None if one.last_visit_at is None else f"{one.last_visit_at:%Y-%m-%d %H:%M:%S}"}
            for one in found
        ]


def _ping(port: int) -> float | None:
    """Milliseconds until the part at ``port`` answers, or None."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    started = time.perf_counter()
    try:
        line.request("GET", "/healthcheck/ping")
        good = line.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return None
    finally:
        line.close()
    return (time.perf_counter() - started) * 1000 if good else None
