"""The practice partner: writing to ``echo`` has an answer at once, which stays in the box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from lokole.mail.model import Account, Contact, DeliveryState, Email, EmailNo
from lokole.mailbox import accounts, letter_options, letters, lists, mail_flow, packages, recipients, rules, schema
from lokole.mailbox.letter_options import LetterOptions
from lokole.mailbox.options import set_option
from lokole.webmail import practice
from lokole.webmail.app import ManyTenants
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box

ECHO = f"echo@{DOMAIN}"


def write(browser: Browser, to: str, **fields: Any) -> Browser:
    return browser.open("/email/new").press("send", to=to, **fields)


def letter_of(box: Box, no: int) -> letters.StoredEmail:
    with box.ports.database.read() as tx:
        return letters.read_email(tx, box.tenant, no)


def count(box: Box) -> int:
    with box.ports.database.read() as tx:
        return letters.count_letters(tx, box.tenant)


def person(box: Box, name: str) -> Account:
    with box.ports.database.read() as tx:
        found = accounts.find_account(tx, box.tenant, name)
    assert found is not None
    return found


def on_its_way(box: Box) -> int:
    with box.ports.database.read() as tx:
        return packages.count_waiting(tx, box.tenant, "up")


@pytest.mark.parametrize("to", ["echo", "Echo", ECHO, f"Echo <{ECHO.upper()}>"])
def test_whoever_writes_to_echo_has_an_answer_at_once_that_stays_here(box: Box, to: str) -> None:
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, "cost_per_mb", 90)
    browser = box.signed_in("mireille")
    browser = write(browser, to, subject="My first", body="Good <morning>\n\nWe sing")
    assert "It was delivered." in browser.text
    assert "My first" in browser.open("/email/inbox").text
    browser.press("Re: My first")
    assert "Echo" in browser.text
    body = browser.open("/email/2/body").html
    assert "What you and echo write stays in this box and costs nothing." in body
    assert "<blockquote" in body
    assert "Good &lt;morning&gt;" in body
    assert "We sing" in body
    asked, answer = letter_of(box, 1), letter_of(box, 2)
    assert answer.email.automatic
    assert answer.email.in_reply_to == asked.email.message_id
    assert answer.conversation == asked.conversation
    assert on_its_way(box) == 0
    with box.ports.database.read() as tx:
        assert [one.state for one in recipients.deliveries(tx, box.tenant, 1)] == [DeliveryState.LOCAL]
        assert recipients.deliveries(tx, box.tenant, 2) == []


def test_the_answer_is_in_the_language_of_its_reader(box: Box) -> None:
    write(box.signed_in("mireille", "fr"), "echo", body="Mbote")
    assert "Votre lettre est arrivée" in letter_of(box, 2).email.body
    assert "a écrit" in letter_of(box, 2).email.body


def test_files_are_named_and_not_sent_back(box: Box) -> None:
    browser = box.signed_in("mireille")
    browser.open("/email/new").press("send", files=[("R&D.txt", b"one", "text/plain")], to="echo", body="See")
    answer = letter_of(box, 2)
    assert answer.attachments == ()
    assert "R&amp;D.txt" in answer.email.body


def test_a_letter_that_is_posted_twice_is_answered_once(box: Box) -> None:
    browser = box.signed_in("mireille").open("/email/new")
    form = dict(browser.fields("/email/new").fields)
    action = browser.fields("/email/new").action
    for _ in range(2):
        browser.post(action, {**form, "to": "echo", "body": "Once", "do": "send"})
    assert count(box) == 2


def test_one_letter_to_echo_a_neighbour_and_the_world_does_all_three(box: Box) -> None:
    other = box.signed_in("joseph")
    write(box.signed_in("mireille"), "joseph, ruth@example.com", bcc="echo", subject="Roof", body="Hello")
    assert "Roof" in other.open("/email/inbox").text
    assert letter_of(box, 2).email.sender == Contact(ECHO, "Echo")
    assert on_its_way(box) == 1
    with box.ports.database.read() as tx:
        # the world is not told that somebody practises
        assert [str(one) for one in letters.read_email(tx, box.tenant, 1, private=True).email.recipients] == [
            "ruth@example.com"
        ]


def test_nothing_goes_round_in_circles(box: Box) -> None:
    browser = box.signed_in("mireille")
    me = person(box, "mireille")
    with box.ports.database.write() as tx:
        letter_options.set_options(tx, me, LetterOptions(answer=True, answer_text="I am away"))
        rules.add_rule(tx, me, "subject", "first", "forward", ECHO)
        rules.add_rule(tx, me, "subject", "first", "star", "")
    write(browser, "echo", subject="My first", body="Hello")
    assert count(box) == 2
    with box.ports.database.read() as tx:
        (row,) = lists.list_folder(tx, me, "inbox", limit=9).rows
    assert row.starred  # a rule of one's own holds for its letters, too
    # what a rule passes on to it by itself has no answer
    no = box.letter("mireille", subject="first of all")
    with box.ports.database.write() as tx:
        mail_flow.take_in(tx, box.tenant, EmailNo(no), [me.no], origin="device-1", now=box.clock[0])
    assert count(box) == 5  # passed on, and the answer of who is away
    with box.ports.database.read() as tx:
        from_echo = tx.execute(select(schema.email).where(schema.email.c.sender_address == ECHO)).all()
    assert len(from_echo) == 1


def test_who_reads_in_town_practises_at_home_all_the_same(box: Box) -> None:
    browser = box.signed_in("mireille")
    write(browser, "echo", subject="Before", body="Hello")
    with box.ports.database.write() as tx:
        accounts.set_roaming(tx, person(box, "mireille"), True)
    write(browser, "echo", subject="After", body="Hello")
    assert count(box) == 4
    assert on_its_way(box) == 0
    box.person("joseph")
    write(browser, "joseph, echo", subject="To both", body="Hello")
    assert on_its_way(box) == 1


def test_what_a_neighbour_has_too_travels_when_somebody_begins_to_read_in_town(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.person("joseph")
    write(browser, "joseph, echo", subject="To both", body="Hello")
    with box.ports.database.write() as tx:
        accounts.set_roaming(tx, person(box, "mireille"), True)
    assert on_its_way(box) == 1


def test_somebody_who_has_the_name_already_keeps_their_letters_to_themselves(box: Box) -> None:
    box.person("echo", allow_reserved=True)
    write(box.signed_in("mireille"), "echo", subject="For you", body="Hello")
    assert count(box) == 1
    assert "For you" in box.enter("echo").open("/email/inbox").text


def test_in_town_nobody_is_called_echo(make_box: Callable[..., Box]) -> None:
    box = make_box(in_town=True, tenants=ManyTenants())
    box.person("mireille")
    browser = box.browser().open("/user/login")
    token = dict(browser.fields("/user/login").fields)["csrf_token"]
    browser.post("/user/login", {"csrf_token": token, "name": f"mireille@{DOMAIN}", "password": PASSWORD, "own": "y"})
    for to in ("echo", ECHO):
        assert "Nobody here is called “echo”" in write(browser, to, body="Hello").text
    assert count(box) == 0
    assert "write to echo" not in browser.open("/about").text


def test_the_first_letter_and_the_page_about_lokole_name_it(box: Box) -> None:
    browser = box.signed_in("mireille").open("/about")
    assert "Try it: write to echo. It answers at once, stays in this box and costs nothing." in browser.text
    browser.follow("Try it: write to echo. It answers at once, stays in this box and costs nothing.")
    assert dict(browser.fields("/email/new").fields)["to"] == "echo"
    assert "write to echo" in box.browser().open("/about").text


def test_only_people_write_to_it(box: Box) -> None:
    me = box.person("mireille")
    with box.ports.database.write() as tx:
        by_itself = Email(sender=me.contact, to=(Contact(ECHO),), subject="Auto", automatic=True)
        no = mail_flow.send_letter(tx, me, by_itself, origin="device-1", now=box.clock[0])
    with box.app.test_request_context():
        with box.ports.database.write() as tx:
            practice.answer(tx, me, no)
    assert count(box) == 1
