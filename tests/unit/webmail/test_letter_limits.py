"""What a letter may carry is said on the page where it is written: the limits that really hold for this person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from lokole.mail.model import Account, Contact
from lokole.mailbox import accounts, contacts, letters, standing
from lokole.mailbox.allowances import BoxLimits, set_box_limits
from lokole.webmail.app import ManyTenants
from lokole.webmail.bounds import goes_out
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box

SMALL = ("a.txt", b"x" * 30_000, "text/plain")


def limited(box: Box, **bounds: int) -> Browser:
    with box.ports.database.write() as tx:
        set_box_limits(tx, box.tenant, BoxLimits(**bounds))
    return box.signed_in("mireille").open("/email/new")


def person(box: Box, name: str = "mireille") -> Account:
    with box.ports.database.read() as tx:
        found = accounts.find_account(tx, box.tenant, name)
    assert found is not None
    return found


def test_without_limits_the_form_says_its_own(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    assert "of 10.5 MB used. Up to 50 files." in browser.text
    assert "To people here:" not in browser.text
    assert "data-world" not in browser.html


def test_the_limits_of_the_box_are_said_and_those_for_people_here(box: Box) -> None:
    browser = limited(box, letter_bytes=50_000, files=3)
    assert "of 50 kB used. Up to 3 files. To people here: up to 10.5 MB and 50 files." in (browser.text)
    assert 'data-world=50000 data-world-files=3 data-world-large="Letters into the world carry up to 50 kB here.' in (
        browser.html
    )


def test_too_much_for_the_world_is_said_in_the_round_that_brings_it(box: Box) -> None:
    box.person("joseph")
    browser = limited(box, letter_bytes=50_000, files=2)
    browser.press("attach", [SMALL], to="ruth@example.com")
    assert "carry up to" not in browser.text
    browser.press("attach", [("b.txt", b"x" * 30_000, "text/plain")])
    assert "Letters into the world carry up to 50 kB here. Take fewer or smaller files." in browser.text
    assert "carry up to" not in browser.press("attach", to="joseph").text
    assert "It was delivered." in browser.press("send", to="joseph").text
    browser.open("/email/new").press("attach", [(f"{n}.txt", b"x", "text/plain") for n in range(3)], to="r@example.com")
    assert "Letters into the world carry up to 2 files here." in browser.text


def test_a_group_with_somebody_outside_goes_into_the_world(box: Box) -> None:
    limited(box, letter_bytes=20_000)
    box.person("joseph")
    mireille = person(box)
    with box.ports.database.write() as tx:
        contacts.put_group(tx, mireille, "Choir", ["joseph@bolenge.lokole.ca", "ruth@example.com"])
        contacts.put_group(tx, mireille, "Neighbours", ["joseph@bolenge.lokole.ca"])
    browser = box.enter("mireille").open("/email/new")
    assert '<option value="Choir" data-out>' in browser.html
    assert '<option value="Neighbours">' in browser.html
    assert "carry up to 20 kB" in browser.press("attach", [SMALL], to="Choir").text
    assert "carry up to 20 kB" not in browser.press("attach", to="Neighbours").text


def test_what_an_answer_quotes_counts(box: Box) -> None:
    browser = limited(box, letter_bytes=50_000)
    no = box.letter("mireille", body="<p>" + "word " * 9_000)
    browser.open(f"/email/new?action=reply&uid={no}")
    assert "45 kB of 50 kB used." in browser.text
    browser.press("attach", [SMALL])
    assert "Letters into the world carry up to 50 kB here." in browser.text


@pytest.mark.parametrize("kind", ["local", "unpaid", "day"])
def test_who_may_not_write_into_the_world_reads_so_before_writing(box: Box, kind: str) -> None:
    browser = limited(box, letter_bytes=50_000, letters_a_day=2)
    if kind == "day":
        assert "You can send 2 more letters into the world today." in browser.text
        browser.press("send", to="a@example.com", body="x")
        assert "You can send 1 more letter into the world today." in browser.open("/email/new").text
        browser.press("send", to="a@example.com", body="x")
        said = "You have sent 2 letters into the world today."
    else:
        with box.ports.database.write() as tx:
            if kind == "local":
                standing.set_local_only(tx, person(box), True)
            else:
                standing.set_paid_until(tx, person(box), box.clock[0] - timedelta(days=1))
        said = {
            "local": "You can write to people of this box.",
            "unpaid": "Your time for letters into the world ended on",
        }[kind]
    browser.open("/email/new")
    assert browser.text.count(said) == 1
    assert "of 10.5 MB used." in browser.text
    browser.press("send", to="a@example.com", body="x")
    assert browser.text.count(said) == 1, "once, not above and below"
    assert browser.status == 400


def test_the_room_that_a_person_has_left_bounds_the_form(box: Box) -> None:
    browser = limited(box)
    box.letter("mireille", body="<p>" + "x" * 70_000)
    with box.ports.database.write() as tx:
        standing.set_quota(tx, person(box), 100_000)
    assert "of 30 kB used." in browser.open("/email/new").text
    browser.press("attach", [SMALL], to="mireille", body="some more text than fits")
    assert "Your letters take up all your room, 100 kB." in browser.text
    browser.press("send")
    assert browser.status == 400
    assert "Your letters take up all your room, 100 kB." in browser.text
    with box.ports.database.read() as tx:
        assert letters.count_letters(tx, box.tenant) == 1


def test_bounds_of_a_domain_are_read_whatever_its_case(box: Box) -> None:
    box.person("mireille")
    assert not goes_out([Contact("Joe@Bolenge.Lokole.ca")], person(box))
    assert goes_out([Contact("joe@example.com")], person(box))


def test_the_pages_in_town_say_the_limits_of_the_writers_box(make_box: Callable[..., Box]) -> None:
    place = make_box(tenants=ManyTenants(), prefix="/web", origin="server")
    with place.ports.database.write() as tx:
        set_box_limits(tx, place.tenant, BoxLimits(letter_bytes=50_000, files=3, letters_a_day=1))
    place.person("mireille")
    browser = place.browser().open("/web/user/login")
    browser.press("Enter", name=f"mireille@{DOMAIN}", password=PASSWORD, own="y")
    browser.open("/web/email/new")
    assert "of 50 kB used. Up to 3 files." in browser.text
    assert "You can send 1 more letter into the world today." in browser.text
    files = [SMALL, ("b.txt", b"x" * 30_000, "text/plain")]
    browser.press("send", files, to="ruth@example.com", body="x")
    assert "Letters into the world carry up to 50 kB here." in browser.text
