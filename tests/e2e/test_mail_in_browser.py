"""Reading and keeping mail in real Chromium, with scripts and without: conversations, folders, many at once, undo, search, print, news.

The pages stand over an own database; screenshots lie in ``build/screenshots`` afterwards, light and dark, at 360 px.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from lokole.mail.model import Attachment, Contact, DeliveryState
from lokole.mailbox import recipients
from tests.corpus import REPOSITORY
from tests.servers_mail import chromium, expect, follow, in_whole, photograph
from tests.unit.webmail.conftest import PASSWORD, Box, empty_database, make_box
from tests.unit.webmail.test_reading import PNG

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["empty_database", "make_box"]

pytestmark = pytest.mark.e2e


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing: the test says what went wrong."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def box(make_box: Callable[..., Box]) -> Box:
    made = make_box()
    made.person("mireille")
    _fill(made)
    return made


@pytest.fixture
def site(box: Box) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, box.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _fill(box: Box) -> None:
    picture = Attachment("carnet.png", PNG, "image/png")
    plain = Attachment("calendrier.pdf", b"%PDF" + b"x" * 42_000, "application/pdf")
    people = [
        ("École Lisanga", "Réunion des parents samedi", "La réunion commence à 9 heures sous le grand manguier."),
        ("Papa Joseph", "Le toit de la maison", "Mireille, j’ai trouvé les tôles à Mbandaka."),
        ("محمد علي", "رسالة من المدينة", "صباح الخير يا ميراي"),
        ("Bureau de zone Bolenge", "Calendrier des vaccinations", "Le calendrier de décembre est joint."),
    ]
    for n, (name, subject, text) in enumerate(people):
        box.later(minutes=7)
        files = (plain, picture) if n == 3 else ()
        box.letter(
            "mireille",
            subject,
            f"<p>{text}</p>",
            sender=Contact(f"p{n}@example.com", name),
            attachments=files,
            read=n < 2,
        )
    for n in range(4):
        box.later(minutes=7)
        box.letter(
            "mireille",
            "Re: Thank you for the photos" if n else "Thank you for the photos",
            f"<p>We hung them in the waiting room. Letter {n}.</p>" + "<p>Everyone smiled.</p>" * 6,
            message_id=f"<photos-{n}@example.com>",
            references=("<photos-0@example.com>",) if n else (),
            read=n == 0,
        )


class Tab:
    """Mireille's tab: what goes wrong in it is counted, what it shows is photographed, nothing is wider than the screen."""

    def __init__(self, page: Page, name: str, site: str) -> None:
        self.page, self._name, self._site, self._shots = page, name, site, 0
        self.wrong: list[str] = []
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("response", lambda answer: self.wrong.append(answer.url) if answer.status >= 400 else None)

    def go(self, path: str, look: str = "") -> None:
        self.page.goto(self._site + path, wait_until="load")
        if look:
            self.look(look)

    def look(self, what: str) -> None:
        self._shots += 1
        wide, seen = in_whole(self.page, "[document.documentElement.scrollWidth, window.innerWidth]")
        photograph(self.page, f"mail-{self._name}-{self._shots:02}-{what}")
        assert wide <= seen, f"{what} is {wide} px wide on a screen of {seen} px"

    def press(self, name: str) -> None:
        follow(self.page.get_by_role("button", name=name, exact=True).first)

    def follow(self, name: str) -> None:
        follow(self.page.locator("main").get_by_role("link", name=name).first)


@contextmanager
def tab(
    browser: Browser, site: str, name: str, *, scripts: bool, width: int = 360, dark: bool = False
) -> Iterator[Tab]:
    context = browser.new_context(
        java_script_enabled=scripts,
        viewport={"width": width, "height": 640},
        locale="en-GB",
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(15_000)
    try:
        made = Tab(context.new_page(), name, site)
        made.go("/user/login")
        made.page.get_by_label("Name in Lokole").fill("mireille")
        made.page.get_by_label("Password").fill(PASSWORD)
        made.page.get_by_role("button", name="Enter").click()
        made.page.wait_for_url("**/email/inbox")
        yield made
        assert made.wrong == []
    finally:
        context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_letters_are_chosen_archived_deleted_and_put_back(browser: Browser, site: str, scripts: bool) -> None:
    with tab(browser, site, f"many-{'js' if scripts else 'plain'}", scripts=scripts) as mine:
        mine.look("inbox")
        mine.follow("Choose letters")
        mine.page.get_by_label("Le toit de la maison").check()
        mine.page.locator("label", has_text="Réunion des parents samedi").click()
        expect(mine.page.locator("input[name=n]:checked")).to_have_count(2)
        mine.look("chosen")
        mine.press("Into the archive")
        expect(mine.page.get_by_text("Le toit de la maison")).to_have_count(0)
        mine.look("archived")
        mine.go("/email/archive", "archive")
        mine.follow("Choose letters")
        mine.follow("Choose all")
        mine.press("Delete")
        assert "The archive is empty" in mine.page.inner_text("main")
        mine.look("deleted")
        mine.press("Put back")
        expect(mine.page.get_by_text("Le toit de la maison")).to_have_count(1)
        mine.go("/email/deleted", "nothing-deleted")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_deleted_letters_are_opened_and_go_for_good_after_a_question(
    browser: Browser, site: str, scripts: bool
) -> None:
    with tab(browser, site, f"for-good-{'js' if scripts else 'plain'}", scripts=scripts) as mine:
        for no in (1, 2, 4):
            mine.go(f"/email/delete/{no}")
            follow(mine.page.locator("main form button"))
        mine.go("/email/deleted", "list")
        mine.page.get_by_label("Choose: Le toit de la maison").check()
        mine.press("Put back what is ticked")
        mine.go("/email/deleted")
        mine.page.get_by_role("link", name="Calendrier des vaccinations").click()
        expect(mine.page.frame_locator("iframe").get_by_text("Le calendrier de décembre est joint.")).to_be_visible()
        mine.look("letter")
        # by keyboard: a click right after a jump of the page may still land in the frame that was there before
        mine.page.get_by_role("link", name="Delete for good").press("Enter")
        mine.page.wait_for_url("**/erase")
        mine.look("question")
        mine.press("Delete for good")
        expect(mine.page.get_by_text("The letter is gone for good.")).to_be_visible()
        expect(mine.page.get_by_text("Calendrier des vaccinations")).to_have_count(0)
        mine.follow("Empty the folder")
        mine.look("empty-question")
        mine.press("Delete all for good")
        mine.look("emptied")
        assert "Nothing is deleted" in mine.page.inner_text("main")
        mine.go("/email/inbox")
        expect(mine.page.get_by_text("Le toit de la maison")).to_have_count(1)
        expect(mine.page.get_by_text("Réunion des parents samedi")).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_a_folder_is_made_and_a_letter_moved_there(browser: Browser, site: str, scripts: bool) -> None:
    with tab(browser, site, f"folders-{'js' if scripts else 'plain'}", scripts=scripts) as mine:
        mine.go("/more", "more")
        mine.follow("Folders")
        mine.page.get_by_label("Name of a new folder").fill("Santé")
        mine.press("Make this folder")
        mine.look("empty-folder")
        mine.go("/email/inbox")
        mine.page.get_by_text("Calendrier des vaccinations").click()
        mine.page.wait_for_url(re.compile(r"/email/\d+$"))
        mine.look("letter")
        # by keyboard: a click right after a jump of the page may still land in the frame that was there before
        mine.page.locator("summary", has_text="Move to a folder").press("Enter")
        mine.page.get_by_label("Move to").select_option(label="Santé")
        mine.press("Move")
        assert "It is in its new place." in mine.page.inner_text("main")
        mine.go("/email/folders", "folders")
        mine.follow("Change")
        mine.look("change-folder")
        mine.press("Take it away")
        # its letters are in the archive, to which the page leads
        mine.page.get_by_text("Calendrier des vaccinations").wait_for()
        assert mine.page.url.endswith("/email/archive")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_a_conversation_is_one_line_and_its_letters_unfold(browser: Browser, site: str, scripts: bool) -> None:
    with tab(browser, site, f"talk-{'js' if scripts else 'plain'}", scripts=scripts) as mine:
        mine.go("/email/folders")
        mine.press("Show conversations on one line")
        mine.go("/email/inbox", "inbox-of-conversations")
        expect(mine.page.locator("li.row")).to_have_count(5)
        mine.page.get_by_text("Re: Thank you for the photos").click()
        mine.page.wait_for_url(re.compile(r"/email/\d+$"))
        mine.look("conversation")
        expect(mine.page.locator("details.fold")).to_have_count(3)
        first = mine.page.locator("details.fold").first
        first.locator("summary").click()
        inside = first.frame_locator("iframe").locator("body")
        assert "Letter 0." in inside.inner_text()
        mine.look("unfolded")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_letters_are_found_by_filters(browser: Browser, site: str, scripts: bool) -> None:
    with tab(browser, site, f"find-{'js' if scripts else 'plain'}", scripts=scripts) as mine:
        mine.go("/email/search", "search")
        mine.page.get_by_text("More to go by").click()
        mine.page.get_by_label("From", exact=True).fill("bureau")
        mine.page.get_by_label("With a file").check()
        mine.look("filters")
        follow(mine.page.locator("main").get_by_role("button", name="Search"))
        mine.look("found")
        expect(mine.page.locator("li.row")).to_have_count(1)
        assert mine.page.get_by_label("With a file").is_checked()


def test_the_way_of_a_letter_and_the_sheets_to_print(browser: Browser, site: str, box: Box) -> None:
    with tab(browser, site, "way", scripts=False) as mine:
        mine.go("/email/new")
        mine.page.get_by_label("To", exact=True).fill("ruth@example.com, jeanne@example.net")
        mine.page.get_by_label("Subject").fill("Bonjour de Bolenge")
        mine.page.locator("textarea").fill("Bonjour Ruth")
        mine.press("Put it into the bag")
        (no,) = _numbers(mine, "Bonjour de Bolenge")
        with box.ports.database.write() as tx:
            recipients.set_recipient_state(tx, box.tenant, no, "jeanne@example.net", DeliveryState.REFUSED, "nobody", 1)
        mine.go(f"/email/{no}", "way")
        assert "Nobody there has this name." in mine.page.inner_text("article")
        expect(mine.page.locator("ol.way")).to_have_count(2)
        mine.go("/email/print", "sheets")
        mine.page.emulate_media(media="print")
        mine.look("sheets-on-paper")


def _numbers(mine: Tab, subject: str) -> list[int]:
    links = mine.page.get_by_role("link", name=subject)
    return [int((links.nth(n).get_attribute("href") or "").rpartition("/")[2]) for n in range(links.count())]


def test_a_new_letter_is_said_on_the_page_and_in_its_title_within_five_minutes(
    browser: Browser, site: str, box: Box
) -> None:
    with tab(browser, site, "news", scripts=True) as mine:
        mine.page.clock.install()
        mine.go("/email/inbox")
        news = mine.page.get_by_text("A new letter has come.")
        assert not news.is_visible()
        title = mine.page.title()
        box.letter("mireille", "Fresh")
        mine.page.clock.run_for(299_000)
        assert not news.is_visible()
        mine.page.clock.run_for(2_000)
        news.wait_for(state="visible")
        assert mine.page.title() == f"(6) {title}"
        mine.look("news")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts-on", "scripts-off"])
def test_the_search_button_is_reached_after_all_that_it_goes_by(browser: Browser, site: str, scripts: bool) -> None:
    with tab(browser, site, f"search-320-{'js' if scripts else 'plain'}", scripts=scripts, width=320) as mine:
        mine.go("/email/search")
        button = mine.page.get_by_role("main").get_by_role("button", name="Search")
        expect(button).to_be_in_viewport()
        mine.page.get_by_text("More to go by").click()
        mine.page.locator("#q").focus()
        passed = []
        for _ in range(30):
            mine.page.keyboard.press("Tab")
            passed.append(mine.page.evaluate("document.activeElement.name || document.activeElement.tagName"))
            if button.evaluate("one => one === document.activeElement"):
                break
        assert {"SUMMARY", "from", "to", "since", "until", "in", "file", "unread", "star"} <= set(passed)
        expect(button).to_be_in_viewport()
        place = button.bounding_box()
        assert place is not None
        assert place["height"] >= 44
        assert place["width"] > 250, "either thumb reaches it"
        mine.look("button")
        mine.page.get_by_label("With a file").check()
        mine.press("Search")
        expect(mine.page.get_by_text("Calendrier des vaccinations")).to_have_count(1)


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_of_mail_fits_the_screen_light_and_dark(browser: Browser, site: str, width: int, dark: bool) -> None:
    name = f"look-{width}-{'dark' if dark else 'light'}"
    with tab(browser, site, name, scripts=False, width=width, dark=dark) as mine:
        for path in (
            "/email/inbox",
            "/email/inbox?pick=all",
            "/email/4",
            "/email/8",
            "/email/folders",
            "/email/deleted",
            "/email/search?query=photos&unread=1",
            "/email/4/print",
        ):
            mine.go(path, path.partition("?")[0].strip("/").replace("/", "-") + ("-pick" if "pick" in path else ""))
        buttons = mine.page.evaluate("document.querySelectorAll('button:empty:not([aria-label])').length")
        assert buttons == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_the_pages_of_mail(browser: Browser, site: str, dark: bool) -> None:
    axe = (REPOSITORY / "node_modules" / "axe-core" / "axe.min.js").read_text()
    with tab(browser, site, f"axe-{'dark' if dark else 'light'}", scripts=True, dark=dark) as mine:
        mine.go("/email/folders")
        mine.page.get_by_label("Name of a new folder").fill("Santé")
        mine.press("Make this folder")
        code = mine.page.url.rpartition("/")[2]
        mine.go("/email/delete/1")
        mine.page.locator("main form button").click()
        found = {"after deleting": _violations(mine, axe)}
        mine.look("deleted-just-now")
        for path in (
            "/email/inbox?pick=all",
            "/email/4",
            "/email/8",
            "/email/folders",
            f"/email/folders/{code}",
            "/email/deleted",
            "/email/deleted/1",
            "/email/deleted/1/erase",
            "/email/deleted/empty",
            "/email/search?query=photos&unread=1",
            "/email/outbox",
        ):
            mine.go(path)
            found[path] = _violations(mine, axe)
        assert {path: wrong for path, wrong in found.items() if wrong} == {}


def _violations(mine: Tab, axe: str) -> list[object]:
    mine.page.evaluate(axe)
    run = "axe.run().then(told => told.violations.map(one => [one.id, one.nodes.map(n => n.html.slice(0, 200))]))"
    found: list[object] = mine.page.evaluate(run)
    return found


#: the words of the buttons below a letter that stand on two lines
_CUT = """[].concat.apply([], [].map.call(document.querySelectorAll('.pane .acts>*'), button => {
  const text = button.lastChild, cut = [];
  for (const word of text.data.matchAll(/[^\\s]+/g)) {
    const range = document.createRange();
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    if (range.getClientRects().length > 1) { cut.push(word[0]); }
  }
  return cut;
}))"""


def test_no_word_of_the_buttons_below_a_letter_is_cut_on_the_narrowest_telephone(browser: Browser, site: str) -> None:
    with tab(browser, site, "narrowest", scripts=False, width=320) as mine:
        for code in ("fr", "ln", "sw", "en"):
            mine.go("/more")
            follow(mine.page.locator(f"main button[lang={code}]"))
            mine.go("/email/1")
            assert mine.page.evaluate(_CUT) == [], code
            mine.look(f"buttons-{code}")
