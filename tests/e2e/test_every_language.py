"""What people do most, on a telephone of 360 px, in each language, with scripts and without.

The same way through the pages is gone eight times; nothing in it is found by its words, all by the names that forms give to their fields.
Screenshots lie in ``build/screenshots`` afterwards, to be looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lokole.mail.model import Attachment, Contact, DeliveryState, EmailNo
from lokole.mailbox import accounts, posting, recipients, standing
from tests.e2e.test_browser import NARROW, photo, tab
from tests.e2e.test_people_browser import Served, browser, empty_database
from tests.e2e.walk import LANGUAGES, Walk
from tests.servers_mail import expect
from tests.unit.webmail.conftest import PASSWORD, Box, make_box
from tests.unit.webmail.test_reading import PNG

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

__all__ = ["browser", "empty_database", "make_box"]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_days_of_a_new_person(browser: Browser, make_box: Callable[..., Box], language: str, scripts: bool) -> None:
    served = Served(make_box(address="http://lokole.example"))
    served.box.person("ruth", display_name="Ruth Namatovu")
    _hang_up(served.box)
    name = f"days-{language}-{'scripts' if scripts else 'plain'}"
    try:
        with tab(browser, name, scripts=scripts, width=NARROW) as made:
            Days(made, served.base, served.box, language, scripts=scripts).go()
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


class Days(Walk):
    """One person's way through the pages."""

    def go(self) -> None:
        self.sign_up()
        self.write()
        self.read()
        self.look_around()
        self.go_wrong()
        self.forget()

    def sign_up(self) -> None:
        self.made.go(self.base + "/")
        if self.language != "en":
            self.press(f"button[lang={self.language}]")
        self.at("/", "start")
        self.at("/user/register")
        self.fill(called="Mireille Ilunga", name="mireille", password="short")
        self.page.locator("[name=listed]").check()
        self.refused("button.main", "sign-up")
        self.fill(password=PASSWORD)
        self.press("button.main", "inbox-of-a-newcomer")
        assert self.page.url.endswith("/email/inbox")

    def write(self) -> None:
        page = self.page
        self.at("/email/new")
        self.fill(to="joseph@gmial.com", subject="Mbote")
        chosen = page.locator("input[name=files]").first
        chosen.set_input_files({"name": "well.jpg", "mimeType": "image/jpeg", "buffer": photo()})
        self.type("The well is ready.")
        self.press("button[value=keep]", "kept-for-later")
        assert page.url.endswith("/email/drafts")
        self.press("a[href*='draft=']")
        expect(page.locator("[name=file]")).to_have_count(1)
        self.refused("button[value=send]", "no-such-place")
        self.fill(to="joseph@example.com, ruth")
        self.press("button[value=send]", "in-the-bag")
        assert page.url.endswith("/email/outbox")
        self.press("a[id^=s]", "its-way")
        self.press("form[action*=take-back] button", "taken-back", key=True)
        self.press("button[value=send]")
        assert page.url.endswith("/email/outbox")

    def type(self, words: str) -> None:
        """Write the text of a letter, where it is written."""
        self.page.locator("[role=textbox]" if self.scripts else "[name=body]").click()
        self.page.keyboard.type(words)

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
        self.press(f"button[name=open][value='{first}']", "letter")
        assert page.url.endswith(f"/email/{first}")
        self.press("a[href*='action=reply&']", "answer", key=True)
        assert "p0@example.com" in page.locator("[name=to]").input_value()
        self.type("Ndiyo")
        self.press("button[value=send]")
        assert page.url.endswith("/email/outbox")
        self.at(f"/email/new?action=forward&uid={first}", "pass-on")
        self.at(f"/email/{first}/print", "print")
        self.at("/email/inbox?pick=some", "choose")
        page.locator("input[name=n]").first.check()
        self.press("button[value=delete]", "deleted")
        self.press("form.undo button")
        self.at(f"/email/delete/{first}", "delete")
        self.press("form button")
        self.at("/email/deleted", "deleted-letters")
        self.at("/email/search?query=r%C3%A9union")
        page.locator("main summary").first.click()
        self.look("search")
        self.at("/email/archive", "archive-empty")
        self._refuse()
        self.at("/email/outbox", "outbox-refused")
        self.at("/email/sent", "sent")

    def _refuse(self) -> None:
        """One letter came to nothing, another one arrived."""
        box, me = self.box, self.account("mireille")
        with box.ports.database.write() as tx:
            for no in range(1, 12):
                for one in recipients.deliveries(tx, me.tenant, no):
                    if str(one.address) == "joseph@example.com":
                        recipients.set_recipient_state(
                            tx, box.tenant, no, one.address, DeliveryState.REFUSED, "no-such-person", 2
                        )

    def look_around(self) -> None:
        for path in (
            *("/more", "/email/folders", "/contacts", "/contacts/groups", "/user/letters"),
            *("/board", "/users", "/user/profile", "/user/sessions", "/user/password/change", "/user/pin"),
            *("/user/pictures", "/user/leave", "/about", "/who", "/carry", "/user/here/away", "/offline"),
        ):
            self.at(path, path.strip("/").replace("/", "-"))

        self.at("/board/post/1", "post")
        # a telephone that has just joined the Wi-Fi asks its maker's address, and any name leads to the box
        self.made.go(self.base.replace("127.0.0.1", "connectivity.localhost") + "/generate_204")
        self.made.look("joined-the-wi-fi")

    def go_wrong(self) -> None:
        for path in ("/email/4711", "/admin"):
            self.at(path, "wrong" + path.replace("/", "-"))
        self.made.wrong.clear()

    def forget(self) -> None:
        """The door: a wrong password, the pictures, and somebody who may not come in."""
        self.leave()
        self.look("left")
        self.fill(name="mireille", password="wrong wrong")
        self.refused("button.main", "wrong-password")
        self.fill(name="mireille")
        self.press("button[value=pictures]")
        self.press("button[value=bird]", "pictures")
        self.at("/user/login")
        me = self.account("mireille")
        with self.box.ports.database.write() as tx:
            accounts.set_suspended(tx, me, True)
        self.fill(name="mireille", password=PASSWORD)
        self.refused("button.main", "enter")
