"""Taking a letter out of the bag: from the page of waiting letters, from the letter, from the question before deleting."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lokole.mail.model import DeliveryState, EmailNo
from lokole.mailbox import packages, recipients
from lokole.mailbox.packages import PackageRow
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import Box

GOOD = "It does not leave."


def wrote(box: Box, to: str = "ruth@example.com, Eve <eve@example.org>", bcc: str = "") -> Browser:
    return box.signed_in("mireille").follow("Write").press("send", to=to, bcc=bcc, subject="Roof", body="Hello")


def pack(box: Box, no: int = 1) -> PackageRow:
    with box.ports.database.write() as tx:
        made = packages.add_package(
            tx, box.tenant, epoch=1, direction="up", seq=1, sha256="0" * 64, size=1, type="x", blob="b", letters=1,
            state="built", now=box.clock[0],
        )  # fmt: skip
        packages.mark_packed(tx, made, [EmailNo(no)])
        return packages.get_package(tx, box.tenant, made)


def written(browser: Browser, field: str) -> str:
    return dict(browser.fields("/email/new").fields).get(field, "")


@pytest.mark.parametrize("page", ["/email/outbox", "/email/1", "/email/delete/1"])
def test_it_becomes_a_letter_kept_for_later_and_opens(box: Box, page: str) -> None:
    browser = wrote(box, bcc="Zoe <zoe@example.com>").open(page).press("Take it back")
    assert GOOD in browser.text
    assert (written(browser, "to"), written(browser, "bcc")) == (
        "ruth@example.com, Eve <eve@example.org>",
        "Zoe <zoe@example.com>",
    )
    assert (written(browser, "subject"), written(browser, "body").strip()) == ("Roof", "Hello")
    assert "Nothing is waiting" in browser.open("/email/outbox").text
    assert "No letter sent yet" in browser.open("/email/sent").text
    assert browser.open("/email/1").status == 404
    browser.open("/email/drafts").follow("Roof").press("send", to="ruth@example.com")
    assert "It is in the bag." in browser.text
    assert browser.text.count("Roof") == 1


def test_the_page_says_who_has_it_and_they_keep_it(box: Box) -> None:
    joseph = box.signed_in("joseph")
    browser = wrote(box, to="joseph, ruth@example.com")
    for page in ("/email/1", "/email/delete/1", "/email/outbox"):
        assert "Those here have it already and keep it: joseph." in browser.open(page).text
    browser.press("Take it back")
    assert "People here who have it keep it; this is the letter for the others." in browser.text
    assert written(browser, "to") == "ruth@example.com"
    assert joseph.open("/email/1").status == 200
    assert "ruth@example.com" not in joseph.text
    assert "Take it back" not in browser.open("/email/1").text
    with box.ports.database.read() as tx:
        assert [one.state for one in recipients.deliveries(tx, box.tenant, 1)] == [DeliveryState.LOCAL]
        assert packages.count_waiting(tx, box.tenant, "up") == 0


def test_what_is_packed_says_so_and_stays(box: Box) -> None:
    browser = wrote(box).open("/email/outbox")
    pack(box)
    browser.press("Take it back")
    assert "This letter is packed for the exchange already. It can no longer be taken back." in browser.text
    for page in ("/email/outbox", "/email/1", "/email/delete/1"):
        browser.open(page)
        assert "It is packed for the exchange and can no longer be taken back." in browser.text
        assert "Take it back" not in browser.text
    assert "deleting does not take it back" in browser.text
    assert "Nothing is kept" in browser.open("/email/drafts").text


def test_pressed_twice_it_is_taken_back_once(box: Box) -> None:
    browser = wrote(box).open("/email/outbox")
    token = browser.token()
    browser.press("Take it back")
    browser.post("/email/take-back/1", {"csrf_token": token})
    assert "This letter is not in the bag any more." in browser.text
    assert browser.open("/email/drafts").text.count("Roof") == 1


def test_who_keeps_a_hundred_letters_is_told_and_loses_nothing(box: Box) -> None:
    browser = wrote(box)
    for _ in range(100):
        browser.open("/email/new").press("keep", subject="x")
    browser.open("/email/outbox").press("Take it back")
    assert "You keep many letters for later." in browser.text
    assert "Roof" in browser.text


def test_taking_back_has_an_end_in_an_hour(box: Box) -> None:
    browser = wrote(box).open("/email/outbox")
    token = browser.token()
    for _ in range(30):
        browser.post("/email/take-back/1", {"csrf_token": token})
    browser.open("/email/new").press("send", to="ruth@example.com", subject="Second")
    browser.press("Take it back")
    assert "You have taken back many letters in this hour." in browser.text
    box.clock[0] += timedelta(hours=1, minutes=1)
    assert GOOD in browser.open("/email/outbox").press("Take it back").text


def test_letters_for_people_here_only_have_nothing_to_take_back(box: Box) -> None:
    box.person("joseph")
    browser = wrote(box, to="joseph")
    for page in ("/email/1", "/email/outbox", "/email/delete/1"):
        assert "Take it back" not in browser.open(page).text
        assert "packed" not in browser.text
