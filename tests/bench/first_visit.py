"""What a telephone pays for pages: every byte that Chromium takes from the box, heads and all, as it came over the line.

``first_visit_bytes`` is the start page with all that it loads, in a browser that was never here.
``next_page_bytes`` is the most that any page after it takes, with what the browser has kept: sign-up, inbox, a letter, writing, waiting.
``own_next_page_bytes`` is the same on a telephone that somebody calls their own, the worker that shows pages out of reach of the box included;
``own_enter_bytes`` is the first page after entering there, which brings that worker, once on each telephone.
A worker asks beside the page, so that these bytes are counted where they come through, between browser and box.
A letter counts without what its sender put into it, and the icon of the place once: a browser keeps it by itself, a headless one does not.
"""

from __future__ import annotations

import select
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tests.bench.mailbox import PASSWORD, PERSON, FilledMailbox
from tests.bench.measure import Figure
from tests.e2e.processes import device
from tests.servers_mail import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

_LETTERS = 500


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        box = device(Path(folder))
        with box.pages():
            pass  # the first start makes the database
        mailbox = FilledMailbox(Path(box.settings["LOKOLE_DATA"]))
        mailbox.fill(_LETTERS)
        mailbox.close()
        with box.pages():
            sizes = _walk(browser, box.url)
            with _between(box.port) as counter:
                own = _walk(browser, f"http://127.0.0.1:{counter.port}", counter)
    first, *others = sizes.values()
    yield Figure("first_visit_bytes", first, "bytes")
    yield Figure("next_page_bytes", max(others), "bytes")
    yield Figure("own_enter_bytes", own["inbox"], "bytes")
    yield Figure(
        "own_next_page_bytes", max(size for name, size in own.items() if name not in ("start", "inbox")), "bytes"
    )
    for prefix, walked in (("visit", sizes), ("own_visit", own)):
        for name, size in walked.items():
            yield Figure(f"{prefix}_{name}_bytes", size, "bytes")


class _Counts(Protocol):
    total: int

    def settle(self) -> None:
        """Wait until nothing more comes of what the page has asked for."""


class _Counter:
    """Adds up what comes over the line of one tab."""

    def __init__(self, session: CDPSession) -> None:
        self.total = 0
        self._icon_seen = False
        self._not_counted: set[str] = set()
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._ask)
        session.on("Network.loadingFinished", self._add)

    def _ask(self, event: dict[str, Any]) -> None:
        icon = event["request"]["url"].endswith("favicon.png")
        if icon and self._icon_seen:
            self._not_counted.add(event["requestId"])
        self._icon_seen |= icon

    def _add(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._not_counted:
            self.total += int(event["encodedDataLength"])

    def settle(self) -> None:
        """The page itself says when it has all."""


class _CountingLine(socketserver.ThreadingTCPServer):
    """Stands between browser and box and adds up what the box answers, whoever in the browser asked."""

    daemon_threads = True

    def __init__(self, box_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.box_port, self.port = box_port, int(self.server_address[1])
        self.total = 0
        self._icon_seen = False
        self._last = 0.0

    def counts(self, path: bytes) -> bool:
        """Whether the answer to a request for ``path`` is counted."""
        if path.endswith(b"favicon.png"):
            seen, self._icon_seen = self._icon_seen, True
            return not seen
        return not path.endswith(b"/body")

    def came(self, size: int) -> None:
        """So many bytes that count came from the box."""
        self.total += size
        self._last = time.monotonic()

    def settle(self) -> None:
        """A worker begins when its page is there: wait until the line was quiet for two seconds."""
        self._last = time.monotonic()
        while time.monotonic() - self._last < 2:
            time.sleep(0.1)


class _Connection(socketserver.BaseRequestHandler):
    server: _CountingLine

    def handle(self) -> None:
        """Pass on both ways; a browser asks for the next thing on a connection when it has the answer to the last one."""
        counted = True
        with socket.create_connection(("127.0.0.1", self.server.box_port)) as box:
            while True:
                for ready in select.select([self.request, box], [], [])[0]:
                    piece: bytes = ready.recv(65_536)
                    if not piece:
                        return
                    if ready is box:
                        self.request.sendall(piece)
                        if counted:
                            self.server.came(len(piece))
                        continue
                    if piece.startswith((b"GET ", b"POST ")):
                        counted = self.server.counts(piece.split(b" ", 2)[1])
                    box.sendall(piece)


@contextmanager
def _between(box_port: int) -> Iterator[_CountingLine]:
    with _CountingLine(box_port) as line:
        threading.Thread(target=line.serve_forever, daemon=True).start()
        yield line
        line.shutdown()


def _walk(browser: Browser, root: str, line: _CountingLine | None = None) -> dict[str, int]:
    """The sizes of the pages of a walk; with a ``line`` that counts, on a telephone that somebody calls their own."""
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page: Page = context.new_page()
    counter: _Counts = line or _Counter(context.new_cdp_session(page))
    sizes: dict[str, int] = {}

    def settle(name: str) -> None:
        page.wait_for_load_state("networkidle")
        counter.settle()
        sizes[name] = counter.total
        counter.total = 0

    page.goto(root + "/")
    settle("start")
    page.goto(root + "/user/register")
    settle("sign_up")
    page.goto(root + "/user/login")
    settle("sign_in")
    page.fill("[name=name]", PERSON)
    page.fill("[name=password]", PASSWORD)
    if line is not None:
        page.check("[name=own]")
    page.locator("form:has([name=password]) button.main").click()
    page.wait_for_url("**/email/inbox")
    if line is not None:
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    settle("inbox")
    page.locator("main .row:not(:has(.marks)) .to").first.click()
    page.wait_for_load_state("networkidle")
    settle("letter")
    for name, path in (("write", "/email/new"), ("waiting", "/email/outbox"), ("more", "/more"), ("people", "/users")):
        page.goto(root + path)
        settle(name)
    context.close()
    return sizes


if __name__ == "__main__":
    for figure in measure():
        print(figure)
