"""P11 and P16: one person asks for every thing of another, at every address that takes a number or a token, on box and server.

The addresses are generated from the routes. An argument of a route, and a number that comes in a query or a form, need a row here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lokole.webmail
from lokole.mail.model import Attachment, Contact, Email, TenantNo
from lokole.mailbox import accounts, attachments, identity, letters, lists
from lokole.mailbox.tenants import add_tenant
from lokole.webmail.app import ManyTenants
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box
from tests.unit.webmail.test_access import ADMIN

#: what an argument of a route names: a thing of somebody, or nothing that belongs to anybody
LETTER, FILE, NOBODYS = "letter", "file", "nobody's"
ARGUMENTS = {
    "no": LETTER,
    "n": FILE,
    "number": NOBODYS,  # of a page of a list, or of an uncounted picture of the page
    "code": NOBODYS,  # a language, or one of one's own folders: nobody else's is found (test_folders.py)
    "kind": NOBODYS,  # one of one's own ways of signing in
    "name": NOBODYS,  # a file of the pages themselves
    "action": NOBODYS,
    "version": NOBODYS,
    "digest": NOBODYS,
    "filename": NOBODYS,
    "seconds": NOBODYS,  # until a letter that is being written is covered
    # mobile networks of the world
    **dict.fromkeys(("country", "network", "provider", "apn"), NOBODYS),
}
#: Every word of a query or form by which a view takes a number of a letter, with requests that use it.
WORDS: dict[str, list[tuple[str, str, dict[str, str]]]] = {
    "open": [("POST", "/email/mark", {})],
    "star": [("POST", "/email/mark", {})],
    "unstar": [("POST", "/email/mark", {})],
    "uid": [
        (method, "/email/new", {"action": action, "nonce": "0" * 32, "do": "send", "to": "x@example.org"})
        for method in ("GET", "POST")
        for action in ("reply", "reply_all", "forward", "again")
    ],
    "draft": [("GET", "/email/new", {})],
    "n": [
        ("POST", "/email/mark", {"act": act, "to": "archive"} | more)
        for act in ("read", "unread", "star", "unstar", "delete", "archive", "move", "restore")
        for more in ({}, {"together": "y"})
    ],
    "first": [],  # where a page of one's own address book begins
    "start": [],  # of the people of the box
    "files": [],  # of the letter that the address names
    "turn": [],  # how often one's own form was shown
    "days": [],  # how long something hangs on the board
    "before": [],  # where a page of one's own list begins
    "after": [],
}


@pytest.fixture(params=["box", "server"])
def place(request: pytest.FixtureRequest, make_box: Callable[..., Box]) -> Box:
    """A box with its people, or the server's pages with people of two domains."""
    if request.param == "box":
        return make_box()
    return make_box(tenants=ManyTenants(), prefix="/web")


def neighbour(box: Box) -> TenantNo:
    with box.ports.database.write() as tx:
        return add_tenant(
            tx, domain="other.lokole.ca", device_id="device-2", owner="o", state="claimed", webhook_secret="w2",
            now=box.clock[0],
        )  # fmt: skip


def things(box: Box, tenant: TenantNo, domain: str, name: str) -> list[int]:
    """One letter of each kind for ``name``, each with a file: received, read, archived, written, to a hidden recipient, deleted."""
    made: list[int] = []
    flags: list[tuple[str, bool | str]] = [("read", True), ("starred", True), ("folder", "archive"), ("deleted", True)]
    with box.ports.database.write() as tx:
        person = accounts.find_account(tx, tenant, name)
        if person is None:
            person = accounts.create_account(tx, tenant, name, password_hash=None, now=box.clock[0])
        files = attachments.put_attachments(
            box.ports.blobs, domain, [Attachment("a.png", b"\x89PNG", "image/png", "cid")]
        )
        for n, marks in enumerate([[], *([one] for one in flags)]):
            email = Email(sender=Contact("ruth@example.com"), to=(Contact(f"{name}@{domain}"),), subject=f"Secret {n}")
            no, _ = letters.store_email(
                tx, tenant, email, id=identity.next_email_id(tx, "server"), received_at=box.clock[0],
                attachments=files, deliver_to=[person.no],
            )  # fmt: skip
            for flag, value in marks:
                lists.set_flag(tx, person, no, flag, value, "device-1")
            made.append(no)
        written = Email(
            sender=Contact(f"{name}@{domain}"), to=(Contact("x@example.org"),), bcc=(Contact(f"{name}@{domain}"),),
            subject="Secret written",
        )  # fmt: skip
        made.append(
            letters.write_letter(
                tx, tenant, person, written, id=identity.next_email_id(tx, "device-1"), now=box.clock[0],
                attachments=files,
            )
        )  # fmt: skip
    return made


def test_every_argument_of_a_route_and_every_number_of_a_form_is_in_the_tables(box: Box) -> None:
    taken = {name for rule in box.app.url_map.iter_rules() for name in rule.arguments}
    assert taken <= set(ARGUMENTS), "what does the new argument name?"
    words: list[str] = []
    elsewhere = 0
    for path in sorted((Path(lokole.webmail.__file__).parent / "views").glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and any(ast.unparse(one) == "type=row_number" for one in call.keywords):
                word = call.args[0]
                if isinstance(word, ast.Constant):
                    words.append(str(word.value))
                else:
                    elsewhere += 1
    assert set(words) <= set(WORDS), "which requests use the new word?"
    assert (words.count("uid"), elsewhere) == (1, 2), "mark() and the cursors of a list take theirs from a variable"


def test_nobody_sees_or_changes_a_thing_of_somebody_else(place: Box) -> None:
    prefix = place.settings.prefix
    other = neighbour(place)
    theirs = [
        *things(place, place.tenant, DOMAIN, "joseph"),
        *things(place, other, "other.lokole.ca", "mireille"),
        *things(place, other, "other.lokole.ca", "joseph"),
    ]
    place.person("mireille", language="en")
    own = place.letter("mireille", attachments=(Attachment("b.png", b"\x89PNG", "image/png"),))
    browser = place.browser().open(f"{prefix}/user/login")
    token = browser.token()
    browser.post(
        f"{prefix}/user/login",
        {"csrf_token": token, "name": f"mireille@{DOMAIN}", "password": PASSWORD},
    )
    assert browser.open(f"{prefix}/email/{own}").status == 200
    token = browser.open(f"{prefix}/email/inbox").token()
    asked = 0
    before = place.fingerprint()
    for no in theirs:
        requests: list[tuple[str, str, dict[str, str]]] = []
        with place.app.test_request_context():
            for rule in place.app.url_map.iter_rules():
                if rule.endpoint in ADMIN or not {"no", "n"} & set(rule.arguments):
                    continue
                values: dict[str, Any] = {"no": no, "n": 0}
                address = place.app.url_map.bind("localhost").build(
                    rule.endpoint, {name: values.get(name, "2") for name in rule.arguments}
                )
                requests += [(method, address, {}) for method in (rule.methods or ()) if method in ("GET", "POST")]
        requests += [
            (method, prefix + address, more | {word: str(no)})
            for word, rows in WORDS.items()
            for method, address, more in rows
        ]
        for method, address, form in requests:
            if method == "GET":
                browser.open(address + "?" + "&".join(f"{name}={value}" for name, value in form.items()))
            else:
                browser.post(address, form | {"csrf_token": token})
            refused = (404,) if place.settings.writing or "/email/new" not in address else (405,)
            assert browser.status in refused, (method, address, form, browser.status)
            assert "Secret" not in browser.text
            asked += 1
    assert asked > 200
    assert place.fingerprint() == before
    for word in ("secret", "written", "joseph"):
        browser.open(f"{prefix}/email/search?query={word}")
        assert browser.status == 200
        assert not [href for _, href in browser.links if href.removeprefix(f"{prefix}/email/").isdigit()], word


def test_a_file_that_somebody_else_put_into_a_form_cannot_be_sent_along(box: Box) -> None:
    box.person("joseph")
    secret = box.letter("joseph", "Plans", attachments=(Attachment("plans.txt", b"secret", "text/plain"),))
    joseph = box.enter("joseph").open(f"/email/new?action=forward&uid={secret}")
    (file,) = [value for form in joseph._read().forms for name, value in form.fields if name == "file"]
    mireille = box.signed_in("mireille").open("/email/new")
    form = {"csrf_token": mireille.token(), "nonce": "1" * 32, "to": "x@example.org", "do": "send", "subject": "s"}
    before = box.fingerprint()
    for token in (file, file[:-2] + "xx", "", "x.y"):
        mireille.post("/email/new", form | {"file": token})
        assert mireille.status == 400, token
    assert box.fingerprint() == before


def test_the_pages_of_a_box_know_no_other_domain(make_box: Callable[..., Box]) -> None:
    box = make_box()
    other = neighbour(box)
    things(box, other, "other.lokole.ca", "joseph")
    browser = box.browser().open("/user/login")
    for name in ("joseph@other.lokole.ca", "joseph"):
        browser.open("/user/login").press("Enter", name=name, password=PASSWORD)
        assert browser.status == 403
