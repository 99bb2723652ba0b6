"""Who may see and do what: every route, every role, and that no GET changes anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from lokole.mail.model import Attachment
from lokole.mailbox import accounts, quarantine
from lokole.webmail import access
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import PASSWORD, Box

#: what anybody may see, what needs a person, what needs an administrator; a new route without a row here fails
PUBLIC = {
    "home.home",
    "home.about",
    "design.components",
    "home.asset",
    "home.favicon",
    "home.ping",
    "home.who_reads",
    "signup.register",
    "signup.names",
    "account.login",
    "account.pictures",
    "account.language",
    "here.ask",
    "here.touched",
    "here.away",
    "here.lid",
    "carry.start",
    "carry.pack",
    "carry.take",
    "portal.manifest",
    "portal.worker",
    "portal.offline",
    "portal.probe",
    "board.news",
    "board.post",
    "board.body",
    "board.file",
}
#: what anybody may do at the server's pages, which are not those of a box
IN_TOWN = {"town.start", "town.hand_in"}
PERSON = {
    "home.more",
    "account.logout",
    "ways.password",
    "ways.pin",
    "ways.pictures",
    "ways.forget",
    "profile.show",
    "profile.roaming",
    "profile.where",
    "profile.end",
    "profile.leave",
    "board.show",
    "board.new",
    "board.take_down",
    "directory.people",
    "directory.list_me",
    "mailbox.first_page",
    "mailbox.inbox",
    "mailbox.sent",
    "mailbox.archive",
    "mailbox.folder",
    "mailbox.thrown_away",
    "mailbox.outbox",
    "mailbox.unread",
    "marking.mark",
    "marking.mark_read",
    "folders.overview",
    "folders.create",
    "folders.change",
    "folders.rename",
    "folders.delete",
    "folders.together",
    "finding.search",
    "letter.show",
    "letter.body",
    "letter.whole",
    "printing.letter",
    "printing.post",
    "letter.delete",
    "letter.attachment",
    "compose.new",
    "compose.send",
    "compose.save",
    "compose.check",
    "drafts.kept",
    "drafts.delete",
    "taking_back.take_back",
    "thrown_away.show",
    "thrown_away.erase",
    "thrown_away.empty",
    "contacts.book",
    "contacts.line",
    "contacts.new_group",
    "contacts.group",
    "preferences.letters",
    "preferences.signature",
    "preferences.answer",
    "preferences.add_rule",
    "preferences.remove_rule",
}
ADMIN = {
    "admin.overview",
    "admin.sync",
    "admin.hours",
    "admin.kept_apart",
    "admin.resolve",
    "admin.person",
    "slip.make",
    "doors.show",
    "admin.change",
    "admin.twin",
    "admin.people",
    "admin.new_person",
    "admin.new_slips",
    "admin.import_list",
    "admin.decide",
    "admin.delete_person",
    "admin.merge",
    "admin.log",
    "admin.raw",
    "admin.limits",
    "admin.card",
    "admin.place",
    "admin.registration",
    "admin.storage",
    "admin.tidy",
    "admin.first",
    "admin.senders",
    "admin.modem",
    "admin.modem_countries",
    "admin.modem_networks",
    "admin.modem_points",
    "admin.mobile_countries",
    "admin.mobile_providers",
    "admin.mobile_apns",
    "admin.update",
    "admin.begin_update",
}


def addresses(box: Box, method: str, no: int, person: int) -> dict[str, list[str]]:
    """Every address of every route that answers ``method``, with ids of somebody's letter and of a person."""
    values: dict[str, Any] = {
        "no": no,
        "n": 0,
        "number": 2,
        "code": "fr",
        "action": "suspend",
        "name": "style.css",
        "kind": "pin",
        "seconds": 605,
        "country": "cd",
        "network": "Lobi",
        "provider": "Lobi",
        "apn": "lobi.net",
    }
    found: dict[str, list[str]] = {}
    with box.app.test_request_context():
        for rule in box.app.url_map.iter_rules():
            if method in (rule.methods or ()):
                chosen = {name: values.get(name, "x") for name in rule.arguments}
                if rule.endpoint in ADMIN and "no" in chosen:
                    chosen["no"] = person
                address = box.app.url_map.bind("localhost").build(rule.endpoint, chosen)
                found.setdefault(rule.endpoint, []).append(address)
    return found


def test_every_route_is_in_the_table(box: Box) -> None:
    endpoints = {rule.endpoint for rule in box.app.url_map.iter_rules()}
    assert endpoints == PUBLIC | PERSON | ADMIN
    assert access.PUBLIC == PUBLIC | IN_TOWN


def test_somebody_not_signed_in_is_sent_to_the_door(box: Box) -> None:
    admin = box.person("chief", is_admin=True)
    no = box.letter("chief")
    before = box.fingerprint()
    for endpoint, found in addresses(box, "GET", no, admin.no).items():
        if endpoint not in PUBLIC:
            assert box.browser().open(found[0]).address.startswith("/user/login"), found
    for endpoint, found in addresses(box, "POST", no, admin.no).items():
        if endpoint in PUBLIC:
            continue
        browser = box.browser().open("/user/login")
        browser.post(found[0], {"csrf_token": browser.token(), "open": no})
        assert browser.status == 401, found
        assert "Please sign in again" in browser.text
    assert box.fingerprint() == before


def test_only_an_administrator_looks_after_the_box(box: Box) -> None:
    admin = box.person("chief", is_admin=True)
    browser = box.signed_in("mireille")
    before = box.fingerprint()
    for method in ("GET", "POST"):
        for endpoint, found in addresses(box, method, 1, admin.no).items():
            if endpoint in ADMIN:
                browser.open("/email/inbox")
                if method == "GET":
                    browser.open(found[0])
                else:
                    browser.post(found[0], {"csrf_token": browser.token()})
                assert browser.status == 403, found
                assert "This is for the people who look after the box" in browser.text
    assert box.fingerprint() == before
    assert "The box" not in browser.open("/more").text


def test_nobody_reaches_a_letter_that_is_not_theirs(box: Box) -> None:
    box.person("joseph")
    browser = box.signed_in("mireille")
    no = box.letter("joseph", attachments=(Attachment("a.txt", b"x", "text/plain"),))
    before = box.fingerprint()
    for number in (no, 999, 10**12):
        for address in (
            f"/email/{number}",
            f"/email/{number}/body",
            f"/email/{number}/print",
            f"/attachment/{number}/0",
            f"/email/delete/{number}",
        ):
            assert browser.open(address).status == 404, address
            assert "There is nothing here" in browser.text
        token = browser.open("/email/new").token()
        for address, form in (
            (f"/email/delete/{number}", {}),
            (f"/email/read/{number}", {}),
            ("/email/mark", {"open": number}),
            ("/email/mark", {"star": number}),
        ):
            assert browser.post(address, {"csrf_token": token} | form).status == 404, address
    assert box.fingerprint() == before


def test_an_administrator_reads_nobody_elses_letters(box: Box) -> None:
    box.person("joseph")
    no = box.letter("joseph")
    assert box.signed_in("chief", is_admin=True).open(f"/email/{no}").status == 404


def crawl(browser: Browser, start: str) -> set[str]:
    """Follow every link, frame and picture, and send every form that is a GET."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        address = todo.pop()
        if address in seen or not address.startswith("/"):
            continue
        seen.add(address)
        browser.open(address)
        assert browser.status in (200, 404), (address, browser.status)
        if "text/html" in browser.response.content_type:
            todo += [href for _label, href in browser.links]
            todo += [source for source in browser.sources if source]
    return seen


@pytest.mark.parametrize("role", ["nobody", "person", "administrator"])
def test_following_every_link_changes_nothing(box: Box, role: str) -> None:
    box.person("joseph")
    browser = box.browser() if role == "nobody" else box.signed_in("mireille", is_admin=role == "administrator")
    if role != "nobody":
        for n in range(25):
            box.letter(
                "mireille", f"Letter {n}", read=n > 0, attachments=(Attachment("a.png", b"\x89PNG", "image/png"),)
            )
        browser.open("/email/new").press("send", to="ruth@example.com, joseph", subject="News", body="Hello")
    with box.ports.database.write() as tx:
        quarantine.quarantine(
            tx, tenant=box.tenant, kind="record", source="s", reason="r", raw_ref=None, key="k", now=box.clock[0]
        )
    before = box.fingerprint()
    seen = crawl(browser, "/")
    every = [address for found in addresses(box, "GET", 3, 1).values() for address in found]
    for address in every:
        browser.open(address)
    assert box.fingerprint() == before
    assert box.calls == []
    assert len(seen) > {"nobody": 3, "person": 100, "administrator": 100}[role]


def test_every_post_without_its_token_is_refused_with_a_sentence(box: Box) -> None:
    admin = box.signed_in("chief", is_admin=True)
    other = box.person("joseph")
    no = box.letter("chief")
    before = box.fingerprint()
    every = [address for found in addresses(box, "POST", no, other.no).values() for address in found]
    assert len(every) > 12
    for address in every:
        for token in (None, "wrong"):
            form = {"open": no, "csrf_token": token} if token else {"open": no}
            admin.post(address, form)
            assert admin.status == 400, address
            assert "Lokole did not recognise this form" in admin.text
    assert box.fingerprint() == before
    assert box.calls == []


def test_a_form_from_another_site_is_refused_even_with_its_token(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille")
    token = browser.open("/email/inbox").token()
    for headers in ({"Origin": "http://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = browser.client.post("/email/mark", data={"csrf_token": token, "open": no}, headers=headers)
        assert answer.status_code == 400, headers
    fine = browser.client.post(
        "/email/mark", data={"csrf_token": token, "open": no}, headers={"Origin": "http://localhost"}
    )
    assert fine.status_code == 303


def test_a_token_of_somebody_elses_session_is_refused(box: Box) -> None:
    browser, other = box.signed_in("mireille"), box.signed_in("joseph")
    no = box.letter("mireille")
    browser.post("/email/mark", {"csrf_token": other.open("/email/inbox").token(), "open": no})
    assert browser.status == 400


def test_entering_gives_a_new_session_and_not_one_that_was_planted(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/login")
    before = browser.client.get_cookie("lokole")
    browser.press("Enter", name="mireille", password=PASSWORD)
    after = browser.client.get_cookie("lokole")
    assert before is not None
    assert after is not None
    assert before.value != after.value
    assert after.http_only
    assert after.same_site == "Lax"


def test_a_person_of_another_box_is_not_found(make_box: Callable[..., Box]) -> None:
    box = make_box()
    browser = box.signed_in("chief", is_admin=True)
    for number in (0, 77, 10**12):
        assert browser.open(f"/admin/people/{number}").status == 404


def test_no_page_holds_a_password_or_a_hash(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True)
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, "chief")
        assert person is not None
        kept = accounts.password_hash(tx, person)
    assert kept is not None
    for found in addresses(box, "GET", 1, person.no).values():
        browser.open(found[0])
        assert kept not in browser.html
        assert PASSWORD not in browser.html
        assert not re.search(r"\$2[aby]\$", browser.html)
