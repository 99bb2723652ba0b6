"""Every page of those who look after a box fits on a telephone of 320 px, in all languages, with a price set and nights that cost much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from lokole.mail.access_point import AccessPoint
from lokole.mailbox import audit, options, schema, visits
from lokole.mailbox import quarantine as apart
from lokole.mailbox.access_point import set_access_point
from lokole.mailbox.database import Connection
from lokole.ports.updater import Update, UpdateState
from lokole.webmail import setting_up
from lokole.webmail.parts import Room
from tests.e2e.test_browser import NARROW, Tab, tab
from tests.e2e.test_people_browser import Served, browser, empty_database
from tests.servers_mail import follow, photograph
from tests.unit.webmail.conftest import PASSWORD, Box, UpdaterHere, make_box

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

__all__ = ["browser", "empty_database", "make_box"]

NARROWEST = 320


def _fill(tx: Connection, box: Box, *, price: bool = True) -> None:
    """Nights of every outcome, dear ones with a ``price``; something kept apart."""
    if price:
        options.set_option(tx, box.tenant, "cost_per_mb", 123_456)
        options.set_option(tx, box.tenant, "currency", "shillings")
    for n, result in enumerate(["ok", "no-connection", "refused", "bad-package", "busy", "broken"]):
        began = box.clock[0] - timedelta(days=n)
        no = visits.start_visit(tx, box.tenant, began)
        visits.end_visit(
            tx, box.tenant, no, began, result=result, letters_up=1234, letters_down=12_345, bytes_up=123_456_789
        )
    apart.quarantine(
        tx,
        tenant=box.tenant,
        kind="record",
        source="server",
        reason="a reason that is long: " + "x" * 60,
        raw_ref=None,
        key="k",
        now=box.clock[0],
    )


@pytest.fixture
def served(make_box: Callable[..., Box]) -> Iterator[Served]:
    made = Served(
        make_box(
            room=lambda _whole: Room(free=10**9, total=32 * 10**9, database=10**8, files=10**9),
            tidy=lambda: 3,
            register=lambda code, server: ("device-1", "bolenge.lokole.ca"),
        )
    )
    yield made
    made.stop()


@pytest.mark.parametrize("language", ["en", "fr", "ln", "sw"])
def test_every_page_of_an_administrator_fits_at_320_px(browser: Browser, served: Served, language: str) -> None:
    box = served.box
    chief = box.person("chief", is_admin=True, language=language, display_name="Chief")
    other = box.person("mireille.ilunga.wa.kabongo", display_name="Mireille Ilunga wa Kabongo")
    third = box.person("ruth")
    with box.ports.database.write() as tx:
        _fill(tx, box)
        set_access_point(tx, box.tenant, AccessPoint("lobi." + "net" * 25, "x" * 64, "y" * 64, "cd", "Lobi"))
        audit.note_act(tx, chief, "decided", box.clock[0], subject=other.name, detail="paid_until=2026-12-31")
    assert isinstance(box.ports.updater, UpdaterHere)
    box.ports.updater.update = Update(UpdateState.FAILED, "2.1", box.clock[0], "no room " * 3 + "z" * 90)
    context = browser.new_context(viewport={"width": NARROWEST, "height": 640}, java_script_enabled=True)
    context.set_default_timeout(15_000)
    page = context.new_page()
    wide: list[str] = []
    try:
        page.goto(served.base + "/user/login")
        page.locator("[name=name]").fill("chief")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("form:has([name=password]) button.main").click()
        page.wait_for_url("**/email/inbox")
        for path in (
            "/admin",
            "/admin/people",
            "/admin/people/new",
            "/admin/people/list",
            f"/admin/people/{other.no}",
            f"/admin/people/{other.no}/password",
            f"/admin/people/{other.no}/delete",
            f"/admin/people/{other.no}/merge?into={third.name}",
            "/admin/log",
            "/admin/limits",
            "/admin/place",
            "/admin/card",
            "/admin/board",
            "/admin/doors",
            "/admin/schedule",
            "/admin/registration",
            "/admin/storage",
            "/admin/quarantine",
            "/admin/modem",
            "/admin/modem/countries",
            "/admin/modem/countries/cd",
            "/admin/modem/countries/cg",
            "/admin/modem/countries/cd/Lobi",
            "/admin/update",
        ):
            answer = page.goto(served.base + path)
            assert answer is not None and answer.status == 200, path
            photograph(page, f"narrowest-{language}{path.partition('?')[0].replace('/', '-')}")
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > NARROWEST:
                wide.append(f"{path} is {width} px wide")
    finally:
        context.close()
    assert wide == []


@pytest.mark.parametrize(("language", "scripts"), [("sw", True), ("fr", False)], ids=["sw-scripts", "fr-plain"])
def test_the_first_day_in_ones_own_language(
    browser: Browser, make_box: Callable[..., Box], language: str, scripts: bool
) -> None:
    served = Served(
        make_box(
            room=lambda _whole: Room(free=9 * 10**9, total=32 * 10**9, database=10**8, files=10**9),
            tidy=lambda: 3,
            register=lambda code, server: ("device-1", "bolenge.lokole.ca"),
        )
    )
    box = served.box
    box.person("chief", is_admin=True)
    with box.ports.database.write() as tx:
        tx.execute(update(schema.tenant).values(state="waiting"))
        options.set_option(tx, box.tenant, setting_up.OPTION, setting_up.STEPS[0])
    name = f"day-{language}-{'scripts' if scripts else 'plain'}"
    try:
        with tab(browser, name, scripts=scripts, width=NARROW) as made:
            _first_day(made, served, language)
    finally:
        served.stop()


def _first_day(made: Tab, served: Served, language: str) -> None:
    page, box = made.page, served.box

    def send(**fields: str) -> None:
        """Fill in the form of the page by the names of its fields, and press its first large button."""
        for field, value in fields.items():
            page.locator(f"main [name={field}]").first.fill(value)
        follow(page.locator("main form button.main").first)

    def press(action: str) -> None:
        follow(page.locator(f"main form[action*='{action}'] button").first)

    def go(path: str, what: str) -> None:
        made.go(served.base + path)
        made.look(what)

    made.go(served.base + "/user/login")
    follow(page.locator(f"button[lang={language}]"))
    made.look("door")
    send(name="chief", password="wrong")
    made.look("wrong")
    made.wrong.clear()
    send(name="chief", password=PASSWORD)
    page.wait_for_url("**/admin/first")
    page.locator("[name=place]").fill("Bolenge")
    made.look("first-place")
    send()
    made.look("first-hours")
    send()
    made.look("first-server")
    send(code="XK7Q-PM2D")
    made.look("first-limits")
    send(cost_per_mb="330", currency="FC", night_mb="5")
    made.look("box")
    go("/admin/people/new", "new-person")
    send(name="mireille", display_name="Mireille Ilunga")
    made.look("slip-covered")
    page.locator("summary").first.click()
    made.look("slip")
    page.emulate_media(media="print")
    made.look("slip-on-paper")
    page.emulate_media(media="screen")
    go("/admin/people/list", "list")
    send(lines="joseph, Joseph Nkema, fr\nà côté\nmireille\nruth; Ruth Amba; sw")
    made.look("list-done")
    page.locator("summary").first.click()
    made.look("list-shown")
    page.emulate_media(media="print")
    made.look("list-on-paper")
    page.emulate_media(media="screen")
    go("/admin/people", "people")
    follow(page.locator(".person a.b").last)
    made.look("person")
    page.locator("[name=paid_until]").fill("2027-03-31")
    page.locator("[name=quota_mb]").fill("50")
    press("/standing")
    made.look("person-decided")
    press("/suspend")
    made.look("person-suspended")
    go("/admin/limits", "limits")
    go("/admin/schedule", "hours")
    go("/admin/place", "place")
    go("/admin/doors", "doors")
    go("/admin/board", "senders")
    with box.ports.database.write() as tx:
        _fill(tx, box, price=False)
    go("/admin/quarantine", "apart")
    press("/resolve")
    made.look("apart-seen")
    go("/admin/storage", "storage")
    press("/tidy")
    made.look("storage-tidied")
    go("/admin/registration", "registration")
    go("/admin", "box-after-nights")
    go("/admin/log", "log")
    go("/users", "directory")
    go("/more", "more")
    assert "chief" in page.inner_text("main")
