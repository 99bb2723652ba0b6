"""What the people who look after the box see and do."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import update

from lokole.device import signer
from lokole.mail.errors import Refused
from lokole.mailbox import accounts, options, quarantine, schema, visits
from lokole.mailbox.database import to_micros
from tests.unit.webmail.conftest import PASSWORD, Box


def visit(box: Box, result: str, **values: int) -> None:
    with box.ports.database.write() as tx:
        no = visits.start_visit(tx, box.tenant, box.clock[0])
        visits.end_visit(tx, box.tenant, no, box.clock[0], result=result, **values)


def test_one_sentence_says_how_the_box_is(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/more").follow("The box")
    assert "No exchange yet. Next tonight at 02:00." in browser.text
    visit(box, "ok", letters_up=31, letters_down=12, bytes_up=42_000, bytes_down=1_000)
    browser.open("/admin")
    assert (
        "All good. Last exchange Monday 23 November, 10:00: 31 out, 12 in, 0 waiting. Next tonight at 02:00."
        in browser.text
    )
    assert "43 kB" in browser.text
    visit(box, "no-connection")
    browser.open("/admin")
    assert "No network. Your letters stay in the bag. Look whether the modem has power" in browser.text
    assert "Last try Monday 23 November, 10:00." in browser.text
    visit(box, "some-new-word")
    assert "It did not work. Lokole tries again at the next exchange." in browser.open("/admin").text


def test_letters_in_the_bag_of_everybody_are_counted(box: Box) -> None:
    box.signed_in("mireille").open("/email/new").press("send", to="ruth@example.com", body="Hello")
    browser = box.signed_in("chief", is_admin=True).open("/admin")
    assert "In the bag 1 letter" in browser.text
    assert "2 people have an address here." in browser.text


def test_what_was_kept_apart_is_shown_with_its_reason_until_it_is_seen(box: Box) -> None:
    with box.ports.database.write() as tx:
        quarantine.quarantine(
            tx, tenant=box.tenant, kind="record", source="package 12, line 3", reason="not JSON <b>",
            raw_ref="quarantine/ab", key="k", now=box.clock[0],
        )  # fmt: skip
    visit(box, "ok")
    browser = box.signed_in("chief", is_admin=True).open("/admin")
    assert "1 thing was kept apart." in browser.text
    browser.follow("Look at them")
    assert "not JSON <b>" in browser.text
    assert "package 12, line 3" in browser.text
    browser.press("Seen")
    assert "seen" in browser.text
    assert "All good." in browser.open("/admin").text


def test_a_second_box_with_the_same_key_is_told_until_it_is_seen(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin")
    assert "Another machine uses the key" not in browser.text
    with box.ports.database.write() as tx:
        options.set_option(tx, box.tenant, signer.TWIN_OPTION, to_micros(box.clock[0]))
    browser.open("/admin")
    assert "Another machine uses the key of this box. It was noticed Monday 23 November, 10:00." in browser.text
    browser.press("Seen")
    assert "Another machine uses the key" not in browser.text
    assert "It is marked as seen." in browser.text


def test_send_now_starts_one_exchange(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin").press("Send now")
    assert box.calls == ["sync"]
    assert "The exchange has begun." in browser.text
    browser.press("Send now")
    assert "An exchange is under way already." in browser.text


def test_a_box_without_a_place_at_a_server_does_not_send_now(make_box: Callable[..., Box]) -> None:
    box = make_box(register=lambda code, server: ("d", "x.example.org"))
    with box.ports.database.write() as tx:
        tx.execute(update(schema.tenant).values(state="waiting"))
    browser = box.signed_in("chief", is_admin=True).open("/admin")
    assert "Send now" not in browser.text
    assert browser.text.count("Register the box first.") == 1
    browser.post("/admin/sync", {"csrf_token": browser.token()})
    assert browser.text.count("Register the box first.") == 2
    assert box.calls == []


def test_without_anybody_to_meet_there_is_no_such_button(make_box: Callable[..., Box]) -> None:
    box = make_box(sync_now=None)
    browser = box.signed_in("chief", is_admin=True).open("/admin")
    assert "Send now" not in browser.text
    assert browser.post("/admin/sync", {"csrf_token": browser.token()}).status == 404


def test_hours_are_kept_and_explained(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin").follow("Change the hours")
    assert "Every day: 02:00." in browser.text
    browser.press("Keep these hours", hours="14, 2")
    assert "Every day: 02:00 and 14:00." in browser.text
    assert box.calls == ["schedule"]
    browser.press("Keep these hours", hours="3", days=["0", "4"])
    assert "On Monday and Friday: 03:00." in browser.text
    with box.ports.database.read() as tx:
        assert options.get_option(tx, box.tenant, "schedule") == {"hours": [3], "days": [0, 4]}
    browser.press("Keep these hours", kind="cron", cron="30 1,13 * * mon-fri")
    assert "On Monday, Tuesday, Wednesday, Thursday and Friday: 01:30 and 13:30." in browser.text
    assert dict(browser.fields("/admin/schedule").fields)["cron"] == "30 1,13 * * mon-fri"
    with box.ports.database.read() as tx:
        assert options.get_option(tx, box.tenant, "schedule") == {"cron": "30 1,13 * * mon-fri"}


def test_wrong_hours_are_named_and_nothing_changes(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/schedule")
    for fields, sentence in (
        ({"kind": "hours", "hours": "25"}, "Write hours from 0 to 23"),
        ({"kind": "hours", "hours": ""}, "Write hours from 0 to 23"),
        ({"kind": "cron", "cron": "every night"}, "This is not cron syntax"),
        ({"kind": "cron", "cron": "61 2 * * *"}, "This is not cron syntax"),
    ):
        browser.press("Keep these hours", files=None, **fields)
        assert browser.status == 400
        assert sentence in browser.text
    assert box.calls == []
    assert "Every day: 02:00." in browser.open("/admin").text


def kept_hours(box: Box) -> object:
    with box.ports.database.read() as tx:
        return options.get_option(tx, box.tenant, "schedule")


def test_the_field_that_was_changed_says_which_hours_are_meant(box: Box) -> None:
    """Nobody has to touch the round button beside it."""
    browser = box.signed_in("chief", is_admin=True).open("/admin/schedule")
    browser.press("Keep these hours", cron="30 1 * * *")
    assert kept_hours(box) == {"cron": "30 1 * * *"}
    browser.press("Keep these hours", hours="4")
    assert kept_hours(box) == {"hours": [4], "days": None}
    browser.press("Keep these hours", days=["0"])
    assert kept_hours(box) == {"hours": [4], "days": [0]}
    browser.press("Keep these hours", hours="", cron="0 5 * * *")
    assert kept_hours(box) == {"cron": "0 5 * * *"}
    browser.press("Keep these hours", days=["1"])
    assert (browser.status, "Write hours from 0 to 23" in browser.text) == (400, True)
    assert kept_hours(box) == {"cron": "0 5 * * *"}


def test_where_both_were_changed_the_page_asks(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/schedule")
    for answer, kept in (("hours", {"hours": [4], "days": None}), ("cron", {"cron": "0 5 * * *"})):
        browser.open("/admin/schedule").press("Keep these hours", hours="4", cron="0 5 * * *")
        assert (browser.status, "Choose which of them counts." in browser.text) == (400, True)
        fields = dict(browser.fields("/admin/schedule").fields)
        assert (fields.get("kind"), fields["hours"], fields["cron"]) == (None, "4", "0 5 * * *")
        assert browser.press("Keep these hours").status == 400, "it goes on asking"
        browser.press("Keep these hours", kind=answer)
        assert (browser.status, kept_hours(box)) == (200, kept)
        with box.ports.database.write() as tx:
            options.forget_option(tx, box.tenant, "schedule")
    browser.open("/admin/schedule").press("Keep these hours", kind="cron", hours="4", cron="0 5 * * *")
    assert kept_hours(box) == {"cron": "0 5 * * *"}, "who has chosen is not asked"


def test_minutes_are_refused_with_a_way_to_have_them(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/schedule")
    assert "No day ticked is every day." in browser.text
    browser.press("Keep these hours", hours="6:30")
    assert (browser.status, "Cron syntax, below, takes minutes: 30 6 * * *" in browser.text) == (400, True)
    assert "<details open>" in browser.html


def test_hours_without_a_departure_are_refused_at_their_field(make_box: Callable[..., Box]) -> None:
    def never(_schedule: object) -> None:
        raise Refused("the 30th of February", code="never")

    box = make_box(check_schedule=never)
    browser = box.signed_in("chief", is_admin=True).open("/admin/schedule")
    browser.press("Keep these hours", cron="0 2 30 2 *")
    assert (browser.status, "would not leave once in a year" in browser.text) == (400, True)
    assert "id=cron-e" in browser.html
    assert kept_hours(box) is None


def test_hours_that_the_box_cannot_keep_are_refused(make_box: Callable[..., Box]) -> None:
    def never(_schedule: object) -> None:
        raise Refused("the 30th of February", code="schedule")

    box = make_box(check_schedule=never)
    browser = box.signed_in("chief", is_admin=True).open("/admin/schedule").press("Keep these hours", hours="3")
    assert browser.status == 400
    assert box.calls == []


def test_a_one_time_password_is_shown_once_and_works_once(box: Box) -> None:
    owner = box.signed_in("mireille")
    browser = box.signed_in("chief", is_admin=True).open("/admin/people").follow("Look after mireille")
    before = box.fingerprint()
    browser.follow("Make a one-time password")
    assert "no longer lets them in" in browser.text
    assert box.fingerprint() == before, "it asks first"
    browser.press("Make a one-time password")
    slip = re.search(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b", browser.text)
    assert slip is not None
    assert "If you load this page again, you get another one" in browser.text
    assert "no-store" in browser.response.headers["Cache-Control"]
    cookie = browser.client.get_cookie("lokole")
    assert cookie is not None
    assert slip[0] not in cookie.value
    assert slip[0] not in browser.open("/admin").text
    assert owner.open("/email/inbox").address.startswith("/user/login")
    fresh = box.browser().open("/user/login").press("Enter", name="mireille", password=slip[0])
    assert fresh.address == "/user/password/change"
    fresh.press("Set the new password", old=slip[0], new="my own three words", again="my own three words")
    again = box.browser().open("/user/login").press("Enter", name="mireille", password=slip[0])
    assert again.status == 403


def test_suspending_and_letting_in_again(box: Box) -> None:
    owner = box.signed_in("mireille")
    other = box.signed_in("joseph")
    browser = box.signed_in("chief", is_admin=True).open("/admin/people").follow("Look after mireille")
    browser.press("Do not let mireille sign in")
    assert "This person can no longer sign in." in browser.text
    assert owner.open("/email/inbox").address.startswith("/user/login")
    assert "mireille" not in other.open("/users").text
    assert "cannot sign in" in browser.open("/admin/people").text
    browser.follow("Look after mireille").press("Let mireille sign in again")
    box.enter("mireille")


def test_looking_after_the_box_together_and_no_longer(box: Box) -> None:
    mireille = box.signed_in("mireille")
    browser = box.signed_in("chief", is_admin=True).open("/admin/people").follow("Look after mireille")
    assert "looks after the box" not in browser.text
    browser.press("Let mireille look after the box, too")
    assert "looks after the box" in browser.open(browser.address).text
    assert mireille.open("/admin").status == 200
    # whoever looks after the box is not shut out before that is taken back
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, "mireille")
        assert person is not None
    browser.post(f"/admin/people/{person.no}/suspend", {"csrf_token": browser.token()})
    assert browser.status == 403
    browser.open(f"/admin/people/{person.no}").press("Do not let mireille look after the box any more")
    assert mireille.open("/admin").status == 403


def test_nobody_shuts_themselves_out(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True)
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, "chief")
        assert person is not None
    token = browser.open("/admin").token()
    assert browser.open(f"/admin/people/{person.no}/password").status == 403
    for action in ("suspend", "demote", "password"):
        assert browser.post(f"/admin/people/{person.no}/{action}", {"csrf_token": token}).status == 403
    assert browser.post(f"/admin/people/{person.no}/nonsense", {"csrf_token": token}).status == 404
    box.browser().open("/user/login").press("Enter", name="chief", password=PASSWORD)


def test_people_see_when_somebody_was_last_here_only_when_they_look_after_the_box(box: Box) -> None:
    box.signed_in("joseph").open("/users").press("Put me in the list")
    assert "last here" in box.signed_in("chief", is_admin=True).open("/users").text
    assert "last here" not in box.signed_in("mireille").open("/users").text


def test_a_number_too_large_for_the_database_is_nothing(box: Box) -> None:
    browser = box.signed_in("mireille")
    for address in (f"/email/{10**30}", f"/attachment/1/{10**30}", f"/email/new?action=reply&uid={10**30}"):
        assert browser.open(address).status in (200, 404)
    assert browser.open(f"/email/inbox?before={10**30}&after=-7").status == 200
