"""The page "Carry the mail" of a box: every state that a passer-by can meet, without an account and without scripts."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from lokole.mail.errors import Refused, Temporary
from lokole.sync.bundle import CONTENT_TYPE, MAX_BUNDLE_BYTES, Bundle
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, Box, Brought

FILE = [("return.lkl.tar", b"a file", "application/x-tar")]


def hand_in(browser: Browser, files: list[tuple[str, bytes, str]] = FILE) -> Browser:
    return browser.open("/carry").press("Hand it in", files=files)


def test_a_passer_by_without_an_account_gets_the_file(box: Box) -> None:
    browser = box.browser().open("/").follow("Carry the mail")
    assert "https://mail.example.org/carry" in browser.text
    assert box.calls == [], "looking changes nothing"
    browser.press("Get the file")
    answer = browser.response
    assert (browser.status, answer.mimetype) == (200, CONTENT_TYPE)
    assert answer.get_data() == b"".join(Bundle([("0" * 64, 3, [b"LKL"])]))
    assert answer.content_length == len(answer.get_data())
    assert answer.headers["Content-Disposition"] == f'attachment; filename="lokole-{DOMAIN}.lkl.tar"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert box.calls == ["pack"]


def test_whoever_is_signed_in_finds_it_under_more(box: Box) -> None:
    browser = box.signed_in("mireille").open("/more").follow("Carry the mail")
    assert "Get the file" in browser.text
    assert "Your address" not in browser.text
    assert browser.press("Get the file").status == 200


def test_who_has_to_choose_a_new_password_may_carry_all_the_same(box: Box) -> None:
    assert "Get the file" in box.signed_in("mireille", must_change_password=True).open("/carry").text


def test_a_box_without_a_server_says_so(make_box: Callable[..., Box]) -> None:
    box = make_box()
    box.carrier.ready, box.carrier.address = False, None
    browser = box.browser().open("/carry")
    assert "no server yet" in browser.text
    assert "Get the file" not in browser.text
    # a page that was open before
    box.carrier.ready = True
    browser.open("/carry")
    box.carrier.ready, box.carrier.trouble = False, Refused("", code="unregistered")
    assert browser.press("Get the file").status == 409
    assert "no server yet" in browser.text


@pytest.mark.parametrize("button", ["Get the file", "Hand it in"])
def test_while_an_exchange_is_under_way_one_waits(box: Box, button: str) -> None:
    box.carrier.trouble = Refused("", code="busy")
    files = FILE if button == "Hand it in" else None
    browser = box.browser().open("/carry").press(button, files=files)
    assert browser.status == 409
    assert "An exchange is under way. Wait a few minutes" in browser.text
    assert "Get the file" in browser.text


def test_nothing_to_carry(box: Box) -> None:
    box.carrier.bundle = Bundle([])
    browser = box.browser().open("/carry").press("Get the file")
    assert "nothing to carry now" in browser.text


@pytest.mark.parametrize(
    ("brought", "status", "sentences"),
    [
        (Brought(packages=1, letters=1), 200, ["1 letter came for people here.", "Thank you"]),
        (Brought(packages=3, known=1, letters=12), 200, ["12 letters came for people here."]),
        (Brought(packages=2, known=2), 200, ["was here before", "Nothing comes twice"]),
        (Brought(packages=1), 200, ["No letter was in it", "Thank you"]),
        (Brought(packages=1, letters=1, quarantined=1), 200, ["1 letter came", "could not be read"]),
        (Brought(refused=["not-for-us", "not-for-us"]), 400, ["This file is not for here. It did no harm."]),
        (Brought(packages=1, letters=2, refused=["truncated"]), 200, ["2 letters came", "What was whole is taken"]),
        (Brought(refused=["truncated"]), 400, ["The file broke off on its way. Fetch it once more."]),
        (Brought(packages=1, letters=2, refused=["not-for-us"]), 200, ["2 letters came", "A part of the file is not"]),
        (Brought(), 400, ["This is not a file with mail of Lokole."]),
        (Brought(refused=["unreadable"]), 400, ["This is not a file with mail of Lokole."]),
        (Brought(refused=["forged"]), 400, ["damaged or changed on its way"]),
        (Brought(refused=["future-version"]), 400, ["of a newer Lokole"]),
        (Brought(refused=["too-large"]), 400, ["too large"]),
    ],
    ids=lambda value: None if isinstance(value, (int, list)) else repr(value).partition("(")[2],
)
def test_what_came_is_said(box: Box, brought: Brought, status: int, sentences: list[str]) -> None:
    box.carrier.brought = brought
    browser = hand_in(box.browser())
    assert box.calls == ["take 6"]
    assert browser.status == status
    for sentence in sentences:
        assert browser.text.count(sentence) == 1
    assert "Get the file" in browser.text, "the way on is on the same page"


def test_a_form_without_a_file_is_told(box: Box) -> None:
    browser = box.browser().open("/carry").press("Hand it in")
    assert browser.status == 400
    assert "Choose the file first" in browser.text
    assert box.calls == []


@pytest.mark.parametrize("trouble", [Temporary("full"), OSError(28, "No space left on device")])
def test_a_full_box_says_so(box: Box, trouble: Exception) -> None:
    box.carrier.trouble = trouble
    browser = hand_in(box.browser())
    assert browser.status == 507
    assert "The memory of the box is full" in browser.text


def test_a_file_as_large_as_a_file_may_be_is_taken_and_a_larger_one_is_not(box: Box) -> None:
    box.carrier.brought = Brought(packages=1, letters=1)
    browser = box.browser().open("/carry")
    for size, status, sentence in (
        (MAX_BUNDLE_BYTES, 200, "1 letter came"),
        (MAX_BUNDLE_BYTES + 2**20, 413, "This file is too large"),
    ):
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        token = b'\r\n--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n' + browser.token().encode()
        form = b"".join((head, bytes(size), token, b"\r\n--x--\r\n"))
        answer = browser.client.post("/carry/take", data=form, content_type="multipart/form-data; boundary=x")
        assert (answer.status_code, sentence in answer.text) == (status, True)
    assert box.calls == [f"take {MAX_BUNDLE_BYTES}"]


def test_one_telephone_may_not_press_for_ever(make_box: Callable[..., Box]) -> None:
    box = make_box(carrier_files="2 per hour")
    browser = box.browser()
    said = [browser.open("/carry").press("Get the file").status for _ in range(3)]
    assert said == [200, 200, 429]
    assert [hand_in(browser).status for _ in range(3)] == [400, 400, 429]
    assert "That was too often" in browser.text
    box.later(hours=1, minutes=1)
    assert browser.open("/carry").press("Get the file").status == 200


def test_a_box_without_a_server_does_not_ask_anybody_to_carry_its_mail(make_box: Callable[..., Box]) -> None:
    box = make_box(next_departure=lambda: None)
    browser = box.signed_in("mireille")
    browser.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    for ready in (True, False):
        box.carrier.ready = ready
        for address in ("/", "/more", "/email/outbox"):
            assert ("Carry the mail" in browser.open(address).text) is ready, address


def test_pages_without_a_carrier_do_not_offer_it(make_box: Callable[..., Box]) -> None:
    box = make_box(carrier=None)
    browser = box.signed_in("mireille")
    for address in ("/", "/more"):
        assert "Carry the mail" not in browser.open(address).text
    assert browser.open("/carry").status == 404


def test_where_the_bag_does_not_leave_the_page_of_waiting_letters_names_the_way_by_foot(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.open("/email/new").press("send", to="ruth@example.com", subject="News", body="Hello")
    assert "Carry the mail" not in browser.open("/email/outbox").text
    box.departs[0] = None
    assert "Get the file" in browser.open("/email/outbox").follow("Carry the mail").text


def test_a_disk_that_is_full_wherever_it_is_noticed_is_said(make_box: Callable[..., Box]) -> None:
    full: list[OSError] = []

    def departure() -> None:
        if full:
            raise full[0]

    browser = make_box(next_departure=departure).signed_in("mireille")
    full.append(OSError(errno.ENOSPC, "No space left on device"))
    browser.open("/email/inbox")
    assert (browser.status, "its memory is full" in browser.text) == (503, True)
    full[0] = OSError(errno.EIO, "Input/output error")
    assert browser.open("/email/inbox").status == 500
