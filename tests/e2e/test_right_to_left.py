"""Pages that are read from right to left in real Chromium at 320 px, and letters that are read from the other side than their page.

The language is made up as a machine would: each English word of the catalogue becomes an Arabic one of its length.
Screenshots lie in ``build/screenshots`` afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from lokole.mail.model import Attachment, Contact
from lokole.webmail import language
from tests.corpus import REPOSITORY
from tests.e2e.test_browser import Tab, tab
from tests.e2e.test_people_browser import Served, browser, empty_database
from tests.unit.webmail.conftest import PASSWORD, Box, make_box
from tests.unit.webmail.test_reading import PNG

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.e2e

__all__ = ["browser", "empty_database", "make_box"]

WIDTH = 320
LETTERS = "كتابرسالةبريدقريةليل"
#: the side that the text of what a selector finds is drawn at, and which edge it lies at, too long for its place or not
SIDE = """(at) => {
  const text = document.createRange(), shown = getComputedStyle(at), whole = at.getBoundingClientRect();
  text.selectNodeContents(at);
  const line = text.getBoundingClientRect();
  const start = line.left - whole.left, end = whole.right - line.right;
  return {direction: shown.direction, nearer: Math.abs(start) < Math.abs(end) ? "left" : "right"};
}"""


def arabic(sentence: str) -> str:
    """``sentence`` with an Arabic word for each of its words; place-holders stay."""
    return re.sub(
        r"%\(\w+\)s|%%|[A-Za-z]+",
        lambda word: word[0] if word[0][0] == "%" else (LETTERS * 2)[: len(word[0])],
        sentence,
    )


@pytest.fixture
def catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of translations that holds ``ar``, compiled from today's sentences."""
    folder = tmp_path / "translations"
    path = folder / "ar" / "LC_MESSAGES" / "messages.mo"
    path.parent.mkdir(parents=True)
    with (REPOSITORY / "babel.pot").open("rb") as file:
        catalog = read_po(file, locale="ar")
    for message in catalog:
        if isinstance(message.id, str):
            message.string = message.id and arabic(message.id)
        else:
            message.string = tuple(arabic(message.id[1]) for _ in range(catalog.num_plurals))
    with path.open("wb") as out:
        write_mo(out, catalog)
    monkeypatch.setattr(language, "_CATALOGUES", folder)
    language.complete.cache_clear()
    yield folder
    language.complete.cache_clear()


@pytest.fixture
def served(make_box: Callable[..., Box]) -> Iterator[Served]:
    made = Served(make_box())
    made.box.person("mireille")
    yield made
    made.stop()


def _enter(made: Tab, served: Served, code: str) -> None:
    made.go(f"{served.base}/user/login?lang={code}")
    made.page.locator("[name=name]").fill("mireille")
    made.page.locator("[name=password]").fill(PASSWORD)
    made.page.locator("form:has([name=password]) button.main").click()
    made.page.wait_for_url("**/email/inbox")


def _side(made: Tab, selector: str) -> tuple[str, str]:
    found = made.page.locator(selector).first.evaluate(SIDE)
    return found["direction"], found["nearer"]


def test_pages_in_arabic_begin_at_the_right_and_fit(browser: Browser, served: Served, catalogues: Path) -> None:
    box = served.box
    box.app.extensions["babel"].translation_directories[:] = [str(catalogues)]
    plain = Attachment("taqwim.pdf", b"%PDF" + b"x" * 42_000, "application/pdf")
    picture = Attachment("bir.png", PNG, "image/png")
    no = box.letter(
        "mireille",
        "رسالة طويلة من المدينة عن البئر والمدرسة والسوق",
        "<p>السلام عليكم، البئر جاهزة.</p>",
        sender=Contact("ali@example.com", "محمد علي"),
        attachments=(plain, picture),
        read=True,
    )
    english = box.letter("mireille", "The well", "<p>The well is ready.</p>", read=True)
    with tab(browser, "rtl", scripts=True, width=WIDTH) as made:
        page = made.page
        _enter(made, served, "ar")
        for path in (
            *("/email/inbox", f"/email/{no}", f"/email/{english}", f"/email/new?action=reply&uid={english}"),
            *("/email/new", "/email/outbox", "/more", "/design", "/email/search?query=x"),
        ):
            made.go(f"{served.base}{path}{'&' if '?' in path else '?'}lang=ar")
            made.look(re.sub(r"\W+", "-", path).strip("-"))
            root = page.locator("html")
            assert (root.get_attribute("lang"), root.get_attribute("dir")) == ("ar", "rtl"), path
            assert _side(made, "h1")[1] == ("left" if path == f"/email/{english}" else "right"), path
        made.go(f"{served.base}/email/{no}?lang=ar")
        name, size = (page.locator(f".ticks {one}").first.bounding_box() for one in ("a", "bdi"))
        assert name is not None and size is not None
        assert size["x"] + size["width"] <= name["x"], "a size stands behind its name, whole"
        made.go(f"{served.base}/email/inbox?lang=ar")
        star, tile = (page.locator(f".row {one}").first.bounding_box() for one in (".star", ".tile"))
        assert star is not None and tile is not None
        assert star["x"] < tile["x"], "a row begins at the right"
        made.go(f"{served.base}/email/new?lang=ar")
        page.locator("[role=textbox]").click()
        page.keyboard.type("The well")
        assert _side(made, "[role=textbox] div")[0] == "ltr"


def test_an_arabic_letter_begins_at_the_right_of_an_english_page(browser: Browser, served: Served) -> None:
    body = '<p>السلام عليكم، البئر جاهزة.</p><p dir="ltr">Lokole</p><p>نعم</p>'
    no = served.box.letter("mireille", "رسالة", body, sender=Contact("ali@example.com", "محمد"), read=True)
    with tab(browser, "rtl-letter", scripts=True, width=WIDTH) as made:
        page = made.page
        _enter(made, served, "en")
        assert _side(made, ".row .sub") == ("rtl", "right")
        assert _side(made, ".row .pre") == ("rtl", "right")
        made.go(f"{served.base}/email/{no}")
        made.look("letter")
        assert page.locator("html").get_attribute("dir") is None
        assert _side(made, "h1") == ("rtl", "right")
        made.go(f"{served.base}/email/{no}/body")
        made.look("body")
        assert [_side(made, f"p:nth-of-type({n})") for n in (1, 2, 3)] == [
            ("rtl", "right"),
            ("ltr", "left"),
            ("rtl", "right"),
        ]
        made.go(f"{served.base}/email/new?action=reply&uid={no}")
        page.locator("[role=textbox]").click()
        page.keyboard.type("شكرا")
        page.locator("[name=subject]").fill("رسالة")
        made.look("answer")
        assert _side(made, "[role=textbox] div") == ("rtl", "right")
        assert _side(made, ".quoted") == ("rtl", "right")
        assert page.locator("[name=subject]").evaluate("(at) => getComputedStyle(at).direction") == "rtl"
        page.locator("button[value=send]").click()
        page.wait_for_url("**/email/outbox")
        made.go(f"{served.base}/email/{no + 1}/body")
        assert _side(made, "blockquote p")[0] == "rtl"
        assert _side(made, "body > p")[0] == "ltr", "who wrote when is said in English"
