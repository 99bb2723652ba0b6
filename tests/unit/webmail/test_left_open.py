"""A page that stands open on a telephone somebody has forgotten: when it goes, what keeps it open, and what it must not lose."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.corpus import REPOSITORY
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import PASSWORD, Box

TEMPLATES = REPOSITORY / "src/lokole/webmail/templates"


def shared(box: Box, name: str = "mireille") -> Browser:
    return box.browser().open("/user/login").press("Enter", name=name, password=PASSWORD)


def asked(browser: Browser, path: str = "/user/here") -> Any:
    return json.loads(browser.open(path).html)


@pytest.fixture
def browser(box: Box) -> Browser:
    box.person("mireille")
    box.letter("mireille", read=True)
    return shared(box)


def test_without_scripts_a_page_leaves_by_itself_when_the_time_is_over(box: Box, browser: Browser) -> None:
    for path in ("/email/inbox", "/email/1", "/more", "/user/profile"):
        browser.open(path)
        (seconds, where) = re.findall(
            r"<noscript><meta http-equiv=refresh content=\"(\d+);url=([^\"]*)\">", browser.html
        )[0]
        assert (seconds, where) == ("605", "/user/here/away"), path
    box.later(seconds=605)
    browser.open("/user/here/away")
    assert browser.address == "/user/login"
    assert "Nobody has touched the page for a while" in browser.text
    browser.press("Enter", name="mireille", password=PASSWORD)
    assert browser.address == "/email/inbox"


def test_a_letter_on_paper_leaves_too(box: Box, browser: Browser) -> None:
    for path in ("/email/1/print", "/email/print"):
        assert browser.open(path).response.headers["Refresh"] == "605;url=/user/here/away"
    box.person("ruth")
    assert "Refresh" not in box.enter("ruth").open("/email/print").response.headers


def test_on_an_own_telephone_no_page_leaves_by_itself(box: Box) -> None:
    own = box.signed_in("mireille")
    assert "http-equiv=refresh" not in own.html
    assert "data-idle" not in own.html
    assert asked(own)["left"] is None


def test_a_letter_being_written_stays_and_has_a_cover_with_scripts_and_a_lid_without(browser: Browser) -> None:
    browser.open("/email/new")
    assert "http-equiv=refresh" not in browser.html
    assert '<noscript><link rel=stylesheet href="/user/here/lid/605.css"></noscript>' in browser.html
    assert '<button class="b main" form=letter name=do value=keep>' in browser.html
    assert "data-idle=600" in browser.html
    assert re.search(r"<div [^>]*id=away hidden>", browser.html)
    assert "id=away" not in browser.open("/email/inbox").html


def test_other_pages_with_room_for_a_text_leave_by_themselves_without_scripts(browser: Browser) -> None:
    for path in ("/contacts/groups", "/user/letters"):
        assert 'content="605;url=/user/here/away"' in browser.open(path).html, path
        assert "lid" not in browser.html


def test_the_style_of_a_lid_is_the_same_for_everybody_and_counts_as_no_touch(box: Box, browser: Browser) -> None:
    box.later(minutes=9)
    style = browser.open("/user/here/lid/605.css")
    assert (style.response.mimetype, style.response.headers["Cache-Control"]) == ("text/css", "public, max-age=86400")
    assert "Set-Cookie" not in style.response.headers
    assert style.html.count("605s") == 2
    assert "86400s" in browser.open("/user/here/lid/999999999.css").html
    box.later(minutes=2)
    assert browser.open("/user/here/lid/605.css").status == 200
    assert browser.open("/email/inbox").address.startswith("/user/login")


def test_what_lies_under_a_lid_is_kept_for_its_writer_and_shown_to_nobody_else(box: Box, browser: Browser) -> None:
    browser.open("/email/new")
    box.later(minutes=11)
    browser.press("Keep for later", to="ruth@example.com", body="For her alone")
    assert browser.status == 401
    assert "What you have written is kept" in browser.text
    assert "For her alone" not in browser.html
    browser.open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    assert "For her alone" in browser.open("/email/drafts").text


#: room for a text that is there to be typed in, not only to be copied
_WRITTEN_IN = re.compile(r"<textarea(?![^>]* readonly)")
#: what somebody typed elsewhere is in it, hidden
_CARRIES_A_TEXT = {"again.html"}


def test_every_page_with_room_for_a_text_says_that_somebody_writes_in_it() -> None:
    wrong = {
        file.name
        for file in TEMPLATES.glob("*.html")
        if (bool(_WRITTEN_IN.search(text := file.read_text())) or file.name in _CARRIES_A_TEXT)
        != ("{% set writing = true %}" in text)
    }
    assert wrong == set()


def test_asking_and_looking_for_news_keep_no_session_open_and_a_touch_does(box: Box, browser: Browser) -> None:
    mark = re.findall(r"data-who=([0-9a-f]+)", browser.open("/email/inbox").html)[0]
    box.later(minutes=4)
    assert asked(browser) == {"who": mark, "left": 360, "token": asked(browser)["token"]}
    assert asked(browser, "/email/unread")["count"] == 0
    box.later(minutes=4)
    assert asked(browser)["left"] == 120
    assert asked(browser, "/user/here/touched")["left"] == 600
    box.later(minutes=10)
    assert asked(browser)["left"] == 0
    browser.open("/email/unread")
    box.later(seconds=1)
    assert asked(browser) == {"who": ""}
    assert browser.open("/email/inbox").address.startswith("/user/login")


def test_a_page_that_only_looks_for_news_never_keeps_a_forgotten_telephone_open(box: Box, browser: Browser) -> None:
    for _ in range(2):
        box.later(minutes=5)
        assert browser.open("/email/unread").status == 200
    box.later(minutes=5)
    assert browser.open("/email/unread").address.startswith("/user/login")


def test_a_page_asks_who_is_there_and_hears_of_somebody_else(box: Box, browser: Browser) -> None:
    box.person("ruth")
    hers = asked(browser)["who"]
    assert asked(browser)["who"] == hers
    browser.open("/email/inbox").press("Leave")
    assert asked(browser) == {"who": ""}
    browser.open("/user/login").press("Enter", name="ruth", password=PASSWORD)
    assert asked(browser)["who"] not in ("", hers)
    assert "ruth" not in asked(browser)["who"]


def test_the_token_that_is_told_goes_with_forms_that_were_left(box: Box, browser: Browser) -> None:
    browser.open("/board/new")
    box.later(minutes=11)
    again = browser.open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    told = asked(again)["token"]
    again.post("/user/language/fr", {"csrf_token": told})
    assert again.status == 200


def test_a_page_whose_time_is_over_while_another_is_in_use_is_covered_and_keeps_nothing_open(
    box: Box, browser: Browser
) -> None:
    box.later(minutes=9)
    browser.open("/email/inbox")
    box.later(minutes=2)
    page = browser.open("/user/here/away")
    assert page.address == "/user/here/away"
    assert "Lokole covered it" in page.text
    assert "Hello" not in page.text
    box.later(minutes=9)
    assert browser.open("/user/here/away").address == "/user/login"


def test_the_address_of_the_door_says_nothing_of_the_page_that_was_left(box: Box, browser: Browser) -> None:
    browser.open("/email/search?query=secret")
    box.later(minutes=11)
    assert "secret" not in browser.open("/user/here/away").html
