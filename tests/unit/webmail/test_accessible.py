"""axe-core finds nothing to complain of: every page there is, in every language, light and dark, on a narrow screen.

The pages come from the routes, so that a new one is looked at without being named here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from lokole.mail.model import Attachment, DeliveryState
from lokole.mailbox import quarantine, recipients, visits
from lokole.webmail import language
from tests.corpus import REPOSITORY
from tests.servers_mail import cannot_start, chromium
from tests.unit.webmail.conftest import PASSWORD, Box
from tests.unit.webmail.test_access import addresses

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.e2e

AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
#: the size of what is touched (WCAG 2.2, 2.5.8) is a rule that axe asks for only when told
RUN = """axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})
    .then(found => found.violations)"""
#: pages that need more than a route: forms with mistakes, searches with and without results
FURTHER = (
    "/email/search?query=rien",
    "/email/search?query=goat",
    "/email/new?action=reply_all&uid=1",
    "/email/new?action=forward&uid=1",
    "/nothing-here",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not AXE.exists():
        cannot_start("axe-core is not installed here (`make setup-test` brings it).")
    with chromium() as started:
        yield started


class Silent(WSGIRequestHandler):
    """Writes no line for each request."""

    def log(self, *_said: object, **_more: object) -> None:
        pass


@contextmanager
def served(box: Box) -> Iterator[str]:
    """The address of the pages of ``box`` while the block lasts."""
    server = make_server("127.0.0.1", 0, box.app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def fill(box: Box, code: str) -> int:
    """A box on which every kind of thing has happened; returns the number of a letter with a photo."""
    box.person("chief", is_admin=True, language=code)
    box.person("joseph")
    photo = Attachment("goat.jpg", b"\xff\xd8" + bytes(100), "image/jpeg", cid="goat")
    no = box.letter("chief", "The goat", '<p>Look <img src="cid:goat" alt="a goat"></p>', attachments=(photo,))
    for n in range(25):
        box.letter("chief", f"Letter {n}", read=n % 2 == 0)
    writer = box.enter("chief", code)
    writer.open("/email/new").press("send", to="ruth@example.com, jeanne@example.com", subject="Goat", body="Text")
    with box.ports.database.write() as tx:
        now = box.clock[0]
        recipients.set_recipient_state(tx, box.tenant, no + 26, "jeanne@example.com", DeliveryState.REFUSED, "full", 1)
        quarantine.quarantine(
            tx, tenant=box.tenant, kind="email", source="x", reason="x", raw_ref=None, key="k", now=now
        )
        visits.end_visit(tx, box.tenant, visits.start_visit(tx, box.tenant, now), now, result="no-connection")
    return no


@pytest.mark.parametrize("code", language.complete())
def test_no_page_keeps_anybody_out(box: Box, browser: Browser, code: str) -> None:
    no = fill(box, code)
    routes = addresses(box, "GET", no, 2)
    # the text of a letter is somebody else's, in a frame of a page that has the headings and landmarks
    routes.pop("letter.body")
    every = [*(one for found in routes.values() for one in found), *FURTHER]
    assert len(every) > 20
    found: dict[str, Any] = {}
    with served(box) as root:
        for scheme in ("light", "dark") if code == "en" else ("light",):
            for signed_in in (True, False):
                context = browser.new_context(
                    bypass_csp=True,
                    color_scheme="dark" if scheme == "dark" else "light",
                    locale=code,
                    viewport={"width": 360, "height": 740},
                    service_workers="block",
                )
                context.add_init_script(path=AXE)
                page = context.new_page()
                if signed_in:
                    sign_in(page, root)
                seen: set[str] = set()
                for address in every:
                    if not html(page, root + address) or page.url in seen:
                        continue
                    seen.add(page.url)
                    wrong = page.evaluate(RUN)
                    if wrong:
                        found[f"{scheme} {address}"] = [
                            (one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in wrong
                        ]
                context.close()
                assert len(seen) > (15 if signed_in else 4)
    assert not found, json.dumps(found, indent=1)


def sign_in(page: Page, root: str) -> None:
    page.goto(root + "/user/login")
    page.fill("[name=name]", "chief")
    page.fill("[name=password]", PASSWORD)
    page.locator("form:has([name=password]) button.main").click()
    assert "/user/login" not in page.url, page.content()


def html(page: Page, address: str) -> bool:
    """Open ``address``; whether it is a page and no file."""
    from playwright.sync_api import Error

    try:
        answer = page.goto(address)
    except Error:  # a download is not a page
        return False
    return answer is not None and answer.headers.get("content-type", "").startswith("text/html")


def test_the_rig_sees_a_picture_without_words_and_grey_on_grey(browser: Browser) -> None:
    context = browser.new_context()
    context.add_init_script(path=AXE)
    page = context.new_page()
    page.set_content("<html lang=en><title>x</title><main><h1>x</h1><img src=x><p style='color:#999'>pale</p></main>")
    page.add_script_tag(path=AXE)
    assert {one["id"] for one in page.evaluate(RUN)} >= {"image-alt", "color-contrast"}
    context.close()
