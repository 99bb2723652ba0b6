"""Searching with filters, as a form and as an address that can be kept."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from lokole.mail.model import Attachment, Contact
from tests.unit.webmail.conftest import Box


def test_each_filter_of_the_form_narrows_what_is_found(box: Box) -> None:
    browser = box.signed_in("mireille", time_zone="Africa/Kinshasa")
    file = (Attachment("a.txt", b"x", "text/plain"),)
    box.letter("mireille", "Old one", sender=Contact("aunt@example.com", "Tante Élise"), read=True)
    box.later(days=2)
    box.letter("mireille", "Files inside", attachments=file)
    browser.open("/email/inbox").press("Star")
    box.letter("mireille", "Newest")
    for asked, found in (
        ("from=elise", {"Old one"}),
        ("to=mireille", {"Old one", "Files inside", "Newest"}),
        ("file=1", {"Files inside"}),
        ("unread=1", {"Files inside", "Newest"}),
        ("star=1", {"Files inside"}),
        ("since=2026-11-25", {"Files inside", "Newest"}),
        ("until=2026-11-24", {"Old one"}),
        ("since=2026-11-23&until=2026-11-23", {"Old one"}),
        ("in=archive", set()),
        ("in=inbox&query=newest", {"Newest"}),
        ("query=morning&file=1", {"Files inside"}),
    ):
        browser.open(f"/email/search?{asked}")
        shown = {name for name in ("Old one", "Files inside", "Newest") if name in browser.text}
        assert shown == found, asked
    assert "(1 in use)" in browser.text
    assert "in use" not in browser.open("/email/search?query=newest").text
    assert "<details open>" not in browser.html
    assert "<details open>" in browser.open("/email/search?from=nobody").html


def test_the_end_of_a_day_is_that_of_the_person(box: Box) -> None:
    browser = box.signed_in("mireille", time_zone="Pacific/Auckland")
    box.letter("mireille", "Late in the day")  # 23 November 10:00 UTC is 23:00 there
    box.later(hours=2)
    box.letter("mireille", "After midnight")
    browser.open("/email/search?until=2026-11-23")
    assert "Late in the day" in browser.text
    assert "After midnight" not in browser.text


def test_what_was_asked_for_stays_in_the_form_and_pages_go_on_with_it(box: Box) -> None:
    browser = box.signed_in("mireille")
    for n in range(45):
        box.letter("mireille", f"Letter {n} end", sender=Contact(f"p{n}@example.com", "Élise & <Co>"))
    browser.open(f"/email/search?from={quote('Élise')}&since=2026-11-01")
    fields = dict(browser.fields("/email/search").fields)
    assert (fields["from"], fields["since"]) == ("Élise", "2026-11-01")
    assert "Letter 44 end" in browser.text
    browser.follow("Older").follow("Older")
    assert "Letter 4 end" in browser.text
    assert "Letter 5 end" not in browser.text
    browser.follow("Newer")
    assert "Letter 24 end" in browser.text
    assert "Letter 25 end" not in browser.text


def test_a_day_that_is_none_is_said_beside_its_field(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.letter("mireille", "Hello")
    for day in ("31.12.2026", "2026-02-30", "x", "9999-12-31"):
        browser.open(f"/email/search?until={day}")
        assert "This is not a day." in browser.text, day
        assert browser.status == 200
    assert browser.open("/email/search?since=0001-01-01").status == 200


def test_a_folder_of_nobody_here_is_not_searched(box: Box) -> None:
    browser = box.signed_in("mireille")
    assert browser.open("/email/search?in=own-123").status == 404


def test_search_that_is_switched_off_is_offered_nowhere(make_box: Callable[..., Box]) -> None:
    browser = make_box(search=False).signed_in("mireille")
    for page in ("/email/inbox", "/more", "/email/folders"):
        assert not any("search" in href for _label, href in browser.open(page).links), page
    assert browser.open("/email/search?star=1").status == 404


def test_a_letter_of_ones_own_says_whom_it_was_for_wherever_letters_are_mixed(box: Box) -> None:
    browser = box.signed_in("mireille", display_name="Mireille Ilunga")
    browser.follow("Write").press("send", to="Aunt <aunt@example.com>", subject="Roof tiles", body="Hello")
    browser.open("/email/new").press("send", bcc="uncle@example.com", subject="Roof beams", body="Hello")
    assert "uncle@example.com Roof beams" in browser.text, (
        "among those that wait, the writer sees whom a hidden copy is for"
    )
    assert "Aunt" in browser.open("/email/sent").text
    browser.open("/email/search?query=roof")
    assert "To: Aunt Roof tiles" in browser.text
    assert "Hidden copy to … Roof beams" in browser.text
    assert "Mireille Ilunga" not in browser.text
    browser.open("/email/1").press("Into the archive")
    assert "To: Aunt Roof tiles" in browser.open("/email/archive").text
    browser.open("/email/delete/1").press("Delete")
    assert "To: Aunt Roof tiles" in browser.open("/email/deleted").text
