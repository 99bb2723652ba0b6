"""A new user in real Chromium on ``lokole local``: sign up, write with a photo, sync, answer from the world, sync, read.

With scripts and without, on a wide screen and on one of 360 px.
Screenshots lie in ``build/screenshots`` afterwards, whatever became of the test.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.e2e.processes import process, run
from tests.servers_mail import chromium, expect, follow, free_port, in_whole, photograph

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.e2e

NARROW = 360
#: puts the bar of the four places somewhere; returns how wide the page is
_BAR = """position => {
  [].forEach.call(document.querySelectorAll('.nav'), bar => { bar.style.position = position; });
  return document.documentElement.scrollWidth;
}"""


@dataclass(frozen=True)
class Village:
    """What ``lokole local`` started."""

    data: Path
    device: str
    world: str
    told: str

    @property
    def box_settings(self) -> dict[str, str]:
        return {"LOKOLE_DATA": str(self.data / "box")}


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    folder = tmp_path_factory.mktemp("local")
    ports = {name: free_port() for name in ("device", "server", "smtp", "world", "status")}
    options = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    log = folder / "local.log"
    with process("local", "--data", str(folder / "data"), *options, settings={}, log=log) as started:
        deadline = time.monotonic() + 60
        while "ready" not in log.read_text().splitlines():
            assert started.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Village(
            folder / "data",
            f"http://127.0.0.1:{ports['device']}",
            f"http://127.0.0.1:{ports['world']}",
            log.read_text(),
        )
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


class Tab:
    """One person's tab: counts what goes wrong in it and photographs what it shows."""

    def __init__(self, page: Page, name: str, width: int) -> None:
        self.page = page
        self.wrong: list[str] = []
        self._name = name
        self._width = width
        self._shot = 0
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("response", lambda answer: self.wrong.append(answer.url) if answer.status >= 400 else None)

    def look(self, what: str) -> None:
        """Photograph the page, and see that nothing of it is wider than the screen."""
        self._shot += 1
        wide = in_whole(self.page, _BAR, "static")  # it would lie across a picture of the whole page
        photograph(self.page, f"{self._name}-{self._shot:02}-{what}")
        in_whole(self.page, _BAR, "")
        assert wide <= self._width, f"{what} is {wide} px wide on a screen of {self._width} px"

    def go(self, url: str) -> None:
        self.page.goto(url, wait_until="load")


@contextmanager
def tab(browser: Browser, name: str, *, scripts: bool, width: int) -> Iterator[Tab]:
    context = browser.new_context(
        java_script_enabled=scripts,
        viewport={"width": width, "height": 740},
        locale="en-GB",
        timezone_id="Africa/Kinshasa",
    )
    context.set_default_timeout(15_000)
    try:
        made = Tab(context.new_page(), name, width)
        yield made
        assert made.wrong == []
    finally:
        context.close()


@pytest.fixture(scope="module")
def keeper(village: Village, browser: Browser) -> Iterator[Tab]:
    """Whoever looks after the box, signed in with the one-time password of ``lokole device admin``."""
    with ExitStack() as stack:
        with tab(browser, "keeper-signs-up", scripts=True, width=1280) as first:
            sign_up(first, village, "keeper", "looks after the box")
        told = run("device", "admin", "keeper", settings=village.box_settings)
        (one_time,) = re.findall(r"\S{8,}", told.strip().splitlines()[-1])[-1:]
        made = stack.enter_context(tab(browser, "keeper", scripts=True, width=1280))
        made.go(f"{village.device}/user/login")
        made.page.get_by_label("Name in Lokole").fill("keeper")
        made.page.get_by_label("Password").fill(one_time)
        made.page.get_by_label("This is my own telephone").check()
        made.page.get_by_role("button", name="Enter").click()
        made.page.wait_for_url("**/user/password/change")
        made.page.get_by_label("New password", exact=True).fill("looks after the box well")
        made.page.get_by_label("New password once more").fill("looks after the box well")
        made.look("new-password")
        made.page.get_by_role("button", name="Set the new password").click()
        made.page.wait_for_url("**/email/inbox")
        yield made


def sign_up(made: Tab, village: Village, name: str, password: str) -> None:
    made.go(village.device)
    made.look("start")
    made.go(f"{village.device}/user/register")
    made.page.get_by_label("Name in Lokole").fill(name)
    made.page.get_by_label("Password").fill(password)
    made.look("sign-up")
    made.page.get_by_role("button", name="Get this address").click()
    made.page.wait_for_url("**/email/inbox")
    made.look("inbox-of-a-newcomer")


def sync(keeper: Tab, village: Village) -> None:
    """Press "Send now" and wait until the exchange is over."""
    before = _exchanges(village)
    keeper.go(f"{village.device}/admin")
    keeper.look("the-box")
    keeper.page.get_by_role("button", name="Send now").click()
    deadline = time.monotonic() + 30
    while _exchanges(village) <= before:
        assert time.monotonic() < deadline, "no exchange within 30 s"
        time.sleep(0.1)


def _exchanges(village: Village) -> int:
    """How many exchanges are over; the page shows only the last ones."""
    with closing(sqlite3.connect(f"file:{village.data / 'box' / 'lokole.db'}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM visit WHERE ended_at IS NOT NULL").fetchone()
    return int(count)


def photo() -> bytes:
    image = Image.radial_gradient("L").resize((1600, 1200)).convert("RGB")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
@pytest.mark.parametrize("width", [1280, NARROW], ids=["wide", "narrow"])
def test_a_letter_goes_out_and_its_answer_comes_home(
    village: Village, browser: Browser, keeper: Tab, scripts: bool, width: int
) -> None:
    name = f"ada{'-js' if scripts else ''}-{width}"
    subject = f"The well is ready ({name})"
    with tab(browser, name, scripts=scripts, width=width) as ada:
        sign_up(ada, village, name, "drum mango river")
        write(ada, village, subject, scripts=scripts)
        sync(keeper, village)
        letter = in_the_world(ada, village, subject)
        assert letter["from"] == f"{name}@village.lokole.test"
        assert "the well is ready" in str(letter["text"])
        answer_from_the_world(ada, village, subject)
        until_there(ada, keeper, village, subject)
        read(ada, village, subject)


def write(ada: Tab, village: Village, subject: str, *, scripts: bool) -> None:
    page = ada.page
    ada.go(f"{village.device}/email/new")
    page.get_by_label("To", exact=True).fill("kofi@town.test")
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("Choose files").set_input_files({"name": "well.jpg", "mimeType": "image/jpeg", "buffer": photo()})
    letter = page.get_by_role("textbox", name="Letter")
    if scripts:
        letter.click()
        page.keyboard.type("Dear Kofi, the well is ready: 1 < 2.")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Bold").click()
        page.keyboard.type("Come and see.")
    else:
        letter.fill("Dear Kofi, the well is ready: 1 < 2.\nCome and see.")
    ada.look("write")
    page.get_by_role("button", name="Put it into the bag").click()
    page.wait_for_url("**/email/outbox")
    ada.look("waiting")
    expect(page.get_by_text(subject)).to_have_count(1)
    expect(page.get_by_text("It is in the bag.").first).to_be_attached()


def in_the_world(ada: Tab, village: Village, subject: str) -> dict[str, object]:
    """The letter as the world got it, read from its page for programs."""
    deadline = time.monotonic() + 30
    while True:
        ada.go(f"{village.world}/letters.json")
        letters: list[dict[str, object]] = json.loads(ada.page.locator("pre").first.inner_text())
        for letter in letters:
            if letter["subject"] == subject:
                return letter
        assert time.monotonic() < deadline, "the letter did not get out"
        time.sleep(0.2)


def answer_from_the_world(ada: Tab, village: Village, subject: str) -> None:
    page = ada.page
    ada.go(village.world)
    page.get_by_role("link", name=subject).click()
    expect(page.get_by_role("link", name=re.compile(r"well\."))).to_have_count(1)
    ada.look("world-letter")
    page.get_by_role("link", name="Answer", exact=True).click()
    page.get_by_label("Text").fill("Dear Ada, I am glad. I come on Sunday.\n\nKofi")
    ada.look("world-answer")
    page.get_by_role("button", name="Send").click()


def until_there(ada: Tab, keeper: Tab, village: Village, subject: str) -> None:
    """Exchange until the answer is in the inbox: the server reads what came a moment after it has taken it."""
    for _ in range(5):
        sync(keeper, village)
        ada.go(f"{village.device}/email/inbox")
        if ada.page.locator("li.row.new", has_text=f"Re: {subject}").count():
            return
    raise AssertionError("the answer did not come home")


def read(ada: Tab, village: Village, subject: str) -> None:
    page = ada.page
    ada.go(f"{village.device}/email/inbox")
    ada.look("inbox-with-answer")
    row = page.locator("li.row.new", has_text=f"Re: {subject}")
    expect(row).to_have_count(1)
    row.get_by_text(f"Re: {subject}").click()
    page.wait_for_url(re.compile(r"/email/\d+$"))
    shown = page.frame_locator(".paper > iframe").locator("body")
    assert "I come on Sunday." in shown.inner_text()
    ada.look("answer")
    ada.go(f"{village.device}/email/inbox")
    expect(page.locator("li.row.new", has_text=f"Re: {subject}")).to_have_count(0)
    follow(page.get_by_role("link", name="Waiting").first)
    ada.look("delivered")
