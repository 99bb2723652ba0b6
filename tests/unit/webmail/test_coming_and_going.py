"""Signing up, in and out, passwords, shared telephones: as a person does it, without scripts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import bcrypt
import pytest

from lokole.mailbox import accounts
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box


def test_somebody_signs_up_and_finds_a_welcome_letter(box: Box) -> None:
    browser = box.browser().open("/").follow("Get an address")
    browser.press("Get this address", name="Mireille", password=PASSWORD)
    assert browser.address == "/email/inbox"
    assert "Welcome to Lokole" in browser.text
    browser.press("Welcome to Lokole")
    assert "mireille@bolenge.lokole.ca" in browser.open("/email/1/body").text


def test_the_zone_of_the_browser_is_kept_and_nonsense_is_not(box: Box) -> None:
    box.browser().open("/user/register").press(
        "Get this address", name="a", password=PASSWORD, time_zone="Africa/Kinshasa"
    )
    box.browser().open("/user/register").press(
        "Get this address", name="b", password=PASSWORD, time_zone="../../etc/passwd"
    )
    with box.ports.database.read() as tx:
        zones = [one.time_zone for one in accounts.list_accounts(tx, box.tenant)]
    assert zones == ["Africa/Kinshasa", "UTC"]


def test_without_scripts_the_zone_is_chosen_from_a_list(box: Box) -> None:
    browser = box.browser().open("/user/register")
    assert '<option value="Africa/Lubumbashi">Lubumbashi, Congo - Kinshasa</option>' in browser.html
    browser.press("Get this address", name="a", password=PASSWORD, time_zone=["", "Africa/Lubumbashi"])
    with box.ports.database.read() as tx:
        assert accounts.list_accounts(tx, box.tenant)[0].time_zone == "Africa/Lubumbashi"


def test_a_whole_address_as_a_name_is_understood(box: Box) -> None:
    browser = (
        box.browser().open("/user/register").press("Get this address", name=f"Mireille@{DOMAIN}", password=PASSWORD)
    )
    assert browser.address == "/email/inbox"


def test_a_name_that_is_taken_reserved_or_wrong_is_named_and_kept(box: Box) -> None:
    box.person("mireille")
    for name, sentence in (
        ("mireille", "has this name already"),
        ("postmaster", "kept for Lokole itself"),
        ("mi reille", "Write the name with the letters a to z and the numbers 0 to 9"),
        ("", "Please choose a name"),
    ):
        browser = box.browser().open("/user/register").press("Get this address", name=name, password=PASSWORD)
        assert browser.status == 400
        assert sentence in browser.text
        assert dict(browser.fields("/user/register").fields)["name"] == name


def test_a_short_password_is_explained(box: Box) -> None:
    browser = box.browser().open("/user/register").press("Get this address", name="a", password="short")
    assert browser.status == 400
    assert "At least 8 letters or digits, please." in browser.text
    assert "short" not in browser.html


def test_a_password_that_others_guess_is_refused(box: Box) -> None:
    browser = box.browser().open("/user/register")
    for typed in ("12345678", "password", "mireille1"):
        browser.press("Get this address", name="mireille", password=typed)
        assert browser.status == 400
        assert "Others guess this password at once." in browser.text
    assert browser.press("Get this address", name="mireille", password="mango river drum").status == 200


def test_a_refused_form_starts_at_its_first_mistake(box: Box) -> None:
    browser = box.browser().open("/user/register")
    assert " autofocus" not in browser.html
    browser.press("Get this address", name="a b", password="short")
    marked = re.findall(r"<input id=(\w+)[^>]* aria-invalid=true( autofocus)?", browser.html)
    assert marked == [("name", " autofocus"), ("password", "")]


def test_sign_up_can_be_switched_off(make_box: Callable[..., Box]) -> None:
    box = make_box(sign_up=False)
    assert box.browser().open("/user/register").status == 404
    assert "Get an address" not in box.browser().open("/").text


def test_somebody_enters_by_name_or_by_address_and_leaves(box: Box) -> None:
    box.person("mireille")
    for name in ("mireille", "Mireille", f"mireille@{DOMAIN}", f"mireille@{DOMAIN.upper()}"):
        browser = box.browser().open("/user/login").press("Enter", name=name, password=PASSWORD)
        assert browser.address == "/email/inbox", name
        browser.press("Leave")
        assert browser.address == "/user/login"
        assert "You have left" in browser.text
        assert browser.open("/email/inbox").address.startswith("/user/login")


def test_a_cookie_from_before_leaving_is_worth_nothing(box: Box) -> None:
    browser = box.signed_in("mireille")
    cookie = browser.client.get_cookie("lokole")
    assert cookie is not None
    browser.press("Leave")
    browser.client.set_cookie("lokole", cookie.value)
    assert browser.open("/email/inbox").address.startswith("/user/login")


def test_a_wrong_password_and_an_unknown_name_read_the_same(box: Box) -> None:
    box.person("mireille")
    wrong = box.browser().open("/user/login").press("Enter", name="mireille", password="wrong")
    unknown = box.browser().open("/user/login").press("Enter", name="nobody", password="wrong")
    assert wrong.status == unknown.status == 403
    assert "That is not right." in wrong.text
    assert "write the password again: it is not kept" in wrong.text
    assert wrong.text == unknown.text
    assert dict(wrong.fields("/user/login").fields)["name"] == "mireille"
    assert dict(unknown.fields("/user/login").fields)["name"] == "nobody"


def test_a_wrong_password_and_an_unknown_name_cost_the_same_work(box: Box) -> None:
    box.person("mireille")

    def cost(name: str) -> float:
        browser = box.browser().open("/user/login")
        began = time.process_time()
        browser.press("Enter", name=name, password="wrong")
        assert browser.status == 403
        box.later(minutes=2)
        return time.process_time() - began

    wrong, unknown = (min(cost(name) for _ in range(4)) for name in ("mireille", "nobody"))
    # without the work of bcrypt one would be some milliseconds beside fifty
    assert max(wrong, unknown) < 2 * min(wrong, unknown)


def test_the_pages_of_the_door_all_speak_every_language(box: Box) -> None:
    browser = box.browser().open("/user/login").press("With my pictures", name="mireille")
    assert "Touch your pictures" in browser.text
    for word in ("English", "Français", "Lingála", "Kiswahili"):
        assert word in browser.text
    browser.press("Français")
    assert browser.address == "/user/login"
    assert "Entrer" in browser.text


def language_of(box: Box, name: str) -> str:
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, name)
    assert person is not None
    return person.language


def test_whoever_comes_in_the_first_time_reads_on_in_the_language_of_the_door(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/login").press("Kiswahili")
    browser.press("Ingia", name="mireille", password=PASSWORD)
    assert "Zilizofika" in browser.text
    assert language_of(box, "mireille") == "sw"
    # the language that the browser asks for is as good, when nobody has chosen another one for them
    box.person("joseph")
    assert "Lettres reçues" in box.enter("joseph", "fr").open("/email/inbox").text
    assert language_of(box, "joseph") == "fr"
    box.person("ruth", language="ln")
    box.enter("ruth", "fr")
    assert language_of(box, "ruth") == "ln"


def test_a_language_that_somebody_else_left_at_the_door_is_nobodys_choice(box: Box) -> None:
    for name in ("mireille", "joseph"):
        box.person(name)
    browser = box.browser().open("/user/login").press("Kiswahili").press("Ingia", name="mireille", password=PASSWORD)
    browser.press("Toka")
    assert "Jina" in browser.text  # the door stays in her language
    browser.press("Ingia", name="joseph", password=PASSWORD)
    assert language_of(box, "joseph") == "en"
    # and who was here before keeps their own, whatever is touched at the door
    browser.press("Leave").press("Français").press("Entrer", name="mireille", password=PASSWORD)
    assert language_of(box, "mireille") == "sw"
    # their own browser's wish counts all the same
    box.person("mama")
    browser = (
        box.browser("sw").open("/user/login").press("Français").press("Entrer", name="mireille", password=PASSWORD)
    )
    browser.press("Toka").press("Ingia", name="mama", password=PASSWORD)
    assert language_of(box, "mama") == "sw"


def test_a_password_that_is_not_kept_is_asked_for_again(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/register").press("Get this address", name="mireille", password=PASSWORD)
    assert "Write the password again: it is not kept." in browser.text
    browser.press("Show free names", name="mireille", password=PASSWORD)
    assert "Write the password again: it is not kept." in browser.text
    assert PASSWORD not in browser.html
    browser.press("Show free names", name="mireille", password="")
    assert "Write the password again" not in browser.text


def test_one_place_may_guess_four_times_a_minute_and_is_told_how_often_still(box: Box) -> None:
    box.person("mireille")
    guesser = box.browser()
    for left in ("3 tries left", "2 tries left", "1 try left", "Wait a minute"):
        guesser.open("/user/login").press("Enter", name="mireille", password="guess")
        assert guesser.status == 403
        assert left in guesser.text
    guesser.open("/user/login").press("Enter", name="MIREILLE", password="guess")
    assert guesser.status == 429
    assert "That was too often" in guesser.text
    # somebody else is not held up, and neither is she a minute later
    box.signed_in("ruth")
    box.later(seconds=61)
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    assert browser.address == "/email/inbox"


def test_after_entering_somebody_is_where_they_wanted_to_be(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/email/sent?x=1")
    browser.press("Enter", name="mireille", password=PASSWORD)
    assert browser.address == "/email/sent?x=1"


def test_nobody_is_sent_elsewhere_after_entering(box: Box) -> None:
    box.person("mireille")
    for address in ("https://elsewhere.example/", "//elsewhere.example/", "/\\elsewhere.example", "/\n/elsewhere"):
        browser = box.browser().open("/user/login")
        token = browser.token()
        browser.post("/user/login", {"csrf_token": token, "name": "mireille", "password": PASSWORD, "next": address})
        assert browser.address == "/email/inbox", address


def test_a_suspended_person_is_told_and_an_open_session_ends(box: Box) -> None:
    browser = box.signed_in("mireille")
    with box.ports.database.write() as tx:
        person = accounts.find_account(tx, box.tenant, "mireille")
        assert person is not None
        accounts.set_suspended(tx, person, True)
    assert browser.open("/email/inbox").address.startswith("/user/login")
    browser.press("Enter", name="mireille", password=PASSWORD)
    assert browser.status == 403
    assert "You cannot sign in at the moment" in browser.text


def test_a_shared_telephone_forgets_after_ten_quiet_minutes(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    for _ in range(3):
        box.later(minutes=9)
        assert browser.open("/email/inbox").address == "/email/inbox"
    box.later(minutes=11)
    assert browser.open("/email/inbox").address.startswith("/user/login")


def test_an_own_telephone_remembers_for_a_fortnight(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.later(days=13)
    assert browser.open("/email/inbox").address == "/email/inbox"
    box.later(days=2)
    assert browser.open("/email/inbox").address.startswith("/user/login")


def test_a_new_password_signs_out_every_other_telephone(box: Box) -> None:
    browser = box.signed_in("mireille")
    other = box.enter("mireille")
    browser.open("/more").follow("New password")
    browser.press("Set the new password", old="wrong", new="another three words", again="another three words")
    assert "not the password you have had" in browser.text
    browser.press("Set the new password", old=PASSWORD, new="another three words", again="another tree words")
    assert "not the same" in browser.text
    browser.press("Set the new password", old=PASSWORD, new="another three words", again="another three words")
    assert browser.address == "/email/inbox"
    assert other.open("/email/inbox").address.startswith("/user/login")
    fresh = box.browser().open("/user/login").press("Enter", name="mireille", password="another three words")
    assert fresh.address == "/email/inbox"


def test_changing_the_password_can_be_switched_off(make_box: Callable[..., Box]) -> None:
    box = make_box(password_change=False)
    browser = box.signed_in("mireille")
    for page in ("/more", "/user/profile"):
        assert [words for words, _address in browser.open(page).links if "password" in words.lower()] == [], page
    for path in ("/user/password/change", "/user/pin", "/user/pictures"):
        assert browser.open(path).status == 404, path
    # who has forgotten theirs still chooses a new one, once
    handed = box.signed_in("ruth", must_change_password=True)
    assert handed.address == "/user/password/change"
    handed.press("Set the new password", new="another three words", again="another three words")
    assert handed.address == "/email/inbox"
    assert handed.open("/user/password/change").status == 404


def test_a_one_time_password_leads_to_a_new_one_and_nowhere_else(box: Box) -> None:
    browser = box.signed_in("mireille", must_change_password=True)
    assert browser.address == "/user/password/change"
    assert browser.open("/email/inbox").address == "/user/password/change"
    assert "Password until now" not in browser.text
    browser.press("Set the new password", new="another three words", again="another three words")
    assert browser.address == "/email/inbox"
    assert browser.open("/email/sent").address == "/email/sent"


@pytest.mark.parametrize(("rounds", "is_renewed"), [(4, True), (10, False), (11, False)])
def test_a_hash_is_renewed_when_the_cost_has_risen(box: Box, rounds: int, is_renewed: bool) -> None:
    theirs = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds)).decode()
    with box.ports.database.write() as tx:
        accounts.create_account(tx, box.tenant, "old", password_hash=theirs, now=box.clock[0])
    for _ in range(2):
        box.enter("old")
        with box.ports.database.read() as tx:
            person = accounts.find_account(tx, box.tenant, "old")
            assert person is not None
            kept = accounts.password_hash(tx, person)
        assert kept is not None
        assert (kept != theirs) == is_renewed
        assert kept.startswith(f"$2b${max(rounds, 10)}$")


def test_a_key_of_the_sessions_is_demanded() -> None:
    from lokole.webmail.app import WebmailSettings

    with pytest.raises(TypeError):
        WebmailSettings()  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="16 bytes"):
        WebmailSettings(session_key=b"")
