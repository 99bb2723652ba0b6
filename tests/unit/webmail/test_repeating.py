"""A form that comes after its session has ended: its text is carried on, for its writer alone, and nothing is done before they press."""

from __future__ import annotations

from typing import Any

import pytest
from wtforms import Form, PasswordField

from lokole.webmail import forms, repeating
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import PASSWORD, Box

TEXT = 'Water on <b>Tuesday</b> "at six" & later.\r\n\r\nBring your own bucket, it’s free.'
#: where a form stands, its button, what is typed, and where to see that it was done
FORMS: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "board": ("/board/new", "Hang it up", {"title": "Water", "text": TEXT, "days": "7"}, "/board", "Water"),
    "group": (
        "/contacts/groups",
        "Keep the group",
        {"name": "Choir", "members": "ruth@example.com"},
        "/contacts",
        "Choir",
    ),
    "list": (
        "/admin/people/list",
        "Make these people",
        {"lines": "esther\r\nruth, Ruth Namatovu"},
        "/admin/people",
        "esther",
    ),
}


@pytest.fixture
def box(box: Box) -> Box:
    box.person("chief", is_admin=True)
    box.person("joseph", is_admin=True)
    return box


def come_in(browser: Browser, name: str = "chief") -> Browser:
    """``name`` enters on a shared telephone."""
    return browser.open("/user/login").press("Enter", name=name, password=PASSWORD)


def window(browser: Browser) -> Browser:
    """Another window of the same browser, with its cookies."""
    other = Browser(browser.client.application)
    other.client = browser.client
    return other


def is_there(box: Box, what: str) -> bool:
    _page, _button, _typed, where, words = FORMS[what]
    return words in box.enter("joseph" if what != "group" else "chief").open(where).text


@pytest.mark.parametrize("what", FORMS)
def test_a_form_sent_after_the_session_has_ended_is_repeated_when_its_writer_has_entered(box: Box, what: str) -> None:
    page, button, typed, _where, _words = FORMS[what]
    browser = come_in(box.browser()).open(page)
    box.later(minutes=11)
    browser.press(button, **typed)
    assert browser.status == 401
    assert "come back here and repeat it: what you have typed is still there" in browser.text
    assert not is_there(box, what)
    come_in(window(browser))
    browser.press("Send it again")
    assert (browser.status, "in the name of chief" in browser.text) == (400, True)
    carried = dict(browser.fields(page).fields)
    assert {name: carried[name] for name in typed} == typed
    assert not is_there(box, what), "nothing is done before somebody presses"
    browser.press("Send it again")
    assert browser.status == 200
    assert is_there(box, what)


@pytest.mark.parametrize("what", FORMS)
def test_a_form_with_an_old_token_is_sent_by_one_button(box: Box, what: str) -> None:
    page, button, typed, _where, _words = FORMS[what]
    browser = come_in(box.browser()).open(page)
    come_in(window(browser).open("/email/inbox").press("Leave"))
    browser.press(button, **typed)
    assert (browser.status, browser.text.count("Send it again")) == (400, 1)
    assert not is_there(box, what)
    browser.press("Send it again")
    assert browser.status == 200
    assert is_there(box, what)


def test_a_form_is_carried_also_when_its_writer_has_left_in_another_window(box: Box) -> None:
    page, button, typed, _where, _words = FORMS["board"]
    browser = come_in(box.browser()).open(page)
    window(browser).open("/email/inbox").press("Leave")
    browser.press(button, **typed)
    assert browser.status == 401
    browser.press("Send it again")
    assert browser.status == 401, "still nobody is there"
    come_in(window(browser))
    browser.press("Send it again").press("Send it again")
    assert "It hangs on the board." in browser.text


@pytest.mark.parametrize("what", FORMS)
def test_somebody_else_neither_sees_nor_sends_what_was_typed_and_its_writer_still_can(box: Box, what: str) -> None:
    page, button, typed, _where, _words = FORMS[what]
    browser = come_in(box.browser()).open(page)
    box.later(minutes=11)
    browser.press(button, **typed)
    left = browser.fields(page)
    come_in(window(browser), "joseph")
    browser.press("Send it again")
    assert (browser.status, "This is somebody else’s" in browser.text) == (403, True)
    assert "Send it again" not in browser.text
    for word in ("Tuesday", "Water", "Choir", "ruth@example.com", "esther", "Namatovu"):
        assert word not in browser.html
    assert not is_there(box, what)
    window(browser).open("/email/inbox").press("Leave")
    come_in(window(browser))
    browser.post(left.action, dict(left.fields)).press("Send it again")
    assert is_there(box, what)


def test_files_do_not_come_along_and_can_be_chosen_again(box: Box) -> None:
    page, button, typed, _where, _words = FORMS["board"]
    browser = come_in(box.browser()).open(page)
    box.later(minutes=11)
    browser.press(button, files=[("plan.txt", b"a plan", "text/plain")], **typed)
    assert "Only the files that you had just chosen are not there: choose them again." in browser.text
    come_in(window(browser))
    browser.press("Send it again")
    assert "choose them again" in browser.text
    browser.press("Send it again", files=[("plan.txt", b"a plan", "text/plain")])
    assert "It hangs on the board." in browser.text
    assert "plan.txt" in browser.text


def test_no_password_is_ever_carried(box: Box) -> None:
    browser = come_in(box.browser()).open("/user/password/change")
    come_in(window(browser).open("/email/inbox").press("Leave"))
    browser.press("Set the new password", old=PASSWORD, new="quite another one", again="quite another one")
    assert (browser.status, "Lokole did not recognise this form" in browser.text) == (400, True)
    assert "Send it again" not in browser.text
    assert PASSWORD not in browser.html
    assert "quite another one" not in browser.html


def test_every_field_of_a_password_is_known_as_one() -> None:
    asked = {
        name
        for form in vars(forms).values()
        if isinstance(form, type) and issubclass(form, Form)
        for name, field in vars(form).items()
        if getattr(field, "field_class", None) is PasswordField
    }
    assert len(asked) >= 4
    assert asked <= repeating.SECRETS


def test_a_text_beyond_all_measure_is_not_carried_and_nothing_else_is_promised(box: Box) -> None:
    page, button, typed, _where, _words = FORMS["board"]
    browser = come_in(box.browser()).open(page)
    box.later(minutes=11)
    browser.press(button, **typed | {"text": "x" * 1_000_001})
    assert (browser.status, len(browser.html) < 20_000) == (401, True)
    assert "Sign in, then do it once more." in browser.text
    assert "still there" not in browser.text


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://elsewhere.example"}, {"Origin": "null"}, {"Referer": "http://elsewhere.example/board/new"}],
)
def test_what_does_not_come_from_our_own_pages_is_not_shown_behind_a_button(box: Box, headers: dict[str, str]) -> None:
    browser = come_in(box.browser()).open("/board/new")
    sent = dict(browser.fields("/board/new").fields) | {"title": "Forged", "csrf_token": "wrong"}
    for said, carried in ((headers, False), ({"Referer": "http://localhost/board/new"}, True)):
        answer = browser.client.post("/board/new", data=sent, headers=said)
        assert answer.status_code == 400
        assert ("Forged" in answer.text) is carried
