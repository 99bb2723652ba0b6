"""Signing up and in by pictures in real Chromium, with scripts and without, on a telephone of 360 px; and the page out of reach.

Screenshots lie in ``build/screenshots`` afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from lokole.mailbox import accounts
from lokole.mailbox.migrate import migrate
from tests.corpus import REPOSITORY
from tests.e2e.test_browser import NARROW, Tab, tab
from tests.servers_mail import chromium, expect, follow, in_whole
from tests.unit.webmail.conftest import PASSWORD, Box, make_box

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.e2e

__all__ = ["make_box"]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "empty.db"
    migrate(f"sqlite:///{path}")
    return path


class Served:
    """The pages of a box on a port of this machine, until they are taken out of reach."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._server: BaseWSGIServer = make_server("127.0.0.1", 0, box.app, threaded=True, request_handler=_Quiet)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def served(make_box: Callable[..., Box]) -> Iterator[Served]:
    made = Served(make_box())
    yield made
    made.stop()


def come_true(page: Page, promise: str) -> None:
    """Ask the page again and again until what it promises is true; its own way of waiting takes a promise for true."""
    deadline = time.monotonic() + 15
    while not page.evaluate(promise):
        assert time.monotonic() < deadline, promise
        time.sleep(0.05)


def touch(made: Tab, *words: str) -> None:
    for word in words:
        made.page.get_by_role("button", name=word, exact=True).click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without-scripts"])
def test_a_child_signs_up_and_enters_with_pictures(browser: Browser, served: Served, scripts: bool) -> None:
    served.box.person("ruth")
    with tab(browser, f"pictures-{'js' if scripts else 'plain'}", scripts=scripts, width=NARROW) as made:
        page = made.page
        made.go(served.base + "/user/register")
        page.get_by_label("What is your full name?").fill("Ruth Amba")
        if scripts:
            page.get_by_text("ruth.amba is free.").wait_for()
            page.get_by_role("button", name="rutha").click()
            page.get_by_text("rutha is free.").wait_for()
        else:
            follow(page.get_by_role("button", name="Show free names"))
            follow(page.get_by_role("button", name="rutha"))
        assert page.get_by_label("Name in Lokole").input_value() == "rutha"
        made.look("free-name")
        page.get_by_role("button", name="With pictures").click()
        touch(made, "Sun", "Sun")
        assert page.get_by_role("button", name="These are my pictures").is_disabled()
        page.get_by_role("button", name="Begin again").click()
        touch(made, "Bird", "House", "Moon")
        made.look("chosen")
        follow(page.get_by_role("button", name="These are my pictures"))
        made.look("once-more")
        touch(made, "Bird", "House", "Moon")
        follow(page.get_by_role("button", name="These are my pictures"))
        page.wait_for_url("**/email/inbox")
        made.look("inbox")
        page.get_by_role("button", name="Leave").click()
        page.get_by_label("Name in Lokole").fill("rutha")
        follow(page.get_by_role("button", name="With my pictures"))
        before = page.get_by_role("button", name="Fish").bounding_box()
        touch(made, "Bird", "House", "Moon")
        assert page.get_by_role("button", name="Fish").bounding_box() == before
        made.look("touched")
        page.get_by_role("button", name="Enter", exact=True).click()
        page.wait_for_url("**/email/inbox")
        if scripts:
            with served.box.ports.database.read() as tx:
                person = accounts.find_account(tx, served.box.tenant, "rutha")
            assert person is not None
            assert person.time_zone == "Africa/Kinshasa"


def test_a_password_can_be_seen_and_is_never_left_as_words(browser: Browser, served: Served) -> None:
    with tab(browser, "see", scripts=True, width=NARROW) as made:
        made.go(served.base + "/user/login")
        field = made.page.get_by_label("Password or PIN")
        field.fill("three small words")
        made.page.get_by_role("button", name="Show").click()
        assert field.get_attribute("type") == "text"
        made.look("seen")
        made.page.get_by_role("button", name="Cover").click()
        assert field.get_attribute("type") == "password"


def test_what_was_seen_is_shown_out_of_reach_and_nothing_after_leaving(browser: Browser, served: Served) -> None:
    box = served.box
    for name in ("mireille", "joseph"):
        box.person(name)
        box.letter(name, f"For {name} alone", read=True)
    context = browser.new_context(viewport={"width": NARROW, "height": 740}, locale="en-GB")
    context.set_default_timeout(15_000)
    page = context.new_page()
    made = Tab(page, "reach", NARROW)

    def enter(name: str, *, own: bool) -> None:
        made.go(served.base + "/user/login")
        page.get_by_label("Name in Lokole").fill(name)
        page.get_by_label("Password or PIN").fill(PASSWORD)
        if own:
            page.get_by_label("This is my own telephone").check()
        page.get_by_role("button", name="Enter", exact=True).click()
        page.wait_for_url("**/email/inbox")

    def kept() -> list[str]:
        found: list[str] = page.evaluate(
            "async () => { const all = []; for (const name of await caches.keys()) for (const one of await (await caches.open(name)).keys())"
            " all.push(name + ' ' + new URL(one.url).pathname); return all.sort(); }"
        )
        return [one.split()[1] for one in found if one.startswith("lokole-pages")]

    try:
        enter("mireille", own=True)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        made.go(served.base + "/email/inbox")
        made.go(served.base + "/more")
        come_true(page, "caches.open('lokole-pages').then(c => c.match('/email/inbox')).then(Boolean)")
        assert "/more" not in kept()

        context.set_offline(True)
        made.go(served.base + "/email/inbox")
        assert "For mireille alone" in page.content()
        assert "The box is out of reach. You see this page as it was on" in page.content()
        made.look("seen-before")
        made.go(served.base + "/email/sent")
        assert "The box is out of reach" in page.content()
        made.look("never-seen")
        context.set_offline(False)

        # another person in the same browser: nothing of the first is there
        enter_again = served.base + "/email/inbox"
        made.go(enter_again)
        page.get_by_role("button", name="Leave").click()
        page.wait_for_url("**/user/login")
        assert kept() == []
        enter("joseph", own=True)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        made.go(served.base + "/email/inbox")
        come_true(page, "caches.open('lokole-pages').then(c => c.match('/email/inbox')).then(Boolean)")
        # the session ends by itself: the next page is the door, and what was kept goes
        box.later(days=30)
        made.go(served.base + "/email/inbox")
        page.wait_for_url("**/user/login**")
        come_true(page, "caches.has('lokole-pages').then(there => !there)")
        # a shared telephone keeps nothing
        enter("mireille", own=False)
        made.go(served.base + "/email/inbox")
        made.go(served.base + "/email/sent")
        assert kept() == []
    finally:
        context.close()


def enter_on_an_own_telephone(made: Tab, served: Served) -> None:
    """Mireille enters, and her browser has made ready what is read out of reach."""
    made.go(served.base + "/user/login")
    page = made.page
    page.get_by_label("Name in Lokole").fill("mireille")
    page.get_by_label("Password or PIN").fill(PASSWORD)
    page.get_by_label("This is my own telephone").check()
    page.get_by_role("button", name="Enter", exact=True).click()
    page.wait_for_url("**/email/inbox")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")


@pytest.mark.parametrize("how", ["for-good", "everywhere"])
def test_nothing_of_somebody_who_left_stays_on_their_own_telephone(browser: Browser, served: Served, how: str) -> None:
    served.box.person("mireille")
    served.box.letter("mireille", "For her alone", read=True)
    with tab(browser, f"left-{how}", scripts=True, width=NARROW) as made:
        page = made.page
        enter_on_an_own_telephone(made, served)
        made.go(served.base + "/email/inbox")
        come_true(page, "caches.open('lokole-pages').then(c => c.match('/email/inbox')).then(Boolean)")
        if how == "for-good":
            made.go(served.base + "/user/leave")
            page.get_by_label("Password", exact=True).fill(PASSWORD)
            page.get_by_role("button", name="Delete everything").click()
            page.get_by_text("Your address is gone.").wait_for()
        else:
            made.go(served.base + "/user/sessions")
            page.get_by_role("button", name="Sign out everywhere", exact=True).click()
            page.wait_for_url("**/user/login")
        come_true(page, "caches.has('lokole-pages').then(there => !there)")


def test_the_text_of_a_letter_that_was_seen_is_read_out_of_reach(browser: Browser, served: Served) -> None:
    served.box.person("mireille")
    no = served.box.letter("mireille", "The roof", "<p>The <b>roof</b> is ready.</p>", read=True)
    with tab(browser, "letter-out-of-reach", scripts=True, width=NARROW) as made:
        page = made.page
        enter_on_an_own_telephone(made, served)
        made.go(f"{served.base}/email/{no}")
        come_true(
            page,
            f"Promise.all(['/email/{no}', '/email/{no}/body'].map(one => caches.match(one))).then(all => all.every(Boolean))",
        )
        served.stop()
        made.go(f"{served.base}/email/{no}")
        expect(page.get_by_text("The box is out of reach. You see this page as it was on")).to_be_visible()
        expect(page.frame_locator("iframe").get_by_text("The roof is ready.")).to_be_visible()
        made.look("read")
        (frame,) = page.frames[1:]
        assert frame.evaluate("self.origin") == "null"
        # what runs in the frame of a letter in reach runs here as little: its policy came along
        frame.evaluate(
            "() => { const one = document.createElement('script'); one.textContent = 'document.title = \"ran\"'; document.body.append(one); }"
        )
        assert frame.title() != "ran"
        made.wrong.clear()


@pytest.mark.parametrize(("language", "scripts"), [("sw", True), ("fr", False)], ids=["sw-scripts", "fr-plain"])
def test_a_new_person_finds_their_way_in_their_own_language(
    browser: Browser, served: Served, language: str, scripts: bool
) -> None:
    served.box.person("ruth")
    with tab(browser, f"newcomer-{language}", scripts=scripts, width=NARROW) as made:
        page = made.page
        made.go(served.base + "/user/register")
        follow(page.locator(f"button[lang={language}]"))
        page.locator("[name=called]").fill("Ruth Mbo")
        page.locator("[name=name]").fill("ruth")
        page.locator("[name=password]").fill(PASSWORD)
        if not scripts:
            page.locator("button[name=try]").click()
        page.locator("[data-offers] button").first.wait_for()
        made.look("names")
        page.locator("[name=name]").fill("ruthm")
        page.locator("[name=listed]").check()
        follow(page.locator("button[name=way][value=pin]"))
        made.look("pin")
        page.locator("[name=pin]").fill("7392")
        page.locator("[name=again]").fill("7392")
        page.locator("main button.main").click()
        page.wait_for_url("**/email/inbox")
        assert page.locator("html").get_attribute("lang") == language
        for path in ("/users", "/user/profile", "/user/sessions", "/about", "/who", "/user/here/away"):
            made.go(served.base + path)
            made.look(path.replace("/", "-").strip("-"))
        made.go(served.base + "/email/new")
        page.locator("[name=to]").fill("rut")
        page.locator("button[value=send]").click()
        page.locator("button[value^='fix:to rut ruth@']").wait_for()
        made.look("near")
        made.wrong.clear()
        follow(page.locator("form.leave button"))
        made.look("door")
        page.locator("[name=name]").fill("ruthm")
        follow(page.locator("button[value=pictures]"))
        made.look("pictures")


class Phone:
    """A shared telephone on which the browser's clock and the box's go together."""

    def __init__(self, browser: Browser, served: Served, name: str, *, scripts: bool = True) -> None:
        self._box, self._base = served.box, served.base
        self.context = browser.new_context(
            viewport={"width": NARROW, "height": 740}, locale="en-GB", java_script_enabled=scripts
        )
        self.context.set_default_timeout(15_000)
        if scripts:
            self.context.clock.install()
        self.page = self.context.new_page()
        self.made = Tab(self.page, name, NARROW)

    def enter(self, name: str) -> None:
        self.made.go(self._base + "/user/login")
        self.page.get_by_label("Name in Lokole").fill(name)
        self.page.get_by_label("Password or PIN").fill(PASSWORD)
        self.page.get_by_role("button", name="Enter", exact=True).click()
        self.page.wait_for_url("**/email/inbox")

    def later(self, minutes: int) -> None:
        """Nobody touches it for so long, while the page runs."""
        for _ in range(minutes):
            self._box.later(minutes=1)
            self.context.clock.run_for(60_000)


def test_an_open_page_on_a_forgotten_telephone_leaves_what_it_shows(browser: Browser, served: Served) -> None:
    served.box.person("mireille")
    served.box.letter("mireille", "For her alone", read=True)
    phone = Phone(browser, served, "forgotten")
    try:
        phone.enter("mireille")
        phone.made.go(served.base + "/email/1")
        phone.later(minutes=9)
        assert "For her alone" in phone.page.content()
        # somebody reads on: a touch keeps the page, and the session, open
        phone.page.keyboard.press("Tab")
        phone.page.wait_for_load_state("networkidle")
        phone.later(minutes=9)
        assert "For her alone" in phone.page.content()
        phone.later(minutes=3)
        phone.page.wait_for_url("**/user/login")
        phone.page.get_by_text("Nobody has touched the page for a while").wait_for()
        assert "For her alone" not in phone.page.content()
        phone.made.look("door")
        phone.page.go_back()
        phone.page.wait_for_url("**/user/login**")
        assert "For her alone" not in phone.page.content()
    finally:
        phone.context.close()


def test_a_page_leaves_by_itself_without_scripts(browser: Browser, make_box: Callable[..., Box]) -> None:
    served = Served(make_box(shared_minutes=0))
    served.box.person("mireille")
    served.box.letter("mireille", "For her alone", read=True)
    phone = Phone(browser, served, "forgotten-plain", scripts=False)
    try:
        phone.enter("mireille")
        phone.made.go(served.base + "/email/1/print")
        served.box.later(minutes=1)
        phone.page.wait_for_url("**/user/login")  # five seconds later; that runs on the real clock
        phone.enter("mireille")
        served.box.later(minutes=1)
        phone.page.wait_for_url("**/user/login")
        assert "For her alone" not in phone.page.content()
    finally:
        phone.context.close()
        served.stop()


def test_without_scripts_a_letter_gets_a_lid_that_no_touch_takes_away_and_is_kept(
    browser: Browser, make_box: Callable[..., Box]
) -> None:
    served = Served(make_box(shared_minutes=0))
    served.box.person("mireille")
    phone = Phone(browser, served, "lid", scripts=False)
    page = phone.page
    try:
        phone.enter("mireille")
        phone.made.go(served.base + "/email/new")
        page.get_by_label("To", exact=True).fill("ruth@example.com")
        letter = page.get_by_role("textbox", name="Letter")
        letter.fill("For her alone")
        lid = page.locator(".lid")
        expect(lid).not_to_be_visible()
        expect(lid).to_be_visible(timeout=30_000)  # five seconds later; that runs on the real clock
        phone.made.look("covered")
        place = page.locator("#body").bounding_box()
        assert place is not None
        page.mouse.click(place["x"] + 20, place["y"] + 20)
        page.keyboard.press("Tab")
        expect(letter).not_to_be_visible()
        served.box.later(minutes=1)
        lid.locator("button").click()
        page.get_by_role("heading", name="Please sign in again").wait_for()
        assert "For her alone" not in page.content()
        phone.enter("mireille")
        phone.made.go(served.base + "/email/drafts")
        assert "For her alone" in page.content()
    finally:
        phone.context.close()
        served.stop()


def test_a_letter_being_written_is_covered_and_comes_back_whole(browser: Browser, served: Served) -> None:
    served.box.person("mireille", is_admin=True)
    served.box.person("ruth")
    phone = Phone(browser, served, "covered")
    page = phone.page
    try:
        phone.enter("mireille")
        phone.made.go(served.base + "/board/new")
        page.get_by_label("Title").fill("Water on Tuesday")
        phone.later(minutes=12)
        page.get_by_role("heading", name="Covered").wait_for()
        assert not page.get_by_label("Title").is_visible()
        phone.made.look("covered")
        with phone.context.expect_page() as opened:
            page.get_by_role("link", name="Enter").click()
        door = opened.value
        door.get_by_label("Name in Lokole").fill("mireille")
        door.get_by_label("Password or PIN").fill(PASSWORD)
        door.get_by_role("button", name="Enter", exact=True).click()
        door.wait_for_url("**/email/inbox")
        page.bring_to_front()
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.get_by_label("Title").wait_for()
        assert page.get_by_label("Title").input_value() == "Water on Tuesday"
        page.get_by_label("Text").fill("At six")
        page.get_by_role("button", name="Hang it up").click()  # its token is the one of the new session
        page.get_by_text("It hangs on the board.").wait_for()
        # somebody else comes in: nothing of hers is left
        phone.made.go(served.base + "/email/new")
        page.get_by_label("Subject").fill("For Joseph")
        door.get_by_role("button", name="Leave").click()
        door.get_by_label("Name in Lokole").fill("ruth")
        door.get_by_label("Password or PIN").fill(PASSWORD)
        door.get_by_role("button", name="Enter", exact=True).click()
        door.wait_for_url("**/email/inbox")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_url("**/user/here/away")
    finally:
        phone.context.close()


def test_a_page_whose_session_ended_in_another_window_leaves_when_it_is_seen(browser: Browser, served: Served) -> None:
    served.box.person("mireille")
    served.box.letter("mireille", "For her alone", read=True)
    phone = Phone(browser, served, "elsewhere")
    try:
        phone.enter("mireille")
        phone.made.go(served.base + "/email/1")
        other = phone.context.new_page()
        other.goto(served.base + "/email/inbox")
        other.get_by_role("button", name="Leave").click()
        other.wait_for_url("**/user/login")
        phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        phone.page.wait_for_url("**/user/login")
    finally:
        phone.context.close()


def test_a_page_is_gone_when_its_time_is_over_and_the_box_is_out_of_reach(browser: Browser, served: Served) -> None:
    served.box.person("mireille")
    served.box.letter("mireille", "For her alone", read=True)
    phone = Phone(browser, served, "out-of-reach")
    try:
        phone.enter("mireille")
        phone.made.go(served.base + "/email/1")
        phone.context.set_offline(True)
        phone.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        phone.later(minutes=9)
        assert "For her alone" in phone.page.content()
        phone.later(minutes=2)
        phone.page.wait_for_function("!document.body || !document.body.innerText.includes('For her alone')")
    finally:
        phone.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_people_has_a_fault_that_axe_sees(browser: Browser, served: Served, scheme: str) -> None:
    script = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.skip("axe-core is not installed: run `make setup-test`")
    axe = script.read_text()
    served.box.person("chief", is_admin=True)
    other = served.box.person("ruth")
    context = browser.new_context(viewport={"width": NARROW, "height": 740}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(15_000)
    page = context.new_page()
    faults: list[str] = []

    def look(what: str) -> None:
        in_whole(page, axe)
        found = page.evaluate(
            "axe.run().then(found => found.violations.map(v => v.id + ' ' + v.nodes.map(n => n.html).join(' | ')))"
        )
        faults.extend(f"{what}: {one}" for one in found)

    try:
        for path in ("/user/register", "/user/login", "/who", "/offline", "/"):
            page.goto(served.base + path)
            look(path)
        page.goto(served.base + "/user/register")
        page.get_by_label("Name in Lokole").fill("ruth")
        follow(page.get_by_role("button", name="Show free names"))
        look("names")
        page.goto(served.base + "/user/register")
        page.get_by_label("Name in Lokole").fill("zoe")
        follow(page.get_by_role("button", name="With pictures"))
        look("choose pictures")
        page.goto(served.base + "/user/login")
        page.get_by_label("Name in Lokole").fill("chief")
        page.get_by_label("Password or PIN").fill("wrong")
        page.get_by_role("button", name="Enter", exact=True).click()
        page.get_by_text("That is not right.").wait_for()
        look("wrong")
        follow(page.get_by_role("button", name="With my pictures"))
        look("pictures")
        page.goto(served.base + "/user/login")
        page.get_by_label("Name in Lokole").fill("chief")
        page.get_by_label("Password or PIN").fill(PASSWORD)
        page.get_by_role("button", name="Enter", exact=True).click()
        page.wait_for_url("**/email/inbox")
        for path in (
            "/more",
            "/user/profile",
            "/user/sessions",
            "/user/pin",
            "/user/pictures",
            "/user/password/change",
            "/user/leave",
            "/admin/doors",
            f"/admin/people/{other.no}",
        ):
            page.goto(served.base + path)
            look(path)
        follow(page.get_by_role("link", name="Make a one-time password"))
        look("slip-asked")
        follow(page.get_by_role("button", name="Make a one-time password"))
        page.locator("summary").click()
        look("slip")
    finally:
        context.close()
    assert faults == []
