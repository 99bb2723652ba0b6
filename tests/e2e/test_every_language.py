"""What people do most, on a telephone of 360 px, in each language, with scripts and without.

The same way through the pages is gone eight times; nothing in it is found by its words, all by the names that forms give to their fields.
Screenshots lie in ``build/screenshots`` afterwards, to be looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lokole.mail.model import Attachment, Contact, DeliveryState, EmailNo
from lokole.mailbox import accounts, posting, recipients, standing
from tests.e2e.test_browser import NARROW, Tab, photo, tab
from tests.e2e.test_people_browser import Served, browser, empty_database
from tests.unit.webmail.conftest import PASSWORD, Box, make_box
from tests.unit.webmail.test_reading import PNG

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

__all__ = ["browser", "empty_database", "make_box"]

LANGUAGES = ("en", "fr", "ln", "sw")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_days_of_a_new_person(browser: Browser, make_box: Callable[..., Box], language: str, scripts: bool) -> None:
    served = Served(make_box(address="http://lokole.example"))
    served.box.person("ruth", display_name="Ruth Namatovu")
    _hang_up(served.box)
    name = f"days-{language}-{'scripts' if scripts else 'plain'}"
    try:
        with tab(browser, name, scripts=scripts, width=NARROW) as made:
            Days(made, served, language, scripts=scripts).go()
    finally:
        served.stop()


def _hang_up(box: Box) -> None:
    """Something for everybody hangs on the board, and Ruth wants to be found."""
    no = box.letter("ruth", "Water on Tuesday", "<p>The pump runs from six to eight.</p>", read=True)
    with box.ports.database.write() as tx:
        ruth = accounts.find_account(tx, box.tenant, "ruth")
        assert ruth is not None
        standing.set_listed(tx, ruth, True)
        posting.make_post(tx, box.tenant, EmailNo(no), box.clock[0], account=None, public=True)


class Days:
    """One person's way through the pages."""

    def __init__(self, made: Tab, served: Served, language: str, *, scripts: bool) -> None:
        self.made, self.page, self.box = made, made.page, served.box
        self.base, self.language, self.scripts = served.base, language, scripts

    def look(self, what: str) -> None:
        """Photograph it, once in each language."""
        if self.scripts:
            self.made.look(what)

    def go(self) -> None:
        self.sign_up()
        self.write()
        self.read()
        self.look_around()
        self.go_wrong()
        self.forget()

    def at(self, path: str, what: str = "") -> None:
        self.made.go(self.base + path)
        assert self.page.locator("html").get_attribute("lang") == self.language
        if what:
            self.look(what)

    def press(self, selector: str) -> None:
        self.page.locator(f"main {selector}").first.click()

    def sign_up(self) -> None:
        page = self.page
        self.made.go(self.base + "/")
        if self.language != "en":
            page.locator(f"button[lang={self.language}]").click()
        self.at("/", "start")
        self.at("/user/register")
        page.locator("[name=called]").fill("Mireille Ilunga")
        page.locator("[name=name]").fill("mireille")
        page.locator("[name=password]").fill("short")
        page.locator("[name=listed]").check()
        self.press("button.main")
        page.locator(".err").first.wait_for()
        self.look("sign-up")
        self.made.wrong.clear()
        page.locator("[name=password]").fill(PASSWORD)
        self.press("button.main")
        page.wait_for_url("**/email/inbox")
        self.look("inbox-of-a-newcomer")

    def write(self) -> None:
        page = self.page
        self.at("/email/new")
        page.locator("[name=to]").fill("joseph@gmial.com")
        page.locator("[name=subject]").fill("Mbote")
        chosen = page.locator("input[name=files]").first
        chosen.set_input_files({"name": "well.jpg", "mimeType": "image/jpeg", "buffer": photo()})
        letter = page.locator("[role=textbox]" if self.scripts else "[name=body]")
        letter.click()
        page.keyboard.type("The well is ready.")
        self.press("button[value=keep]")
        page.wait_for_url("**/email/drafts")
        self.look("kept-for-later")
        self.press("a[href*='draft=']")
        assert page.locator("[name=file]").count() == 1
        self.press("button[value=send]")
        self.look("no-such-place")
        self.made.wrong.clear()
        page.locator("[name=to]").fill("joseph@example.com, ruth")
        self.press("button[value=send]")
        page.wait_for_url("**/email/outbox")
        self.look("in-the-bag")
        self.press("a[id^=s]")
        self.look("its-way")
        self.press("form[action*=take-back] button")
        self.look("taken-back")
        self.press("button[value=send]")
        page.wait_for_url("**/email/outbox")

    def read(self) -> None:
        page, box = self.page, self.box
        plain = Attachment("calendrier.pdf", b"%PDF" + b"x" * 42_000, "application/pdf")
        came = []
        for n, (name, subject) in enumerate(
            [("École Lisanga", "Réunion des parents samedi"), ("محمد علي", "رسالة من المدينة"), ("Papa Joseph", "")]
        ):
            box.later(minutes=1)
            no = box.letter(
                "mireille",
                subject,
                "<p>La réunion commence à 9 heures sous le grand manguier.</p>",
                sender=Contact(f"p{n}@example.com", name),
                attachments=(plain, Attachment("carnet.png", PNG, "image/png")) if n == 0 else (),
                read=n == 1,
            )
            came.append(no)
        first = came[0]
        self.at("/email/inbox", "inbox")
        self.press(f"button[name=open][value='{first}']")
        page.wait_for_url(re.compile(r"/email/\d+$"))
        self.look("letter")
        # by keyboard: a click right after a jump of the page may still land in the frame that was there before
        page.locator("main a[href*='action=reply&']").press("Enter")
        page.wait_for_url("**/email/new**")
        assert "p0@example.com" in page.locator("[name=to]").input_value()
        self.look("answer")
        letter = page.locator("[role=textbox]" if self.scripts else "[name=body]")
        letter.click()
        page.keyboard.type("Ndiyo")
        self.press("button[value=send]")
        page.wait_for_url("**/email/outbox")
        self.at(f"/email/new?action=forward&uid={first}", "pass-on")
        self.at(f"/email/{first}/print", "print")
        self.at("/email/inbox?pick=some", "choose")
        page.locator("input[name=n]").first.check()
        self.press("button[value=delete]")
        self.look("deleted")
        self.press("form.undo button")
        self.at(f"/email/delete/{first}", "delete")
        self.press("form button")
        self.at("/email/deleted", "deleted-letters")
        self.at("/email/search?query=r%C3%A9union")
        self.press("summary")
        self.look("search")
        self.at("/email/archive", "archive-empty")
        self._refuse()
        self.at("/email/outbox", "outbox-refused")
        self.at("/email/sent", "sent")

    def _refuse(self) -> None:
        """One letter came to nothing, another one arrived."""
        box = self.box
        with box.ports.database.write() as tx:
            me = accounts.find_account(tx, box.tenant, "mireille")
            assert me is not None
            for no in range(1, 12):
                for one in recipients.deliveries(tx, box.tenant, no):
                    if str(one.address) == "joseph@example.com":
                        recipients.set_recipient_state(
                            tx, box.tenant, no, one.address, DeliveryState.REFUSED, "no-such-person", 2
                        )

    def look_around(self) -> None:
        if not self.scripts:
            return
        for path in (
            *("/more", "/email/folders", "/contacts", "/contacts/groups", "/user/letters"),
            *("/board", "/users", "/user/profile", "/user/sessions", "/user/password/change", "/user/pin"),
            *("/user/pictures", "/user/leave", "/about", "/who", "/carry", "/user/here/away", "/offline"),
        ):
            self.at(path, path.strip("/").replace("/", "-"))

        self.at("/board/post/1", "post")
        # a telephone that has just joined the Wi-Fi asks its maker's address, and any name leads to the box
        self.made.go(self.base.replace("127.0.0.1", "connectivity.localhost") + "/generate_204")
        self.look("joined-the-wi-fi")

    def go_wrong(self) -> None:
        for path in ("/email/4711", "/admin"):
            self.at(path, "wrong" + path.replace("/", "-"))
        self.made.wrong.clear()

    def forget(self) -> None:
        """The door: a wrong password, the pictures, and somebody who may not come in."""
        page, box = self.page, self.box
        page.locator("form.leave button").click()
        page.wait_for_url("**/user/login")
        self.look("left")
        page.locator("[name=name]").fill("mireille")
        page.locator("[name=password]").fill("wrong wrong")
        self.press("button.main")
        page.locator(".err, .say.bad").first.wait_for()
        self.look("wrong-password")
        self.made.wrong.clear()
        page.locator("[name=name]").fill("mireille")
        self.press("button[value=pictures]")
        self.press("button[value=bird]")
        self.look("pictures")
        self.at("/user/login")
        with box.ports.database.write() as tx:
            me = accounts.find_account(tx, box.tenant, "mireille")
            assert me is not None
            accounts.set_suspended(tx, me, True)
        page.locator("[name=name]").fill("mireille")
        page.locator("[name=password]").fill(PASSWORD)
        self.press("button.main")
        self.look("enter")
        self.made.wrong.clear()
