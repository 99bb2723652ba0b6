"""An administrator's first day in real Chromium: a new box is set up, a person made, the board used; with scripts and without, at 360 px."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import process, run
from tests.e2e.test_browser import NARROW, Tab, tab
from tests.servers_mail import chromium, follow, free_port, wait_for_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

SLIP = re.compile(r"[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def enter(person: Tab, address: str, name: str, slip: str) -> None:
    """Sign in with a slip and choose a password."""
    person.go(f"{address}/user/login")
    person.page.get_by_label("Name in Lokole").fill(name)
    person.page.locator("[name=password]").fill(slip)
    person.page.locator("form:has([name=password]) button.main").click()
    person.page.get_by_label("New password", exact=True).fill("looks after the box")
    person.page.get_by_label("New password once more").fill("looks after the box")
    person.page.locator("main form button.main").first.click()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_the_first_day_of_an_administrator(tmp_path: Path, browser: Browser, scripts: bool) -> None:
    port = free_port()
    settings = {"LOKOLE_DATA": str(tmp_path / "box"), "LOKOLE_LISTEN": f"127.0.0.1:{port}"}
    (slip,) = SLIP.findall(run("device", "admin", "chief", settings=settings))
    address, name = f"http://127.0.0.1:{port}", f"first-day-{'scripts' if scripts else 'plain'}"
    with (
        process("device", settings=settings, log=tmp_path / "box.log") as box,
        tab(browser, name, scripts=scripts, width=NARROW) as chief,
        tab(browser, f"{name}-person", scripts=scripts, width=NARROW) as person,
        tab(browser, f"{name}-passer", scripts=scripts, width=NARROW) as passer,
    ):
        wait_for_port(port, box)
        enter(chief, address, "chief", slip)
        assert chief.page.url.endswith("/admin/first")
        chief.look("place")
        chief.page.get_by_label("Name of the place").fill("Bolenge")
        follow(chief.page.get_by_role("button", name="Keep this"))
        chief.look("hours")
        follow(chief.page.get_by_role("button", name="Keep these hours"))
        chief.look("server")
        follow(chief.page.get_by_role("button", name="Later"))
        chief.look("limits")
        follow(chief.page.get_by_role("button", name="Keep this"))
        chief.look("the-box")
        assert "What is still to be done stands here." in chief.page.inner_text("main")
        assert "This box is not registered yet." in chief.page.inner_text("main")

        chief.page.get_by_role("link", name="A new person").click()
        chief.page.get_by_label("Name in Lokole").fill("mireille")
        chief.page.get_by_label("Full name").fill("Mireille Ilunga")
        chief.look("new-person")
        follow(chief.page.get_by_role("button", name="Make this person"))
        chief.look("slip-covered")
        chief.page.get_by_text("Show it", exact=True).click()
        chief.look("slip")
        (hers,) = SLIP.findall(chief.page.inner_text("main"))
        enter(person, address, "mireille", hers)

        chief.go(f"{address}/board/new")
        chief.page.get_by_label("Title").fill("Water")
        chief.page.get_by_label("Text").fill("Tuesday at six")
        chief.page.get_by_label("Also for those who are not signed in").check()
        chief.look("board-new")
        follow(chief.page.get_by_role("button", name="Hang it up"))
        person.go(f"{address}/board")
        follow(person.page.get_by_role("link", name="Water"))
        person.look("post")
        assert person.page.frame_locator("iframe").locator("body").inner_text().strip() == "Tuesday at six"
        passer.go(address)
        assert "This is the Lokole of Bolenge." in passer.page.inner_text("main")
        passer.page.get_by_role("link", name="News").click()
        follow(passer.page.get_by_role("link", name="Water"))
        passer.look("news")
        assert passer.page.frame_locator("iframe").locator("body").inner_text().strip() == "Tuesday at six"
    assert "Traceback" not in (tmp_path / "box.log").read_text()
