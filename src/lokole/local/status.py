"""The plain page of boxes and pings that stands at the status page's address until the status page is built."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from html import escape
from typing import Any

from lokole.local.pages import Page, page
from lokole.mailbox.database import Database
from lokole.ports.callables import Clock
from lokole.server.boxes import list_boxes


class StatusPages:
    """``targets`` are the parts that are pinged at ``/healthcheck/ping``, by name and port; ``/status.json`` for programs."""

    def __init__(
        self, database: Database, *, clock: Clock, links: Mapping[str, str], targets: Mapping[str, int]
    ) -> None:
        self._database = database
        self._clock = clock
        self._links = links
        self._targets = targets

    def get(self, path: str, _query: Mapping[str, str]) -> Page | None:
        if path == "/":
            return self._page()
        if path == "/status.json":
            told = {"pings": self._pings(), "boxes": self._boxes()}
            return Page(json.dumps(told).encode(), "application/json")
        return None

    def _page(self) -> Page:
        pings = "".join(
            f"<tr><td>{escape(name)}</td><td>{'does not answer' if ms is None else f'answers in {ms:.0f} ms'}</td></tr>"
            for name, ms in self._pings().items()
        )
        boxes = "".join(
            f"<tr><td>{escape(str(box['domain']))}</td><td>{escape(str(box['state']))}</td>"
            f"<td>{box['people']}</td><td>{box['waiting']}</td><td>{escape(str(box['last_visit'] or 'never'))}</td>"
            f"<td>{escape(str(box['sentence']))}</td><td>{escape(_words(box['health']))}</td></tr>"
            for box in self._boxes()
        )
        content = (
            "<p>Here is where the status page will be. Until then: which parts answer, and which boxes the server knows.</p>"
            f"<h2>Pings</h2><table>{pings}</table>"
            "<h2>Boxes</h2><table><tr><th>Domain</th><th>State</th><th>People</th><th>Letters waiting</th><th>Last visit (UTC)</th>"
            "<th>Letters</th><th>What it says of itself</th></tr>"
            f"{boxes}</table>"
        )
        return page("Boxes and pings", content, links=self._links)

    def _pings(self) -> dict[str, float | None]:
        return {name: _ping(port) for name, port in self._targets.items()}

    def _boxes(self) -> list[dict[str, Any]]:
        with self._database.read() as tx:
            found = list_boxes(tx, self._clock())
        return [
            one.fields()
            | {"last_visit": None if one.last_visit_at is None else f"{one.last_visit_at:%Y-%m-%d %H:%M:%S}"}
            for one in found
        ]


def _words(health: Mapping[str, Any]) -> str:
    """A health line as words: ``version 1.0.0, waiting 0, …``; what only programs want is left out."""
    return ", ".join(f"{name} {said}" for name, said in sorted(health.items()) if name != "reads")


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
