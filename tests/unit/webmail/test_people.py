"""Signing up by pictures, PIN and password, guessing, slips, sessions, the profile and leaving, as people do it without scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from lokole.mail.model import Account
from lokole.mailbox import accounts, days, options, passwords, quarantine, schema, slips, standing, ways
from lokole.webmail import guessing
from lokole.webmail.app import ManyTenants
from lokole.webmail.browsers import describe
from lokole.webmail.limits import TooOften
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box

FISH_SUN_MOON = ("fish", "sun", "moon")


def who(box: Box, name: str) -> Account:
    with box.ports.database.read() as tx:
        found = accounts.find_account(tx, box.tenant, name)
    assert found is not None
    return found


def touch(browser: Browser, *pictures: str) -> Browser:
    for one in pictures:
        browser.press(one)
        assert browser.status == 200, browser.text
    return browser


def with_way(box: Box, name: str, kind: str, secret: str, *, password: bool = False) -> Account:
    person = box.person(name)
    with box.ports.database.write() as tx:
        if not password:
            accounts.set_password(tx, person, None)
        ways.set_way(tx, person, kind, passwords.hash_password(secret, 10))
    return person


def by_pictures(box: Box, name: str, *pictures: str) -> Browser:
    browser = box.browser().open("/user/login").press("With my pictures", name=name, own="y")
    return touch(browser, *pictures).press("Enter")


def told(answer: TestResponse) -> Any:
    return json.loads(answer.get_data())


# signing up


def test_free_names_are_offered_from_how_somebody_is_called_and_one_is_taken(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/register")
    browser.press("Show free names", called="Mireille Ilunga")
    offered = [button.label for button in browser.fields("/user/register").buttons if button.name == "take"]
    assert offered[0] == "mireille.ilunga"
    assert "mireille" not in offered
    browser.press("mireille.ilunga", called="Mireille Ilunga")
    assert dict(browser.fields("/user/register").fields)["name"] == "mireille.ilunga"
    browser.press("Get this address", password=PASSWORD)
    assert browser.address == "/email/inbox"
    assert who(box, "mireille.ilunga").display_name == "Mireille Ilunga"


def test_a_name_that_is_not_free_says_so_at_once_with_names_near_it(box: Box) -> None:
    box.person("ruth")
    browser = box.browser().open("/user/register").press("Show free names", name="ruth")
    assert "has this name already" in browser.text
    assert "ruth2" in browser.text
    browser.press("Show free names", name="ruth7")
    assert "ruth7 is free." in browser.text
    browser.press("Get this address", name="ruth", password=PASSWORD)
    assert browser.status == 400
    assert "ruth2" in browser.text
    assert PASSWORD not in browser.html


def test_the_script_asks_for_names_with_the_token_and_not_too_often(make_box: Callable[..., Box]) -> None:
    box = make_box(name_questions="3 per minute")
    box.person("ruth")
    browser = box.browser().open("/user/register")
    token = browser.token()
    assert browser.client.post("/user/names", data={"name": "ruth"}).status_code == 400
    answer = browser.client.post("/user/names", data={"csrf_token": token, "name": "ruth", "called": "Ruth Amba"})
    assert "has this name already" in told(answer)["problem"]
    assert told(answer)["names"][0] == "ruth.amba"
    answer = browser.client.post("/user/names", data={"csrf_token": token, "name": "postmaster"})
    assert "kept for Lokole" in told(answer)["problem"]
    answer = browser.client.post("/user/names", data={"csrf_token": token, "name": "zoe"})
    assert told(answer)["free"] == "zoe is free."
    assert browser.client.post("/user/names", data={"csrf_token": token, "name": "zoe"}).status_code == 429


def test_somebody_signs_up_with_pictures_touched_twice_and_enters_with_them(box: Box) -> None:
    browser = box.browser().open("/user/register").press("With pictures", called="Zoé", name="zoe")
    assert "Choose your pictures" in browser.text
    assert "disabled>These are my pictures" in touch(browser, "fish", "sun").html
    touch(browser, "moon").press("These are my pictures")
    assert "The same pictures once more" in browser.text
    touch(browser, *FISH_SUN_MOON).press("These are my pictures")
    assert browser.address == "/email/inbox"
    assert by_pictures(box, "zoe", *FISH_SUN_MOON).address == "/email/inbox"
    with box.ports.database.read() as tx:
        assert accounts.password_hash(tx, who(box, "zoe")) is None


def test_pictures_that_differ_the_second_time_begin_again(box: Box) -> None:
    browser = box.browser().open("/user/register").press("With pictures", name="zoe")
    touch(browser, *FISH_SUN_MOON).press("These are my pictures")
    touch(browser, "fish", "moon", "sun").press("These are my pictures")
    assert browser.status == 400
    assert "not the same pictures" in browser.text
    touch(browser, "pot", "pot", "pot").press("These are my pictures")
    assert "Take different pictures" in browser.text


def test_somebody_signs_up_with_a_pin_and_a_weak_one_is_refused(box: Box) -> None:
    browser = box.browser().open("/user/register").press("With a PIN", name="zoe")
    assert browser.press("Set this PIN", pin="1234", again="1234").status == 400
    assert "Anybody would try this one" in browser.text
    assert "1234" not in browser.html.replace("no row such as 1234", "").replace("row such as 1234", "")
    browser.press("Set this PIN", pin="2711", again="2712")
    assert "not the same" in browser.text
    browser.press("Set this PIN", pin="2711", again="2711")
    assert browser.address == "/email/inbox"
    assert box.browser().open("/user/login").press("Enter", name="zoe", password="2711").address == "/email/inbox"


@pytest.mark.parametrize(
    ("way", "button", "secret"),
    [
        ("password", "Get this address", {"password": PASSWORD}),
        ("pin", "Set this PIN", {"pin": "2711", "again": "2711"}),
        ("pictures", "These are my pictures", {}),
    ],
)
def test_a_button_pressed_twice_makes_one_address_and_its_owner_comes_in(
    box: Box, way: str, button: str, secret: dict[str, Any]
) -> None:
    browser = box.browser().open("/user/register")
    if way == "password":
        secret = secret | {"name": "zoe", "called": "Zoé"}
    else:
        browser.press("With a PIN" if way == "pin" else "With pictures", name="zoe", called="Zoé")
    if way == "pictures":
        touch(browser, *FISH_SUN_MOON).press(button)
        touch(browser, *FISH_SUN_MOON)
    page, cookie = browser.html, browser.client.get_cookie("lokole")
    assert cookie is not None
    assert browser.press(button, **secret).address == "/email/inbox"
    # the first answer never came: the browser is where it was
    browser.html, browser.address = page, "/user/register"
    browser.client.set_cookie("lokole", cookie.value)
    assert browser.press(button, **secret).address == "/email/inbox", browser.text
    assert "Welcome" in browser.text
    with box.ports.database.read() as tx:
        assert accounts.some_accounts(tx, box.tenant, offset=0, limit=9)[1] == 1


def test_what_was_typed_elsewhere_or_otherwise_lets_nobody_into_a_new_address(box: Box) -> None:
    browser = box.browser().open("/user/register")
    cookie = browser.client.get_cookie("lokole")
    assert cookie is not None
    browser.press("Get this address", name="zoe", password=PASSWORD)
    browser.client.set_cookie("lokole", cookie.value)
    assert browser.open("/user/register").press("Get this address", name="zoe", password="other words").status == 400
    other = box.browser().open("/user/register").press("Get this address", name="zoe", password=PASSWORD)
    assert other.status == 400
    assert "has this name already" in other.text


def _listed(box: Box, name: str) -> bool:
    with box.ports.database.read() as tx:
        return standing.get_standing(tx, who(box, name)).listed


def test_whoever_signs_up_says_whether_neighbours_may_find_them(box: Box) -> None:
    browser = box.browser().open("/user/register")
    assert "Neighbours may find me" in browser.text
    assert "Your name and address then stand in the list of people of this box." in browser.text
    assert "listed" not in dict(browser.fields("/user/register").fields)  # unticked
    browser.press("Get this address", name="mireille", password=PASSWORD)
    assert not _listed(box, "mireille")
    box.browser().open("/user/register").press("Get this address", name="joseph", password=PASSWORD, listed="y")
    assert _listed(box, "joseph")
    assert "joseph@" in browser.open("/users").text


def test_the_yes_to_the_list_goes_along_through_pin_and_pictures_and_a_mistake(box: Box) -> None:
    box.browser().open("/user/register").press("With a PIN", name="zoe", listed="y").press(
        "Set this PIN", pin="7392", again="7392"
    )
    assert _listed(box, "zoe")
    browser = box.browser().open("/user/register").press("With pictures", name="ruth", listed="y")
    for _ in range(2):
        touch(browser, *FISH_SUN_MOON).press("These are my pictures")
    assert _listed(box, "ruth")
    browser = box.browser().open("/user/register").press("Get this address", name="ann", password="x", listed="y")
    assert dict(browser.fields("/user/register").fields)["listed"] == "y"


def test_the_welcome_letter_is_in_the_language_chosen_first_and_in_the_words_of_the_organisation(box: Box) -> None:
    keeper = box.signed_in("chief", is_admin=True).open("/more").follow("Signing up and in")
    words: dict[str, Any] = {"subject-fr": "Bienvenue au village", "text-fr": "Bonjour <à tous>.\n\nVenez\nnous voir."}
    keeper.press("Keep this", **words)
    assert "It is kept." in keeper.text
    browser = box.browser().open("/user/register").press("Français")
    browser.press("Prendre cette adresse", name="zoe", password=PASSWORD)
    assert "Bienvenue au village" in browser.text
    assert "Bonjour &lt;à tous&gt;." in browser.open("/email/1/body").html
    english = box.browser().open("/user/register").press("Get this address", name="ann", password=PASSWORD)
    assert "Welcome to Lokole" in english.text


def test_the_people_who_look_after_the_box_close_and_open_sign_up(box: Box) -> None:
    keeper = box.signed_in("chief", is_admin=True).open("/admin/doors")
    keeper.post("/admin/doors", {"csrf_token": keeper.token(), "minutes": "10"})
    assert box.browser().open("/user/register").status == 404
    for address in ("/", "/user/login"):
        assert "Get an address" not in box.browser().open(address).text
    keeper.open("/admin/doors").press("Keep this", sign_up="y", minutes="x")
    assert keeper.status == 400
    assert "Write minutes from 2 to 120." in keeper.text
    keeper.press("Keep this", sign_up="y", minutes="30")
    assert box.browser().open("/user/register").status == 200


# coming in


def test_nothing_says_which_ways_a_name_has_or_whether_it_exists(box: Box) -> None:
    with_way(box, "bypics", ways.PICTURES_WAY, " ".join(FISH_SUN_MOON))
    with_way(box, "bypin", ways.PIN, "2711")
    box.person("byword")

    def seen(name: str, how: str) -> str:
        browser = box.browser().open("/user/login")
        if how == "pictures":
            browser.press("With my pictures", name=name)
            pages = browser.html
            for one in ("sun", "sun", "fish"):
                pages += browser.press(one).html
            pages += browser.press("Enter").html
        else:
            pages = browser.press("Enter", name=name, password=how).html
        assert browser.status == 403
        box.later(minutes=2)
        plain = re.sub(r'value="[^"]{60,}"', "", pages).replace(name, "NAME")
        return re.sub(r"<svg class=tile.*?</svg>", "", plain, flags=re.DOTALL)

    for how in ("pictures", "9999999", "2712", "words of nobody", "abcd-efgh-jkmn"):
        assert len({seen(name, how) for name in ("bypics", "bypin", "byword", "bynone")}) == 1, how


def test_a_wrong_sequence_gives_no_hint_and_begins_again(box: Box) -> None:
    with_way(box, "zoe", ways.PICTURES_WAY, "fish sun moon boat")
    for wrong in (FISH_SUN_MOON, ("sun", "fish", "moon", "boat"), ("fish", "sun", "moon", "boat", "pot")):
        browser = by_pictures(box, "zoe", *wrong)
        assert browser.status == 403
        assert "That is not right. Begin again with the first picture." in browser.text
        assert "0 pictures" in browser.text
    box.later(minutes=1)
    assert by_pictures(box, "zoe", "fish", "sun", "moon", "boat").address == "/email/inbox"


def test_two_pictures_or_something_else_are_no_guess(box: Box) -> None:
    with_way(box, "zoe", ways.PICTURES_WAY, " ".join(FISH_SUN_MOON))
    browser = box.browser().open("/user/login")
    before = box.fingerprint()
    for so_far, picture in (("fish", "sun"), ("", "<b>"), ("x y z fish", "sun")):
        browser.post(
            "/user/login/pictures",
            {"csrf_token": browser.token(), "name": "zoe", "so_far": so_far, "p": picture, "do": "enter"},
        )
        assert browser.status == 200
        assert "<b>" + "</button>" not in browser.html
    assert box.fingerprint() == before
    assert box.browser().open("/user/login").press("With my pictures", name="").status == 400


def test_a_pin_with_blanks_and_an_old_password_of_digits_both_count(box: Box) -> None:
    with_way(box, "zoe", ways.PIN, "2711", password=True)
    assert box.browser().open("/user/login").press("Enter", name="zoe", password=" 2711 ").address == "/email/inbox"
    assert box.browser().open("/user/login").press("Enter", name="zoe", password=PASSWORD).address == "/email/inbox"


def test_ten_thousand_guesses_are_ten_a_minute_and_the_owner_comes_in(box: Box) -> None:
    """P18, by the injected clock: guesses from many places, ten a second, for a quarter of an hour."""
    person = box.person("mireille")
    owner = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD, own="y")
    assert owner.address == "/email/inbox"
    begun, looked_at = box.clock[0], []
    for n in range(10_000):
        box.clock[0] = begun + timedelta(seconds=n / 10)
        with box.app.test_request_context("/user/login", environ_base={"REMOTE_ADDR": f"10.0.{n % 200}.7"}):
            try:
                guessing.count_guess((box.tenant, "mireille"))
            except TooOften:
                continue
            looked_at.append(box.clock[0])
            guessing.note_wrong((box.tenant, person.name))
    assert len(looked_at) > 60
    for at in looked_at:
        assert sum(at <= other < at + timedelta(minutes=1) for other in looked_at) <= 10
    # the pages ask the same question, however the name is written, and whatever the way in
    guesser = box.browser().open("/user/login")
    for name in ("mireille", "MIREILLE", f"mireille@{DOMAIN}"):
        assert guesser.open("/user/login").press("Enter", name=name, password="x").status == 429
    guesser.open("/user/login").press("With my pictures", name="mireille")
    assert touch(guesser, *FISH_SUN_MOON).press("Enter").status == 429
    # in the middle of it, on her own telephone, at once
    owner.press("Leave")
    owner.open("/user/login").press("Enter", name="mireille", password=PASSWORD, own="y")
    assert owner.address == "/email/inbox"
    assert "Somebody tried to enter as you" in owner.text
    assert re.search(r"somebody tried \d+ times", owner.open("/user/sessions").text)


def test_wrong_tries_at_the_door_are_told_to_whoever_comes_in_and_only_once(box: Box) -> None:
    box.person("mireille")
    for _ in range(3):
        guesser = box.browser()
        for _ in range(2):
            guesser.open("/user/login").press("Enter", name="mireille", password="guess")
        box.later(minutes=1)
    browser = box.enter("mireille")
    assert "Somebody tried to enter as you" in browser.text
    assert "somebody tried 6 times" in browser.open("/user/sessions").text
    assert "Somebody tried to enter as you" not in box.enter("mireille").text


def test_one_place_that_guesses_leaves_room_for_the_owner_elsewhere(box: Box) -> None:
    box.person("mireille")
    guesser = box.browser().open("/user/login")
    for _ in range(30):
        guesser.client.post("/user/login", data={"csrf_token": guesser.token(), "name": "mireille", "password": "x"})
    elsewhere = box.browser().open("/user/login")
    answer = elsewhere.client.post(
        "/user/login",
        data={"csrf_token": elsewhere.token(), "name": "mireille", "password": PASSWORD},
        environ_base={"REMOTE_ADDR": "10.0.0.9"},
    )
    assert answer.status_code == 303


def test_one_place_may_not_try_every_name(make_box: Callable[..., Box]) -> None:
    box = make_box(sign_in_tries_per_place="20 per minute")
    guesser = box.browser().open("/user/login")
    answers = [
        guesser.client.post("/user/login", data={"csrf_token": guesser.token(), "name": f"n{n}", "password": "x"})
        for n in range(25)
    ]
    assert [one.status_code for one in answers] == [403] * 20 + [429] * 5


# slips


def slip_for(box: Box, name: str) -> tuple[Browser, str]:
    keeper = box.signed_in("chief", is_admin=True)
    keeper.open("/admin/people").follow(f"Look after {name}").follow("Make a one-time password")
    keeper.press("Make a one-time password")
    (found,) = set(re.findall(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b", keeper.text))
    return keeper, found


def test_a_slip_is_covered_counts_once_and_a_way_must_be_chosen(box: Box) -> None:
    with_way(box, "mireille", ways.PICTURES_WAY, " ".join(FISH_SUN_MOON), password=True)
    keeper, slip = slip_for(box, "mireille")
    assert keeper.response.headers["Cache-Control"] == "no-store"
    assert keeper.html.index("<details") < keeper.html.index(slip) < keeper.html.index("</details>")
    assert slip not in keeper.address
    assert box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD).status == 403
    assert by_pictures(box, "mireille", *FISH_SUN_MOON).status == 403
    box.later(minutes=2)
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=slip.upper().replace("-", " "))
    assert browser.address == "/user/password/change"
    assert box.browser().open("/user/login").press("Enter", name="mireille", password=slip).status == 403
    assert browser.open("/user/profile").address == "/user/password/change"
    browser.follow("With a PIN").press("Set this PIN", pin="2711", again="2711")
    assert browser.address == "/user/profile"
    assert browser.open("/email/inbox").address == "/email/inbox"


def test_a_slip_whose_answer_was_lost_counts_once_more_in_that_browser_alone(box: Box) -> None:
    box.person("mireille")
    _keeper, slip = slip_for(box, "mireille")
    browser = box.browser().open("/user/login")
    page, cookie = browser.html, browser.client.get_cookie("lokole")
    assert cookie is not None
    assert browser.press("Enter", name="mireille", password=slip).address == "/user/password/change"
    browser.html, browser.address = page, "/user/login"
    browser.client.set_cookie("lokole", cookie.value)
    assert browser.press("Enter", name="mireille", password=slip).address == "/user/password/change"
    assert box.browser().open("/user/login").press("Enter", name="mireille", password=slip).status == 403
    browser.press("Set the new password", new=PASSWORD, again=PASSWORD)
    assert browser.address == "/email/inbox"
    browser.html, browser.address = page, "/user/login"
    browser.client.set_cookie("lokole", cookie.value)
    assert browser.press("Enter", name="mireille", password=slip).status == 403


def test_a_slip_is_paper_after_a_week_of_days_and_a_clock_that_jumps_is_one_day(box: Box) -> None:
    box.person("mireille")
    _keeper, slip = slip_for(box, "mireille")
    box.later(days=4000)
    box.enter("chief")
    box.later(days=-3999)
    with box.ports.database.write() as tx:
        assert slips.slip_hash(tx, who(box, "mireille")) is not None
        for n in range(slips.VALID_DAYS):
            days.note_day(tx, box.tenant, (box.clock[0] + timedelta(days=n + 2)).date())
    assert box.browser().open("/user/login").press("Enter", name="mireille", password=slip).status == 403


def test_nobody_makes_a_slip_for_themselves_or_for_another_box(box: Box) -> None:
    keeper = box.signed_in("chief", is_admin=True)
    for no, status in ((who(box, "chief").no, 403), (999, 404)):
        keeper.open("/more").post(f"/admin/people/{no}/password", {"csrf_token": keeper.token()})
        assert keeper.status == status


# sessions


def test_somebody_sees_where_they_are_signed_in_and_ends_it_elsewhere(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.later(hours=1)
    other = box.enter("mireille")
    text = browser.open("/more").follow("Where you are signed in").text
    assert "this one" in text
    assert "with the password" in text
    browser.press("Sign out everywhere else")
    assert "All other telephones are signed out." in browser.text
    assert other.open("/email/inbox").address.startswith("/user/login")
    assert browser.open("/email/inbox").address == "/email/inbox"
    third = box.enter("mireille")
    browser.open("/user/sessions").press("Sign out everywhere")  # the button that spares this one comes first
    browser.open("/user/sessions").press("everywhere")
    assert third.open("/email/inbox").address.startswith("/user/login")
    assert browser.open("/email/inbox").address.startswith("/user/login")


def test_a_session_that_idled_out_is_gone_from_the_list_and_from_the_box(box: Box) -> None:
    box.person("mireille")
    box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    mine = box.enter("mireille")
    text = mine.open("/user/sessions").text
    assert text.count("last used") == 2
    assert "a shared telephone" in text
    box.later(minutes=11)
    text = mine.open("/user/sessions").text
    assert text.count("last used") == 1
    assert "a shared telephone" not in text
    assert "Sign out everywhere else" not in text
    box.enter("mireille")
    with box.ports.database.read() as tx:
        assert (
            tx.execute(select(func.count()).select_from(schema.session)).scalar() == 2
        )  # swept when somebody comes in


def test_the_sign_in_before_this_one_is_shown(box: Box) -> None:
    box.signed_in("mireille")
    box.later(days=1)
    assert "Before that you came in on Monday 23 November" in box.enter("mireille").open("/user/sessions").text


def test_minutes_of_a_shared_telephone_are_those_the_box_was_told(box: Box) -> None:
    box.person("mireille")
    with box.ports.database.write() as tx:
        options.set_option(tx, box.tenant, "shared_minutes", 30)
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    box.later(minutes=29)
    assert browser.open("/email/inbox").address == "/email/inbox"
    box.later(minutes=31)
    assert browser.open("/email/inbox").address.startswith("/user/login")


def test_a_shared_telephone_ends_after_half_a_day_even_when_it_is_touched(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    for _ in range(80):
        box.later(minutes=8)
        assert browser.open("/email/inbox").address == "/email/inbox"
    box.later(minutes=9)
    for _ in range(11):
        browser.open("/email/inbox")
        box.later(minutes=8)
    assert browser.address.startswith("/user/login")


def test_after_a_session_ended_somebody_comes_back_to_the_page_they_were_on(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    browser.open("/email/new?to=ruth@example.com")
    box.later(minutes=11)
    token = browser.token()
    answer = browser.client.post(
        "/email/read/1",
        data={"csrf_token": token},
        headers={"Referer": "http://localhost/email/new?to=ruth@example.com"},
    )
    assert answer.status_code == 401
    (login,) = re.findall(r'href="(/user/login[^"]*)"', answer.get_data(as_text=True))
    browser.open(login.replace("&amp;", "&")).press("Enter", name="mireille", password=PASSWORD)
    assert browser.address == "/email/new?to=ruth@example.com"


def test_browsers_are_told_apart_in_two_words() -> None:
    android = "Mozilla/5.0 (Linux; Android 8.1.0; itel A16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile Safari/537.36"
    assert describe(android) == "Android · Chrome"
    assert describe("Opera/9.80 (Android; Opera Mini/36.2/119) Presto/2.12") == "Android · Opera Mini"
    assert describe("") == describe("curl/8") == ""


# the profile


def test_a_name_on_letters_and_a_time_zone_of_ones_own(box: Box) -> None:
    browser = box.signed_in("mireille").open("/more").follow("You and your address")
    browser.press("Keep this", display_name="Mireille Ilunga", time_zone="Africa/Lubumbashi")
    assert "It is kept." in browser.text
    found = who(box, "mireille")
    assert (found.display_name, found.time_zone) == ("Mireille Ilunga", "Africa/Lubumbashi")
    browser.press("Keep this", display_name="Mireille", time_zone="../etc/passwd")
    assert who(box, "mireille").time_zone == "Africa/Lubumbashi"
    browser.open("/email/new").press("send", to="joseph@example.com", subject="s", body="b")
    with box.ports.database.read() as tx:
        names = tx.execute(schema.email.select().order_by(schema.email.c.order_no.desc())).first()
    assert names is not None
    assert names.sender_name == "Mireille"


def test_a_way_is_added_and_given_up_but_not_the_last(box: Box) -> None:
    browser = box.signed_in("mireille").open("/user/profile").follow("Choose a PIN")
    other = box.enter("mireille")
    browser.press("Set this PIN", pin="2711", again="2711")
    assert "You have a PIN." in browser.text
    assert other.open("/email/inbox").address.startswith("/user/login")
    browser.press("No longer with a PIN")
    assert "You have no PIN." in browser.text
    with box.ports.database.write() as tx:
        accounts.set_password(tx, who(box, "mireille"), None)
        ways.set_way(tx, who(box, "mireille"), ways.PIN, passwords.hash_password("2711", 10))
    only = box.browser().open("/user/login").press("Enter", name="mireille", password="2711")
    only.open("/user/profile").post("/user/way/pin/forget", {"csrf_token": only.token()})
    assert "This is your only way in." in only.text


@pytest.mark.parametrize("address", ["/user/pin", "/user/pictures"])
def test_a_telephone_left_open_changes_no_way_in(box: Box, address: str) -> None:
    browser = box.signed_in("mireille")
    box.later(minutes=20)
    browser.open(address)
    assert browser.address.startswith("/user/login?again=y")
    assert "Please enter once more" in browser.text
    browser.press("Enter", password=PASSWORD)
    assert browser.address == address


def test_roaming_is_turned_on_and_off_and_needs_a_password(box: Box) -> None:
    browser = box.signed_in("mireille").open("/user/profile").press("Read letters in town, too")
    assert "This is on." in browser.text
    assert who(box, "mireille").roaming
    browser.press("Read letters here only")
    assert not who(box, "mireille").roaming
    with_way(box, "zoe", ways.PIN, "2711")
    zoe = box.browser().open("/user/login").press("Enter", name="zoe", password="2711")
    zoe.open("/user/profile")
    assert "For that you need a password" in zoe.text
    assert "Read letters in town, too" not in zoe.text
    zoe.post("/user/roaming", {"csrf_token": zoe.token(), "roaming": "on"})  # a page from before the password went
    assert "For that you need a password" in zoe.text
    assert not who(box, "zoe").roaming
    zoe.follow("Choose a password").press("Set the new password", new=PASSWORD, again=PASSWORD)
    zoe.open("/user/profile").press("Read letters in town, too")
    assert who(box, "zoe").roaming


def test_a_slip_answered_with_a_pin_ends_roaming(box: Box) -> None:
    owner = box.signed_in("mireille").open("/user/profile").press("Read letters in town, too")
    assert "This is on." in owner.text
    _keeper, slip = slip_for(box, "mireille")
    browser = box.browser().open("/user/login").press("Enter", name="mireille", password=slip)
    browser.follow("With a PIN").press("Set this PIN", pin="2711", again="2711")
    assert "This is off." in browser.text
    assert not who(box, "mireille").roaming


def test_in_town_there_is_the_password_only(make_box: Callable[..., Box]) -> None:
    box = make_box(tenants=ManyTenants())
    box.person("mireille")
    browser = box.browser().open("/user/login")
    assert "With my pictures" not in browser.text
    browser.press("Enter", name=f"mireille@{DOMAIN}", password=PASSWORD)
    assert browser.open("/user/profile").status == 200
    for words in ("Choose a PIN", "Choose pictures", "Letters in town", "Leave for good"):
        assert words not in browser.text
    for address in ("/user/pin", "/user/pictures", "/user/leave", "/user/register"):
        assert browser.open(address).status == 404, address


def test_somebody_leaves_for_good_with_their_password(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.letter("mireille", "Only hers")
    browser.open("/user/profile").follow("Delete your address")
    assert "Letters in the bag still leave." in browser.text
    assert "Password or PIN" not in browser.text  # a PIN would not do
    browser.press("Delete everything", password="wrong")
    assert browser.status == 403
    browser.press("Delete everything", password=PASSWORD)
    assert browser.address == "/home"
    assert "Your address is gone." in browser.text
    assert box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD).status == 403
    assert (
        "It rests for 180 days" in box.browser().open("/user/register").press("Show free names", name="mireille").text
    )
    with box.ports.database.read() as tx:
        assert "Only hers" not in [row.subject for row in tx.execute(schema.email.select())]


def test_whoever_looks_after_the_box_does_not_leave_it_alone(box: Box) -> None:
    keeper = box.signed_in("chief", is_admin=True).open("/user/leave")
    assert "Have somebody else take that from you first." in keeper.text
    keeper.post("/user/leave", {"csrf_token": keeper.token(), "password": PASSWORD})
    assert who(box, "chief").is_admin


def test_who_can_read_what_is_said_to_everybody(box: Box) -> None:
    for browser in (box.browser(), box.signed_in("mireille")):
        text = browser.open("/who").text
        assert "Whoever has the box or its memory card in their hands can read every letter" in text
        assert "The organisation that runs it could read them" in text
        assert "http and not https" in text


def test_what_is_said_of_those_who_look_after_the_box_is_what_they_can_do(box: Box) -> None:
    about, said = box.browser().open("/about").text, box.browser().open("/who").text
    for text in (about, said):
        assert "do not show them your letters" in text
    mireille = box.signed_in("mireille")
    box.letter("mireille", "For her alone", body="<p>secret words</p>", read=True)
    chief = box.signed_in("chief", is_admin=True)
    no = who(box, "mireille").no
    # their pages show no letter, nor does its address
    rules = [
        str(rule)
        for rule in box.app.url_map.iter_rules()
        if str(rule).startswith("/admin") and "GET" in (rule.methods or ())
    ]
    for rule in rules:
        chief.open(rule.replace("<int:no>", str(no)))
        assert "For her alone" not in chief.text
        assert "secret words" not in chief.text
    assert chief.open("/email/1").status == 404
    # "What came and could not be read they can open as a file"
    assert "could not be read they can open as a file" in said
    ref = f"{DOMAIN}/apart"
    box.ports.blobs.put(ref, BytesIO(b"perhaps a letter"))
    with box.ports.database.write() as tx:
        values = {"kind": "mime", "source": "server", "reason": "broken", "raw_ref": ref, "key": "k"}
        quarantine.quarantine(tx, tenant=box.tenant, now=box.clock[0], **values)
    assert chief.open("/admin/quarantine/1/raw").status == 405, "not by a link: it is written down"
    assert chief.open("/admin/quarantine").press("Its bytes, as a file").html == "perhaps a letter"
    taken = "chief took, as a file, the bytes of something that could not be read."
    assert taken in chief.open("/admin/log").text
    # "with a slip for your name": then her own way in no longer works, and it stands in the log
    chief.open(f"/admin/people/{no}/password").press("Make a one-time password")
    assert mireille.open("/email/inbox").address.startswith("/user/login")
    assert mireille.press("Enter", name="mireille", password=PASSWORD).status == 403
    assert "chief made a one-time password for mireille." in chief.open("/admin/log").text


# below a prefix


def test_all_of_it_works_below_a_prefix(make_box: Callable[..., Box]) -> None:
    box = make_box(prefix="/lokole")
    browser = box.browser().open("/lokole/user/register").press("With pictures", name="zoe")
    touch(browser, *FISH_SUN_MOON).press("These are my pictures")
    touch(browser, *FISH_SUN_MOON).press("These are my pictures")
    assert browser.address == "/lokole/email/inbox"
    browser.open("/lokole/user/sessions").press("everywhere")
    assert browser.address == "/lokole/user/login"
    browser.press("With my pictures", name="zoe", own="y")
    touch(browser, *FISH_SUN_MOON).press("Enter")
    assert browser.address == "/lokole/email/inbox"
    assert told(browser.open("/lokole/manifest.webmanifest").response)["start_url"] == "/lokole/email/inbox"
    for _label, href in browser.open("/lokole/user/profile").links:
        assert href.startswith(("/lokole/", "#")), href


def test_coming_in_often_keeps_nobody_out(box: Box) -> None:
    box.person("mireille")
    for _ in range(12):
        assert "Letters received" in box.enter("mireille").open("/email/inbox").text
    guesser = box.browser().open("/user/login")
    statuses = [guesser.open("/user/login").press("Enter", name="mireille", password="wrong").status for _ in range(5)]
    assert statuses[-1] == 429, "a wrong one still counts"


def test_a_new_way_in_that_is_sent_twice_says_that_it_may_count_already(box: Box) -> None:
    browser = box.signed_in("mireille").open("/user/pin")
    page, cookie = browser.html, browser.client.get_cookie("lokole")
    assert cookie is not None
    browser.press("Set this PIN", pin="2711", again="2711")
    browser.html, browser.address = page, "/user/pin"
    browser.client.set_cookie("lokole", cookie.value)
    assert browser.press("Set this PIN", pin="2711", again="2711").status == 401
    assert "What you have just chosen may count already" in browser.text
    assert browser.follow("Enter").press("Enter", name="mireille", password="2711").address == "/email/inbox"
