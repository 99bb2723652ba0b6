"""The status page in real Chromium on a real server: sign in, look, make a box, take its keys back, delete it; narrow, dark, without scripts.

Whatever the browser complains of (a policy, a file that is not there, an exception) fails the test.
Screenshots lie in ``build/screenshots`` afterwards.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
import uvicorn

from lokole.mail.model import Contact, Email
from lokole.server.build import UVICORN
from lokole.sync.records import EmailRecord
from tests.corpus import REPOSITORY
from tests.e2e.processes import process
from tests.github_sign_in import CLIENT_ID, FakeGitHub, fake_github
from tests.servers_mail import cannot_start, chromium, expect, free_port, photograph
from tests.unit.server.place import NEIGHBOUR, OPERATOR, BoxAtPlace, Clock, Place, message, place_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.e2e

AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
RUN = """axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})
    .then(found => found.violations.map(one => one.id + ': ' + one.nodes.map(n => n.html.slice(0, 200)).join(' | ')))"""
LIVELY, SILENT = "lively.lokole.test", "silent.lokole.test"


@dataclass
class Site:
    """A server that boxes have visited."""

    url: str
    place: Place
    github: FakeGitHub


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    clock = Clock(datetime.now(UTC))
    with fake_github() as github:
        github.token = NEIGHBOUR
        settings: dict[str, Any] = {"github_client_id": CLIENT_ID, "github_sign_in_url": github.url}
        with place_in(tmp_path, clock=clock, web=True, **settings) as place, served(place) as url:
            clock.pass_by(days=-5)
            visited(place.box(SILENT, ["eve"]), letters=1)
            clock.pass_by(days=5)
            lively = place.box(LIVELY, ["ann", "ben"])
            visited(lively, letters=3)
            place.webhook(lively.webhook, message(to=f"ann@{LIVELY}", text="x" * 2000), [f"ann@{LIVELY}"])
            yield Site(url, place, github)


def visited(box: BoxAtPlace, *, letters: int) -> None:
    """The box brings letters and takes one home."""
    for n in range(letters):
        letter = Email(sender=Contact(f"x@{box.domain}"), to=(Contact("bob@example.org"),), subject="Hello")
        box.put([EmailRecord(f"u{n}", letter)])
    person = "eve" if box.domain == SILENT else "ann"
    box.place.webhook(box.webhook, message(to=f"{person}@{box.domain}"), [f"{person}@{box.domain}"])
    box.fetch()


@contextmanager
def served(place: Place) -> Iterator[str]:
    """The address of the server of ``place``, over real HTTP; its lifespan runs already."""
    port = free_port()
    config = uvicorn.Config(place.server.app, host="127.0.0.1", port=port, **(UVICORN | {"lifespan": "off"}))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


class Tab:
    """A tab that keeps what went wrong in it; ``expected`` are patterns of what is meant to."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.wrong: list[str] = []
        self._name = name
        self._shot = 0
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def look(self, what: str) -> None:
        """Photograph the page, see that it fits, and that axe finds nothing."""
        self._shot += 1
        photograph(self.page, f"status-{self._name}-{self._shot:02}-{what}")
        wide, screen = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= screen, f"{what} is {wide} px wide on a screen of {screen} px"
        if not AXE.exists():
            cannot_start("axe-core is not installed here (`make setup-test` brings it).")
        self.page.evaluate(AXE.read_text())
        assert self.page.evaluate(RUN) == [], what

    def sign_in(self, url: str, name: str = OPERATOR[0], password: str = OPERATOR[1]) -> None:
        self.page.goto(url)
        self.page.get_by_label("Or a name").fill(name)
        self.page.get_by_label("and its password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("heading", name="Boxes", exact=True).wait_for()


@contextmanager
def tab(
    browser: Browser, name: str, *, width: int = 1200, scheme: Literal["dark", "light"] = "light", scripts: bool = True
) -> Iterator[Tab]:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, locale="en-GB", java_script_enabled=scripts
    )
    context.set_default_timeout(15_000)
    made = Tab(context.new_page(), name)
    try:
        yield made
        assert made.wrong == []
    finally:
        context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_every_state_of_the_page_fits_and_has_no_fault_that_axe_sees(
    browser: Browser, site: Site, width: int, scheme: Literal["dark", "light"]
) -> None:
    with tab(browser, f"{width}-{scheme}", width=width, scheme=scheme) as mine:
        page = mine.page
        page.goto(f"{site.url}/status/")
        expect(page.get_by_role("list", name="Pings")).to_contain_text(re.compile(r"Server ✓ answers in \d+ ms"))
        expect(page.get_by_role("list", name="Pings")).to_contain_text(re.compile(r"Webmail ✓ answers in \d+ ms"))
        mine.look("door")
        mine.sign_in(f"{site.url}/status/")
        row = page.get_by_role("row").filter(has_text=SILENT)
        expect(row).to_contain_text("silent for 5 nights")
        expect(page.get_by_role("row").nth(1)).to_contain_text(SILENT)
        expect(page.get_by_role("row").filter(has_text=LIVELY)).to_contain_text(re.compile(r"1 2\.\d kB"))
        expect(page.get_by_text("1 box has been silent for a night or longer.")).to_be_visible()
        mine.look("table")
        page.get_by_text("Cards").click()
        expect(page.get_by_role("list").filter(has_text=LIVELY)).to_contain_text("2 people")
        mine.look("cards")
        page.get_by_role("button", name=LIVELY).click()
        box = page.get_by_role("dialog", name=LIVELY)
        expect(box.get_by_role("img", name=re.compile("^Letters: 3 letters from"))).to_be_visible()
        box.get_by_text("As numbers").first.click()
        mine.look("box")
        box.get_by_role("button", name="Delete").click()
        page.get_by_text("cannot be brought back").wait_for()
        mine.look("question")
        page.get_by_role("button", name="No, keep").click()
        box.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Settings").click()
        page.get_by_label(re.compile("Price of a megabyte")).fill("500")
        mine.look("settings")
        page.get_by_role("dialog", name="Settings").get_by_role("button", name="Close").click()
        expect(page.get_by_role("list").filter(has_text=LIVELY)).to_contain_text("FC (")
        page.get_by_role("button", name="New box").click()
        mine.look("new")


def test_a_box_is_made_claims_its_domain_loses_its_keys_and_is_deleted(browser: Browser, site: Site) -> None:
    domain = "new.lokole.test"
    with tab(browser, "life") as mine:
        page = mine.page
        mine.sign_in(f"{site.url}/status/")
        page.get_by_role("button", name="New box").click()
        page.get_by_label("Its domain").fill(domain)
        page.get_by_role("button", name="Register").click()
        code = page.locator("output.code")
        expect(code).to_have_text(re.compile(r"^\w{4}(-\w{4}){3}$"))
        first = code.inner_text()
        box = BoxAtPlace(site.place, domain, "")
        box.claim(first)
        page.get_by_role("dialog", name="A new box").get_by_role("button", name="Close").click()
        page.get_by_role("button", name=domain).click()
        page.get_by_role("button", name="Take its keys back").click()
        page.get_by_role("button", name="Take them back").click()
        expect(code).to_have_text(re.compile(r"^\w{4}(-\w{4}){3}$"))
        assert code.inner_text() != first
        assert box.call("GET", "/api/exchange/packages").status_code == 403
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.get_by_role("button", name=domain)).to_have_count(0)
        assert site.place.client.get(f"/api/email/register/{domain}", auth=OPERATOR).status_code == 404


def test_a_domain_that_cannot_be_is_refused_in_words(browser: Browser, site: Site) -> None:
    with tab(browser, "refused") as mine:
        mine.sign_in(f"{site.url}/status/")
        mine.page.get_by_role("button", name="New box").click()
        mine.page.get_by_label("Its domain").fill(LIVELY)
        mine.page.get_by_role("button", name="Register").click()
        expect(mine.page.get_by_role("dialog").get_by_role("alert")).to_have_text("This domain is registered already.")
        mine.look("refused")
        mine.wrong = [said for said in mine.wrong if "409" not in said]


def test_one_signs_in_by_github_and_sees_ones_own_boxes_only(browser: Browser, site: Site) -> None:
    own = {"Authorization": f"Bearer {NEIGHBOUR}"}
    site.place.client.post("/api/email/register/", json={"domain": "own.lokole.test"}, headers=own)
    with tab(browser, "github") as mine:
        page = mine.page
        page.route("https://github.com/**", lambda route: route.fulfill(status=404))
        page.goto(f"{site.url}/status/")
        page.get_by_role("button", name="Sign in with GitHub").click()
        code = page.locator("output.code")
        expect(code).to_have_text(re.compile("WDJB"))
        expect(page.get_by_role("link", name=re.compile("login.device"))).to_have_attribute(
            "href", f"{site.github.url}/login/device"
        )
        mine.look("code")
        site.github.type(code.inner_text())
        page.get_by_role("button", name="own.lokole.test").wait_for()
        expect(page.get_by_text(LIVELY)).to_have_count(0)
        page.reload()
        page.get_by_role("button", name="own.lokole.test").wait_for()
        page.get_by_role("button", name="Leave").click()
        page.get_by_label("Token").wait_for()
        assert NEIGHBOUR not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        mine.wrong = [said for said in mine.wrong if "404" not in said]


def test_a_wrong_token_is_told_at_once_and_a_line_that_drops_too(browser: Browser, site: Site) -> None:
    with tab(browser, "wrong") as mine:
        page = mine.page
        page.goto(f"{site.url}/status/")
        page.get_by_label("Token").fill("no token of anybody")
        expect(page.get_by_text("✗ The server does not know this token")).to_be_visible()
        mine.look("token")
        page.get_by_label("Token").fill(NEIGHBOUR)
        page.get_by_text("No box is registered yet.").wait_for()
        mine.look("empty")
        page.context.set_offline(True)
        expect(page.get_by_role("alert")).to_contain_text("This computer is offline.")
        mine.look("offline")
        page.context.set_offline(False)
        expect(page.get_by_text("This computer is offline.")).to_have_count(0)
        page.route("**/api/**", lambda route: route.abort())
        page.reload()
        expect(page.get_by_text("The server does not answer.")).to_be_visible()
        mine.look("failing")
        page.unroute("**/api/**")
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("No box is registered yet.").wait_for()
        mine.wrong = [said for said in mine.wrong if "401" not in said and "Failed to load resource: net::" not in said]


def test_without_scripts_the_boxes_stand_on_one_small_page(browser: Browser, site: Site) -> None:
    context = browser.new_context(
        java_script_enabled=False,
        http_credentials={"username": OPERATOR[0], "password": OPERATOR[1]},
        viewport={"width": 360, "height": 740},
    )
    try:
        page = context.new_page()
        page.goto(f"{site.url}/status/")
        page.get_by_role("link", name="the boxes in short").click()
        expect(page.locator("main")).to_contain_text("2 boxes, 1 of them silent; 1 letter waits.")
        expect(page.get_by_role("row").filter(has_text=SILENT)).to_contain_text("silent for 5 nights")
        photograph(page, "status-summary")
    finally:
        context.close()


def test_at_a_port_of_its_own_it_asks_the_server_beside_it(browser: Browser, tmp_path: Path) -> None:
    """``lokole local`` serves the page at another origin than the server, as GitHub Pages would."""
    ports = {name: free_port() for name in ("device", "server", "smtp", "world", "status")}
    options = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    log = tmp_path / "log"
    with process("local", "--data", str(tmp_path / "data"), *options, settings={}, log=log) as started:
        deadline = time.monotonic() + 60
        while "ready" not in log.read_text().splitlines():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        told = json.loads((tmp_path / "data" / "local.json").read_text())
        with tab(browser, "local") as mine:
            mine.sign_in(told["status"], told["registration"]["username"], told["registration"]["password"])
            expect(mine.page.get_by_role("row").filter(has_text=told["domain"])).to_be_visible()
            expect(mine.page.get_by_role("list", name="Pings")).to_contain_text(re.compile(r"Server ✓ answers"))
            mine.page.get_by_role("button", name="Settings").click()
            expect(mine.page.get_by_label("Address of the server")).to_have_value(f"http://localhost:{ports['server']}")
        with tab(browser, "local-plain", scripts=False) as plain:
            plain.page.goto(told["status"])
            plain.page.get_by_role("link", name="the boxes in short").click()
            expect(plain.page.locator("main")).to_contain_text(told["domain"])
