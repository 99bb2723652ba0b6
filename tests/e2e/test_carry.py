"""A passer-by carries the mail in real Chromium, with scripts and without, between a box that never has a line and a server in town."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import Device, Server, device, server
from tests.e2e.test_browser import NARROW, Tab, Village, photo, sign_up, tab, write
from tests.servers_mail import chromium, expect, follow

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

DOMAIN = "village.lokole.test"


@dataclass(frozen=True)
class Land:
    """A village without a line, and the town."""

    town: Server
    box: Device

    @property
    def village(self) -> Village:
        return Village(self.box.folder, self.box.url, "", "")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Land]:
    folder = tmp_path_factory.mktemp("carried")
    with server(folder / "server") as town:
        box = device(folder / "box", settings={"LOKOLE_UPLINK": "none:"})
        box.register(town.url, town.register(DOMAIN)["code"])
        with box.pages():
            yield Land(town, box)
        assert "Traceback" not in box.log.read_text()
        assert "Traceback" not in (town.folder / "server.log").read_text()


class PasserBy:
    """Somebody with a telephone and no account, who keeps files on it."""

    def __init__(self, made: Tab, land: Land, pocket: Path) -> None:
        self.tab = made
        self._land = land
        self._pocket = pocket
        pocket.mkdir()

    def fetch(self) -> Path:
        """At the box: from its start page to the file."""
        page = self.tab.page
        self.tab.go(self._land.box.url)
        follow(page.get_by_role("link", name="Carry the mail"))
        self.tab.look("carry-the-mail")
        expect(page.get_by_text(f"{self._land.town.url}/carry")).to_have_count(1)
        return self._download("Get the file")

    def to_town(self, file: Path) -> Path:
        """At the server: from its start page to the return file."""
        page = self.tab.page
        self.tab.go(self._land.town.url)
        page.get_by_role("link", name="Do you carry mail of a village?").click()
        page.get_by_label("The file from the box").set_input_files(file)
        self.tab.look("in-town")
        return self._download("Hand it in and get the return file")

    def home(self, file: Path) -> str:
        """At the box: hands ``file`` in; what the page says."""
        page = self.tab.page
        self.tab.go(f"{self._land.box.url}/carry")
        page.get_by_label("The file from town").set_input_files(file)
        follow(page.get_by_role("button", name="Hand it in"))
        self.tab.look("handed-in")
        page.locator(".say").first.wait_for()
        return " ".join(page.locator(".say").all_inner_texts())

    def refused_in_town(self, file: Path) -> str:
        page = self.tab.page
        self.tab.go(f"{self._land.town.url}/carry")
        page.get_by_label("The file from the box").set_input_files(file)
        follow(page.get_by_role("button", name="Hand it in"))
        page.locator(".say").first.wait_for()
        return " ".join(page.locator(".say").all_inner_texts())

    def _download(self, button: str) -> Path:
        with self.tab.page.expect_download() as found:
            self.tab.page.get_by_role("button", name=button).click()
        path = self._pocket / f"{len(list(self._pocket.iterdir()))}-{found.value.suggested_filename}"
        found.value.save_as(path)
        return path


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_a_letter_and_its_answer_go_by_a_telephone(land: Land, browser: Browser, tmp_path: Path, scripts: bool) -> None:
    name = f"ada{'-js' if scripts else ''}"
    subject = f"The well is ready ({name})"
    with (
        tab(browser, f"carried-{name}", scripts=scripts, width=NARROW) as ada,
        tab(browser, f"passer-by-{name}", scripts=scripts, width=NARROW) as other,
    ):
        passer_by = PasserBy(other, land, tmp_path / "pocket")
        people = 1 + land.town.people(DOMAIN)
        sign_up(ada, land.village, name, "drum mango river")
        write(ada, land.village, subject, scripts=scripts)
        up = passer_by.fetch()
        first = passer_by.to_town(up)
        land.town.wait_for_people(DOMAIN, people)
        from_the_world(land, name, f"Re: {subject}")
        answer = passer_by.to_town(up)  # whoever passes by next, with the same file
        assert "1 letter came for people here." in passer_by.home(answer)

        ada.go(f"{land.box.url}/email/outbox")
        assert ada.page.get_by_text("It is in the bag.").count() == 0, "the return file says that it has left"
        ada.go(f"{land.box.url}/email/inbox")
        ada.page.get_by_role("button", name=f"Re: {subject}").click()
        expect(ada.page.frame_locator("iframe").get_by_text("I am glad.")).to_have_count(1)
        ada.look("carried-home")

        # twice, late, and of others
        assert "This file was here before." in passer_by.home(answer)
        assert "This file was here before." in passer_by.home(first)
        assert passer_by.to_town(passer_by.fetch()).stat().st_size > 0
        assert land.town.pending(DOMAIN) == 0, "the acknowledgement rode in the file"
        strange = tmp_path / "well.jpg"
        strange.write_bytes(photo())
        assert "not a file with mail of Lokole" in passer_by.home(strange)
        assert "not a file with mail of Lokole" in passer_by.refused_in_town(strange)
        assert "not for here" in passer_by.home(up), "a file for the server is not one for a box"
        broken = tmp_path / "broken.lkl.tar"
        broken.write_bytes(answer.read_bytes()[:600])
        assert "The file broke off on its way." in passer_by.home(broken)
        refusals = [one for one in other.wrong if "400" not in one and not re.search(r"/carry(/take)?$", one)]
        assert refusals == []
        other.wrong.clear()


def from_the_world(land: Land, name: str, subject: str) -> None:
    """A letter to ``name`` reaches the server, and waits there for the box."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "kofi@town.test", f"{name}@{DOMAIN}", subject
    letter.set_content("Dear Ada, I am glad.")
    before = land.town.pending(DOMAIN)
    with smtplib.SMTP("127.0.0.1", land.town.smtp_port, timeout=30) as line:
        line.send_message(letter)
    deadline = time.monotonic() + 30
    while land.town.pending(DOMAIN) <= before:
        assert time.monotonic() < deadline, "the letter does not wait for the box"
        time.sleep(0.1)
