"""“Update now”: what the page says in every state, and what it asks for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lokole import __version__
from lokole.adapters.updater.program import ProgramUpdater
from lokole.mail.errors import Refused, Temporary
from lokole.mailbox import audit
from lokole.ports.updater import Update, UpdateState
from tests.unit.adapters.test_updater import ended
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import Box, UpdaterHere

BEGAN = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def chief(box: Box) -> Browser:
    return box.signed_in("chief", is_admin=True).open("/admin").follow("A new version")


def updater(box: Box) -> UpdaterHere:
    assert isinstance(box.ports.updater, UpdaterHere)
    return box.ports.updater


def noted(box: Box) -> list[tuple[str, str]]:
    with box.ports.database.read() as tx:
        return [(act.act, act.detail) for act in audit.last_acts(tx, box.tenant)]


def test_an_update_begins_with_the_wished_version_and_is_noted(box: Box) -> None:
    browser = chief(box)
    assert f"This box has version {__version__} of Lokole." in browser.text
    browser.press("Update now", version=" 2.1 ")
    assert "The update has begun." in browser.text
    browser.press("Update now")
    assert box.calls == ["update 2.1", "update"]
    assert noted(box) == [("update", ""), ("update", "2.1")]


def test_an_address_with_a_version_fills_it_in_and_a_post_to_it_takes_it(box: Box) -> None:
    browser = chief(box).open("/admin/update/2.1")
    assert dict(browser.fields("/admin/update").fields)["version"] == "2.1"
    assert box.calls == []
    browser.post("/admin/update/2.1", {"csrf_token": browser.token()})
    assert box.calls == ["update 2.1"]


def test_a_second_one_is_told_that_one_is_under_way(box: Box) -> None:
    browser = chief(box)
    updater(box).answer = "busy"
    assert "An update is under way already." in browser.press("Update now").text
    assert noted(box) == []


def test_what_is_no_version_is_said_beside_the_field(box: Box) -> None:
    browser = chief(box)
    updater(box).trouble = Refused("no", code="version", field="version")
    browser.press("Update now", version="newest")
    assert browser.status == 400
    assert "A version is numbers with dots between, such as 2.1." in browser.text
    assert dict(browser.fields("/admin/update").fields)["version"] == "newest"
    assert noted(box) == []


def test_an_update_that_cannot_begin_says_so(box: Box) -> None:
    browser = chief(box)
    updater(box).trouble = Temporary("full")
    assert browser.press("Update now").status == 503
    assert "The update could not begin." in browser.text


@pytest.mark.parametrize(
    ("state", "sentence", "again"),
    [
        (UpdateState.RUNNING, "An update is under way. It began", False),
        (UpdateState.DONE, "The last update went well.", True),
        (UpdateState.FAILED, "The last update did not work.", True),
        (UpdateState.CUT, "The last update broke off.", True),
    ],
)
def test_every_state_has_its_sentence(box: Box, state: UpdateState, sentence: str, again: bool) -> None:
    updater(box).update = Update(state, "2.1", BEGAN, "no <room> left")
    browser = chief(box)
    assert sentence in browser.text
    assert "Version 2.1 was wished for." in browser.text
    assert ("Update now" in browser.text) == again
    assert ("no &lt;room&gt; left" in browser.html) == (state is UpdateState.FAILED)


@pytest.mark.parametrize("is_set", [False, True])
def test_where_nothing_is_set_up_the_page_says_what_to_do(make_box: Callable[..., Box], is_set: bool) -> None:
    box = make_box(updater=UpdaterHere([], ready=False) if is_set else None)
    browser = chief(box)
    assert "Updates from this page are not set up." in browser.text
    assert ("is not there, or may not be run" in browser.text) == is_set
    assert "Update now" not in browser.text
    assert browser.post("/admin/update", {"csrf_token": browser.open("/admin/limits").token()}).status == 409
    assert noted(box) == []


def test_a_server_is_not_updated_from_its_pages(make_box: Callable[..., Box]) -> None:
    browser = make_box(in_town=True, updater=None).signed_in("chief", is_admin=True)
    assert "A new version" not in browser.open("/admin").text
    assert browser.open("/admin/update").status == 404


def test_a_program_of_the_operators_updates_the_box(make_box: Callable[..., Box], tmp_path: Path) -> None:
    program = tmp_path / "update"
    program.write_text('#!/bin/sh\necho "no version $1"\nexit 3\n')
    program.chmod(0o755)
    real = ProgramUpdater(program, tmp_path / "at", clock=lambda: BEGAN, version=__version__)
    browser = chief(make_box(updater=real)).press("Update now", version="9.9")
    ended(tmp_path / "at")
    browser.open("/admin/update")
    assert "The last update did not work." in browser.text
    assert "no version 9.9" in browser.html
