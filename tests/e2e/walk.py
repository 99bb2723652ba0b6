"""Somebody's way through the pages: nothing is found by its words, all by the names that forms give to their fields.

So one way is gone in each language, with scripts and without, and every page of it is photographed.
"""

from __future__ import annotations

from lokole.mail.model import Account
from lokole.mailbox import accounts
from tests.e2e.test_browser import Tab
from tests.servers_mail import expect, follow
from tests.unit.webmail.conftest import Box

LANGUAGES = ("en", "fr", "ln", "sw")


class Walk:
    """One tab on the pages of a box at ``base``; every page of it has to be in ``language``."""

    def __init__(self, made: Tab, base: str, box: Box, language: str, *, scripts: bool) -> None:
        self.made, self.page, self.box = made, made.page, box
        self.base, self.language, self.scripts = base, language, scripts

    def look(self, what: str) -> None:
        """Photograph the page."""
        self._in_its_language()
        self.made.look(what)

    def at(self, path: str, what: str = "") -> None:
        """Go to ``path``; photograph it as ``what``."""
        self.made.go(self.base + path)
        self._in_its_language()
        if what:
            self.made.look(what)

    def press(self, selector: str, what: str = "", *, key: bool = False) -> None:
        """Touch what leads to another page, and wait until that is there.

        ``key``: by keyboard, for a page with a frame, in which a click right after a jump of the page may still land.
        """
        follow(self.page.locator(f"main {selector}").first, key="Enter" if key else "")
        if what:
            self.look(what)

    def refused(self, selector: str, what: str) -> None:
        """Press what is answered with a sentence of what is wrong."""
        self.press(selector)
        expect(self.page.locator(".err:visible, .say.bad:visible").first).to_be_visible()
        self.look(what)
        self.made.wrong.clear()

    def fill(self, **fields: str) -> None:
        """Write into fields by their names."""
        for name, value in fields.items():
            self.page.locator(f"main [name={name}]").fill(value)

    def choose_language(self) -> None:
        """At the door: the telephone itself asks for English."""
        self.made.go(self.base + "/user/login")
        if self.language != "en":
            self.press(f"button[lang={self.language}]")

    def enter(self, name: str, password: str) -> None:
        """From the door to the inbox, or wherever somebody has to go first."""
        self.fill(name=name, password=password)
        self.press("button[value=password]")

    def leave(self) -> None:
        """To the door."""
        follow(self.page.locator("form.leave button"))

    def account(self, name: str) -> Account:
        """Whoever has this name."""
        with self.box.ports.database.read() as tx:
            found = accounts.find_account(tx, self.box.tenant, name)
        assert found is not None
        return found

    def _in_its_language(self) -> None:
        assert self.page.locator("html").get_attribute("lang") == self.language, self.page.url
