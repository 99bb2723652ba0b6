"""What people do now and then, on a telephone of 360 px, in each language, with scripts and without.

Two ways through the pages: sorting and finding letters and all that is set for them, and all that has to do with coming in, up to leaving for good.
Screenshots lie in ``build/screenshots`` afterwards, to be looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lokole.mail.model import Attachment, Contact
from lokole.mailbox import accounts, standing
from tests.e2e.test_browser import NARROW, tab
from tests.e2e.test_people_browser import Served, browser, empty_database
from tests.e2e.walk import LANGUAGES, Walk
from tests.servers_mail import expect
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box, make_box

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

__all__ = ["browser", "empty_database", "make_box"]

NEW_PASSWORD = "mango river drum"


#: what is done, in which language, with scripts or without
WAYS = [
    (what, language, scripts) for what in ("letters", "person") for language in LANGUAGES for scripts in (True, False)
]
#: every other one: each language with scripts and without, each thing in each language; the others go in `make test-slow`
AT_ONCE = [one for one in WAYS if (one[0] == "letters") == ((LANGUAGES.index(one[1]) + one[2]) % 2 == 0)]


def name_of(way: tuple[str, str, bool]) -> str:
    what, language, scripts = way
    return f"{what}-{language}-{'scripts' if scripts else 'plain'}"


@pytest.mark.parametrize("way", AT_ONCE, ids=name_of)
def test_what_is_done_now_and_then(browser: Browser, make_box: Callable[..., Box], way: tuple[str, str, bool]) -> None:
    go_through(browser, make_box, way)


def go_through(browser: Browser, make_box: Callable[..., Box], way: tuple[str, str, bool]) -> None:
    """One of :data:`WAYS`, from the door to its end."""
    what, language, scripts = way
    served = Served(make_box())
    _fill(served.box, language)
    walk = Letters if what == "letters" else Person
    try:
        with tab(browser, name_of(way), scripts=scripts, width=NARROW) as made:
            walk(made, served.base, served.box, language, scripts=scripts).go()
    finally:
        served.stop()


def _fill(box: Box, language: str) -> None:
    """Mireille has letters; Ruth wants to be found; Mireille has got a second address by mistake; somebody looks after the box."""
    box.person("mireille", display_name="Mireille Ilunga", language=language)
    box.person("mireille2", language=language)
    box.person("chief", display_name="Papa Lokwa", language=language, is_admin=True)
    ruth = box.person("ruth", display_name="Ruth Namatovu")
    with box.ports.database.write() as tx:
        standing.set_listed(tx, ruth, True)
    plain = Attachment("calendrier.pdf", b"%PDF" + b"x" * 42_000, "application/pdf")
    for n, (name, subject, text) in enumerate(
        [
            ("École Lisanga", "Réunion des parents samedi", "La réunion commence à 9 heures sous le grand manguier."),
            ("Papa Joseph", "Le toit de la maison", "J’ai trouvé les tôles à Mbandaka."),
            ("Docteur Mbuyi", "Photos de la clinique", "Merci pour les photos."),
            ("Docteur Mbuyi", "Re: Photos de la clinique", "Elles sont dans la salle d’attente."),
        ]
    ):
        box.later(minutes=1)
        box.letter(
            "mireille",
            subject,
            f"<p>{text}</p>",
            sender=Contact(f"p{n}@example.com", name),
            attachments=(plain,) if n == 0 else (),
            read=n == 1,
            message_id=f"<{n}@example.com>",
            references=("<2@example.com>",) if n == 3 else (),
        )
    box.letter("mireille2", "Pour l’autre nom", "<p>Cette lettre suit.</p>", read=True)


class Letters(Walk):
    """Somebody who keeps their letters in order."""

    def go(self) -> None:
        self.choose_language()
        self.enter("mireille", PASSWORD)
        self.keep_in_folders()
        self.find()
        self.throw_away()
        self.set_for_letters()
        self.write_to_several()
        self.be_found()

    def keep_in_folders(self) -> None:
        page = self.page
        self.at("/email/folders")
        self.refused("form[action$='/email/folders'] button", "folder-without-a-name")
        self.fill(name="Santé")
        self.press("form[action$='/email/folders'] button", "folder-empty")
        code = page.url.rpartition("/")[2]
        self.at("/email/inbox?pick=some")
        self.press("button[value=archive]", "none-ticked")
        self.at("/email/inbox?pick=some")
        for no in (2, 3):
            page.locator(f"#n{no}").check()
        page.locator("main [name=to]").select_option(code)
        self.look("some-ticked")
        self.press("button[value=move]", "moved")
        expect(page.locator("li.row")).to_have_count(2)
        self.at(f"/email/folder/{code}", "folder")
        self.press("a[href*='pick=some']")
        self.press("a[href*='pick=all']")
        expect(page.locator("input[name=n]:checked")).to_have_count(2)
        self.press("button[value=star]", "starred")
        self.at("/email/1")
        page.locator(".pane details summary").last.press("Enter")
        page.locator(".pane [name=to]").select_option(code)
        self.look("letter-to-move")
        self.press(".pane button[value=move]", key=True)
        self.at(f"/email/folders/{code}", "folder-to-change")
        self.fill(name=" ")
        self.refused("button.main", "folder-name-refused")
        self.fill(name="Santé et école")
        self.press("button.main", "folder-renamed")
        self.at(f"/email/folders/{code}")
        self.press("button.bad", "folder-gone")
        self.at("/email/folders", "folders")
        self.press("button[name=together]")
        self.at("/email/inbox", "conversations")
        self.at("/email/folders")
        self.press("button[name=together]")

    def find(self) -> None:
        page = self.page
        self.at("/email/search?query=hippopotame", "found-nothing")
        self.at("/email/search")
        page.locator("main summary").click()
        self.fill(**{"from": "lisanga", "since": "2026-11-01"})
        page.locator("main [name=file]").check()
        self.look("what-to-go-by")
        self.press("button.main", "found")
        expect(page.locator("li.row")).to_have_count(1)

    def throw_away(self) -> None:
        page = self.page
        self.at("/email/archive?pick=all")
        self.press("button[value=delete]", "deleted-many")
        self.press("form.undo button", "put-back")
        self.at("/email/archive?pick=all")
        self.press("button[value=delete]")
        self.at("/email/deleted", "deleted")
        page.locator("main input[name=n]").first.check()
        self.press("button[value=restore]", "one-put-back")
        self.at("/email/deleted")
        self.press("a[href*='/email/deleted/']", "deleted-letter")
        self.press("a[href$=erase]", "erase-question", key=True)
        self.press("button.bad", "erased")
        self.press("a[href$='/deleted/empty']", "empty-question")
        self.press("button.bad", "emptied")
        expect(page.locator("li.row")).to_have_count(0)

    def set_for_letters(self) -> None:
        page = self.page
        self.at("/user/letters")
        self.fill(signature="Mireille\nBolenge")
        self.press("form[action$='/signature'] button")
        page.locator("main [name=answer]").check()
        self.fill(answer_from="2026-12-24", answer_until="2026-12-01")
        self.refused("form[action$='/answer'] button", "answer-refused")
        self.fill(answer_text="Je suis à Mbandaka.", answer_until="2027-01-04")
        self.press("form[action$='/answer'] button", "answer-kept")
        expect(page.locator("main [name=answer]")).to_be_checked()
        expect(page.locator("main [name=answer_until]")).to_have_value("2027-01-04")
        rule = "form[action$='/rules'] button"
        self.refused(rule, "rule-without-words")
        self.fill(words="facture")
        page.locator("main [name=action]").select_option("forward")
        self.refused(rule, "rule-without-an-address")
        self.fill(to="ruth")
        self.press(rule)
        page.locator("main [name=field]").select_option("subject")
        self.fill(words="réunion")
        self.press(rule, "rules")
        expect(page.locator("form[action$=remove]")).to_have_count(2)
        self.press("form[action$=remove] button", "rule-gone")
        expect(page.locator("form[action$=remove]")).to_have_count(1)

    def write_to_several(self) -> None:
        page = self.page
        self.at("/contacts")
        self.fill(name="Joseph", address="joseph@")
        self.refused("form[action$='/contacts'] button", "address-refused")
        self.fill(address="joseph@example.com")
        self.press("form[action$='/contacts'] button", "address-book")
        self.press("a[href*='/contacts/']:not([href*=groups])", "line-to-change")
        self.press("button[value=save]")
        self.at("/contacts/groups")
        self.fill(name="Chorale", members="ruth, joseph@example.com, rut")
        self.refused("button.main", "group-refused")
        self.press("button[value^='fix:rut ruth@']", "groups")
        self.press("a[href*='to=Chorale']")
        field = page.locator("main [name=to]")
        expect(field).to_have_value("Chorale")
        expect(page.locator("[name=body]")).to_have_value(re.compile("Bolenge"))  # the signature
        # a browser completes the whole field only; the script lets it complete what stands behind the last comma
        field.fill("Chorale, jo")
        completed = page.locator("#known option").evaluate_all("all => all.map(one => one.value)")
        assert ("Chorale, joseph@example.com" in completed) is self.scripts
        field.fill("Chorale, joseph@example.com")
        self.fill(subject="Répétition")
        self.look("to-a-group")
        self.press("button[value=send]", "to-a-group-in-the-bag")
        assert page.url.endswith("/email/outbox")
        self.at("/contacts")
        self.press("a[href*='/contacts/groups/']")
        page.locator("main summary").click()
        self.look("group-to-take-away")
        self.press("button[value=remove]", "group-gone")
        self.press("a[href*='/contacts/']:not([href*=groups])")
        self.press("button[value=remove]")

    def be_found(self) -> None:
        page = self.page
        self.at("/users", "not-in-the-list")
        self.press("button[value=yes]", "in-the-list")
        expect(page.locator("li.person")).to_have_count(2)
        self.press("a[href*='action=to']", "to-somebody-of-the-list")
        expect(page.locator("main [name=to]")).to_have_value(f"ruth@{DOMAIN}")
        self.at("/users")
        self.press("button[value=no]", "no-longer-in-the-list")


class Person(Walk):
    """Somebody who comes in by each way, loses it, and leaves for good."""

    def go(self) -> None:
        self.choose_language()
        self.enter("mireille", PASSWORD)
        self.say_who_they_are()
        self.enter_with_digits()
        self.enter_with_pictures()
        self.end_it_elsewhere()
        self.take_another_password()
        self.be_looked_after()
        self.come_in_with_the_slip()
        self.leave_for_good()

    def say_who_they_are(self) -> None:
        page, elsewhere = self.page, "Africa/Lubumbashi"
        self.at("/user/profile")
        self.fill(display_name="Mireille I.")
        page.locator("main [name=time_zone]").select_option(elsewhere)
        self.press("form[action$='/user/profile'] button", "profile")
        assert self.account("mireille").time_zone == elsewhere
        assert self.account("mireille").display_name == "Mireille I."
        self.press("button[name=roaming]", "letters-in-town")
        self.press("button[name=roaming]")
        other = "sw" if self.language != "sw" else "fr"
        self.press(f"button[lang={other}]")
        assert page.locator("html").get_attribute("lang") == other
        self.press(f"button[lang={self.language}]", "in-their-own-language-again")

    def enter_with_digits(self) -> None:
        self.at("/user/pin")
        self.fill(pin="1234", again="1234")
        self.refused("button.main", "pin-that-anybody-guesses")
        self.fill(pin="7392", again="7393")
        self.refused("button.main", "pin-written-in-two-ways")
        self.fill(pin="7392", again="7392")
        self.press("button.main", "pin-chosen")
        self.leave()
        self.enter("mireille", "7392")
        self.at("/user/sessions", "here-with-a-pin")

    def enter_with_pictures(self) -> None:
        # what changes a way in asks once more after a while
        self.box.later(minutes=6)
        self.at("/email/inbox")
        self.box.later(minutes=6)
        self.at("/user/pictures", "is-it-you")
        self.fill(password="7392")
        self.press("button[value=password]", "pictures-to-choose")
        self.touch("bird", "hut", "moon")
        self.press("button[value=enter]", "pictures-once-more")
        self.touch("bird", "hut", "hut")
        self.refused("button[value=enter]", "other-pictures")
        for _ in range(2):
            self.touch("bird", "hut", "moon")
            self.press("button[value=enter]")
        self.look("pictures-chosen")
        self.leave()
        self.fill(name="mireille")
        self.press("button[value=pictures]")
        self.touch("fish", "fish", "sun")
        self.look("pictures-touched")
        self.refused("button[value=enter]", "wrong-pictures")
        self.touch("bird", "hut", "moon")
        self.press("button[value=enter]", "in-with-pictures")
        assert self.page.url.endswith("/email/inbox")
        self.at("/user/profile")
        self.press("form[action*='/pin/'] button", "pin-given-up")

    def touch(self, *pictures: str) -> None:
        for one in pictures:
            self.press(f".pics button[value={one}]")

    def end_it_elsewhere(self) -> None:
        elsewhere = self.box.enter("mireille", self.language)
        self.at("/user/sessions", "here-and-elsewhere")
        expect(self.page.locator("main li.item")).to_have_count(2)
        self.press("button[value=others]", "no-longer-elsewhere")
        expect(self.page.locator("main li.item")).to_have_count(1)
        assert elsewhere.open("/email/inbox").address.startswith("/user/login")
        self.press("button[value=everywhere]", "nowhere")
        assert self.page.url.endswith("/user/login")

    def take_another_password(self) -> None:
        self.box.later(minutes=2)
        self.enter("mireille", PASSWORD)
        self.at("/user/password/change")
        self.fill(old="wrong wrong", new=NEW_PASSWORD, again=NEW_PASSWORD)
        self.refused("button.main", "password-until-now-wrong")
        self.fill(old=PASSWORD, new=NEW_PASSWORD, again="mango river")
        self.refused("button.main", "password-written-in-two-ways")
        self.fill(old=PASSWORD, new=NEW_PASSWORD, again=NEW_PASSWORD)
        self.press("button.main", "password-new")
        self.leave()

    def be_looked_after(self) -> None:
        """The administrator's side: two addresses of one person become one, and a password is lost."""
        page, mireille, second = self.page, self.account("mireille"), self.account("mireille2")
        self.enter("chief", PASSWORD)
        self.at("/admin/people", "people")
        self.at(f"/admin/people/{mireille.no}", "person")
        self.fill(quota_mb="much")
        self.refused("form[action$='/standing'] button", "room-refused")
        self.press("form[action$='/suspend'] button", "not-let-in")
        self.press("form[action$='/unsuspend'] button")
        self.at(f"/admin/people/{second.no}/merge", "to-become-one")
        self.fill(into="nobody")
        self.refused("button.main", "to-become-one-with-nobody")
        self.fill(into="mireille")
        self.press("button.main", "to-become-one-question")
        self.press("button.bad", "one")
        self.press("a[href$='/password']", "slip-question")
        self.press("button.main", "slip-covered")
        page.locator("main summary").click()
        self.look("slip")
        self.slip = page.locator("main .slip b").inner_text()
        self.press("a.main")
        self.leave()

    def come_in_with_the_slip(self) -> None:
        """Lost: the password that somebody had does not let them in any more, what stands on the slip does, once."""
        self.box.later(minutes=2)
        self.fill(name="mireille", password=NEW_PASSWORD)
        self.refused("button[value=password]", "password-lost")
        self.enter("mireille", self.slip.upper().replace("-", " "))
        assert self.page.url.endswith("/user/password/change")
        self.look("to-choose-a-password")
        self.fill(new=PASSWORD, again=PASSWORD)
        self.press("button.main", "in-again")
        expect(self.page.get_by_text("Pour l’autre nom")).to_have_count(1)

    def leave_for_good(self) -> None:
        self.box.later(minutes=2)
        self.at("/user/leave", "leave-for-good")
        self.fill(password="wrong wrong")
        self.refused("button.bad", "leave-for-good-refused")
        self.fill(password=PASSWORD)
        self.press("button.bad", "gone")
        with self.box.ports.database.read() as tx:
            assert accounts.find_account(tx, self.box.tenant, "mireille") is None
        self.at("/user/login")
        self.fill(name="mireille", password=PASSWORD)
        self.refused("button[value=password]", "nobody-of-this-name")
