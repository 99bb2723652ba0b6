"""What a telephone pays for pages: every byte that Chromium takes from the box, heads and all, as it came over the line.

``first_visit_bytes`` is the start page with all that it loads, in a browser that was never here.
``next_page_bytes`` is the most that any page after it takes, with what the browser has kept: sign-up, inbox, a letter, writing, waiting.
A letter counts without what its sender put into it, and the icon of the place once: a browser keeps it by itself, a headless one does not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    first, *others = sizes.values()
    yield Figure("first_visit_bytes", first, "bytes")
    yield Figure("next_page_bytes", max(others), "bytes")
    for name, size in sizes.items():
        yield Figure(f"visit_{name}_bytes", size, "bytes")


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


def _walk(browser: Browser, root: str) -> dict[str, int]:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page: Page = context.new_page()
    counter = _Counter(context.new_cdp_session(page))
    sizes: dict[str, int] = {}

    def settle(name: str) -> None:
        page.wait_for_load_state("networkidle")
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
    page.locator("form:has([name=password]) button.main").click()
    page.wait_for_url("**/email/inbox")
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
