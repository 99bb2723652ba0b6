"""How the box is and how it works: health in one sentence each, limits and cost, the place, storage, its place at a server, the first visit."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from lokole.device import run_sync
from lokole.mail.errors import BadPackage, LokoleError, NotFound, Permanent, Refused, Temporary
from lokole.mailbox import audit, options, quarantine, schema, visits
from lokole.mailbox.allowances import BoxLimits, box_limits
from lokole.mailbox.visits import End
from lokole.webmail import setting_up
from lokole.webmail.pages import sentence
from lokole.webmail.parts import Room
from lokole.webmail.views.admin import kept_apart
from tests.corpus import REPOSITORY
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, Box

LARGE = Room(free=10**10, total=3 * 10**10, database=5_000_000, files=70_000_000)


def visit(box: Box, result: str = "ok", **values: int) -> None:
    with box.ports.database.write() as tx:
        no = visits.start_visit(tx, box.tenant, box.clock[0])
        visits.end_visit(tx, box.tenant, no, box.clock[0], result=result, **values)


def state(box: Box, state: str) -> None:
    with box.ports.database.write() as tx:
        tx.execute(update(schema.tenant).where(schema.tenant.c.no == box.tenant).values(state=state))


def chief(box: Box, address: str = "/admin") -> Browser:
    return box.signed_in("chief", is_admin=True).open(address)


# --- health --------------------------------------------------------------------------------------


def test_nights_without_contact_are_counted_and_said_with_what_to_do(box: Box) -> None:
    browser = chief(box)
    visit(box)
    box.later(hours=49)
    visit(box, "no-connection")
    assert "No network." in browser.open("/admin").text
    box.later(hours=24)
    assert "No contact for 3 nights. Look whether the modem has power" in browser.open("/admin").text
    visit(box)
    assert "All good." in browser.open("/admin").text


def test_every_end_of_an_exchange_has_a_sentence_of_its_own(box: Box) -> None:
    with box.app.test_request_context():
        unsaid = [end for end in End if sentence(end) == sentence("a word of the server")]
    assert unsaid == []


@pytest.mark.parametrize(
    "error", [Temporary("no line"), BadPackage(), NotFound("gone"), Permanent("no"), LokoleError("else")], ids=repr
)
def test_every_word_that_an_exchange_ends_with_is_one_of_these(error: LokoleError) -> None:
    assert run_sync._word(error) in list(End)


def test_the_first_failed_night_says_what_to_do_where_a_hand_can_help(box: Box) -> None:
    visit(box)
    visit(box, End.NO_CONNECTION)
    browser = chief(box)
    assert "No network. Your letters stay in the bag. Look whether the modem has power and the SIM card" in browser.text
    visit(box, End.REVOKED)
    browser.open("/admin")
    assert "The server does not know this box any more." in browser.text
    assert "Look whether the modem" not in browser.text


def test_a_failed_night_is_forgotten_when_a_carrier_has_come(box: Box) -> None:
    visit(box, End.NO_CONNECTION)
    box.signed_in("mireille").open("/email/new").press("send", to="a@example.com", body="x")
    box.person("chief", is_admin=True)
    box.later(hours=60)
    browser, writer = box.enter("chief"), box.enter("mireille")
    assert "No contact for 2 nights." in browser.open("/admin").text
    assert "No network." in writer.open("/email/outbox").text
    with box.ports.database.write() as tx:
        visits.note_carrier(tx, box.tenant, box.clock[0])
    assert "All good." in browser.open("/admin").text
    for address in ("/email/outbox", "/email/inbox"):
        assert "No network." not in writer.open(address).text
    box.later(minutes=5)
    visit(box, End.NO_CONNECTION)
    assert "No network." in browser.open("/admin").text


def test_the_first_exchange_is_said_while_it_is_under_way(box: Box) -> None:
    with box.ports.database.write() as tx:
        visits.start_visit(tx, box.tenant, box.clock[0])
    browser = chief(box)
    assert "No exchange yet." not in browser.text
    assert browser.text.count("It is under way.") == 2


def test_a_box_that_never_got_through_says_no_contact_too(box: Box) -> None:
    browser = chief(box)
    visit(box, "no-connection")
    box.later(hours=51)
    visit(box, "no-connection")
    assert "No contact for 2 nights." in browser.open("/admin").text


def test_what_both_ends_hold_is_said_in_one_sentence(box: Box) -> None:
    browser = chief(box)
    assert "in 30 days" not in browser.text
    for missing in (0, 3):
        with box.ports.database.write() as tx:
            options.set_option(tx, box.tenant, "held_together", {"missing": missing, "letters": 1284, "at": 0})
        assert f"should have, in 30 days: 1284. Missing: {missing}." in browser.open("/admin").text


def test_a_nearly_full_disk_is_said(make_box: Callable[..., Box]) -> None:
    rooms = [Room(free=150_000_000, total=32 * 10**9)]
    box = make_box(room=lambda _whole: rooms[0])
    visit(box)
    browser = chief(box)
    assert "The disk is nearly full: 150 MB are free. Letters are still taken in." in browser.text
    assert browser.follow("See what takes the room").address == "/admin/storage"
    rooms[0] = Room(free=10**9, total=32 * 10**9)
    assert "nearly full" in browser.open("/admin").text
    rooms[0] = Room(free=90_000_000, total=120_000_000)  # a small disk, most of it free
    assert "All good." in browser.open("/admin").text


def test_a_clock_before_the_last_exchange_is_doubted(box: Box) -> None:
    visit(box)
    box.later(minutes=-4)
    browser = chief(box)
    assert "clock" not in browser.text
    box.later(days=-30)
    browser = box.enter("chief").open("/admin")
    assert "The clock of the box may be wrong. It says Saturday 24 October" in browser.text


def test_a_box_without_a_place_at_a_server_says_so(make_box: Callable[..., Box]) -> None:
    box = make_box(register=lambda code, server: ("d", "x.example.org"))
    state(box, "waiting")
    browser = chief(box)
    assert "This box is not registered yet. Letters to people here arrive." in browser.text
    assert browser.text.count("The first exchange comes when the box is registered.") == 2
    for path in ("/admin", "/admin/schedule", "/email/new", "/email/inbox"):
        assert "tonight" not in browser.open(path).text.lower().replace("tonight in the bag", ""), path
    browser.open("/admin")
    assert browser.follow("Register it").address == "/admin/registration"


def test_the_worst_comes_first_and_everything_is_said(make_box: Callable[..., Box]) -> None:
    box = make_box(room=lambda _whole: Room(free=1000, total=10**10))
    visit(box, "no-connection")
    with box.ports.database.write() as tx:
        quarantine.quarantine(tx, tenant=box.tenant, kind="record", source="s", reason="r", raw_ref=None, key="k",
                              now=box.clock[0])  # fmt: skip
    text = chief(box).text
    places = [text.index(said) for said in ("No network.", "nearly full", "1 thing was kept apart.")]
    assert places == sorted(places)
    assert "All good." not in text


# --- kept apart ----------------------------------------------------------------------------------


def test_bytes_kept_apart_come_as_a_file_to_administrators_only(box: Box) -> None:
    box.ports.blobs.put(f"{DOMAIN}/bad-1", iter([b"<script>x</script>"]))
    box.ports.blobs.put("another.example.org/bad-2", iter([b"not yours"]))
    with box.ports.database.write() as tx:
        for key, ref in (("a", f"{DOMAIN}/bad-1"), ("b", "another.example.org/bad-2")):
            quarantine.quarantine(tx, tenant=box.tenant, kind="record", source="s", reason="r", raw_ref=ref, key=key,
                                  now=box.clock[0])  # fmt: skip
    browser = chief(box, "/admin/quarantine")
    token, address = {"csrf_token": browser.token()}, "/admin/quarantine/{}/raw"
    assert browser.html.count("Its bytes, as a file") == 2
    browser.post(address.format(1), token)
    assert browser.response.get_data() == b"<script>x</script>"
    headers = browser.response.headers
    assert headers["Content-Type"].startswith("application/octet-stream")
    assert headers["Content-Disposition"] == 'attachment; filename="kept-apart-record-1.bin"'
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert browser.post(address.format(2), token).status == 404
    with box.ports.database.read() as tx:
        taken = [
            (act.actor, act.subject, act.detail) for act in audit.last_acts(tx, box.tenant) if act.act == "took-apart"
        ]
    assert taken == [("chief", "1", "record")], "who took it is written down, and what was not given is not"
    mireille = box.signed_in("mireille")
    assert mireille.post(address.format(1), {"csrf_token": mireille.token()}).status == 403


def test_what_was_kept_apart_is_said_in_words_and_its_reason_is_for_the_server(box: Box) -> None:
    with box.ports.database.write() as tx:
        for kind in (*kept_apart.WHAT, "of a later version"):
            quarantine.quarantine(tx, tenant=box.tenant, kind=kind, source="s", reason="a KeyError", raw_ref=None,
                                  key=kind, now=box.clock[0])  # fmt: skip
    browser = box.signed_in("jean", "fr", is_admin=True).open("/admin/quarantine")
    items = re.findall(r"<li class=item><p><b>(.*?)</b></p>(.*?)</p>", browser.html, re.DOTALL)
    assert len(items) == len(kept_apart.WHAT) + 1
    for what, rest in items:
        assert "KeyError" not in what
        assert re.search(r"<span lang=en dir=ltr>a KeyError \(", rest)
    assert "Quelque chose n’a pas pu être lu." in [what for what, _rest in items]


def test_every_kind_that_the_box_keeps_apart_has_its_words() -> None:
    kinds = set()
    for file in (REPOSITORY / "src/lokole/device").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = [one.value for one in node.keywords if one.arg == "kind"] if name == "quarantine" else node.args[:1]
            if name in ("quarantine", "keep_apart"):
                kinds |= {one.value for one in given if isinstance(one, ast.Constant)}
    assert {"package", "record", "restored"} <= kinds
    assert kinds <= set(kept_apart.WHAT)


# --- limits and cost -----------------------------------------------------------------------------


def test_limits_are_kept_shown_and_hold(box: Box) -> None:
    browser = chief(box).follow("Limits and cost")
    browser.press(
        "Keep this", letter_mb="0,05", most_files="1", letters_a_day="1", night_mb="3", cost_per_mb="120", currency="FC"
    )
    assert "It is kept." in browser.text
    with box.ports.database.read() as tx:
        assert box_limits(tx, box.tenant) == BoxLimits(50_000, 1, 1, 3_000_000)
        assert [one.act for one in audit.last_acts(tx, box.tenant)] == ["price", "limits"]
        assert options.get_option(tx, box.tenant, "cost_per_mb") == 120
    fields = dict(browser.fields("/admin/limits").fields)
    assert (fields["letter_mb"], fields["cost_per_mb"]) == ("0.05", "120")
    writer = box.signed_in("mireille").open("/email/new")
    writer.press("send", to="a@example.com", body="x", files=[("f", b"x" * 60_000, "text/plain")])
    assert "Letters into the world carry up to 50 kB here. Take fewer or smaller files." in writer.text
    writer.open("/email/new").press(
        "send", to="a@example.com", body="x", files=[("f", b"x", "text/plain"), ("g", b"y", "text/plain")]
    )
    assert "Letters into the world carry up to 1 files here." in writer.text
    assert "It is in the bag." in writer.open("/email/new").press("send", to="a@example.com", body="x").text
    writer.open("/email/new").press("send", to="a@example.com", body="x")
    assert "You have sent 1 letters into the world today. Keep this one and send it tomorrow." in writer.text


def test_wrong_limits_are_named_and_nothing_is_kept(box: Box) -> None:
    browser = chief(box, "/admin/limits")
    for field, value in (("letter_mb", "31"), ("most_files", "many"), ("letters_a_day", "0"),
                         ("letters_a_day", "3.5"), ("night_mb", "inf"),
                         ("cost_per_mb", "nan")):  # fmt: skip
        browser.press("Keep this", None, **{field: value})
        assert (browser.status, "Write a " in browser.text) == (400, True), field
        assert dict(browser.fields("/admin/limits").fields)[field] == value
        browser.open("/admin/limits")
    with box.ports.database.read() as tx:
        assert audit.last_acts(tx, box.tenant) == []


def test_a_limit_may_be_written_with_its_unit(box: Box) -> None:
    browser = chief(box, "/admin/limits").press("Keep this", letter_mb="2,5 MB", night_mb="20 Mo", cost_per_mb="330 FC")
    assert "It is kept." in browser.text
    fields = dict(browser.fields("/admin/limits").fields)
    assert (fields["letter_mb"], fields["night_mb"], fields["cost_per_mb"]) == ("2.5", "20", "330")


def test_nights_are_shown_in_bytes_and_in_money(box: Box) -> None:
    visit(box, bytes_up=2_000_000, bytes_down=750_000)
    browser = chief(box)
    assert "2.8 MB" in browser.text
    browser.open("/admin/limits").press("Keep this", cost_per_mb="120", currency="FC")
    assert "330 FC 2.8 MB" in browser.open("/admin").text
    assert "dotted line" not in browser.text
    assert "Will cost about" not in browser.text
    writer = box.signed_in("mireille").open("/email/new").press("send", to="a@example.com", body="")
    with box.ports.database.write() as tx:
        tx.execute(update(schema.waiting).values(state="packed"))
    assert "In the bag 1 letter Will cost less than 1 FC" in browser.open("/admin").text
    with box.ports.database.write() as tx:
        tx.execute(delete(schema.waiting))
    writer.open("/email/new").press("send", to="a@example.com", body="x" * 500_000)
    browser.open("/admin/limits").press("Keep this", night_mb="3")
    browser.open("/admin")
    assert "In the bag 1 letter Will cost about 60 FC" in browser.text
    assert "The dotted line is the limit for what leaves in one night, 360 FC." in browser.text


# --- the place -----------------------------------------------------------------------------------


def test_the_place_is_named_and_says_whom_to_ask(box: Box) -> None:
    browser = chief(box).follow("The place and its languages")
    browser.press("Keep this", place=" Bolenge  <b> ", contact="Dieudonné\nat the school")
    assert "It is kept." in browser.text
    assert "This is the Lokole of Bolenge <b>." in box.browser().open("/").text
    assert "Whom to ask Dieudonné at the school" in box.browser().open("/about").text


def test_only_chosen_languages_are_offered(box: Box) -> None:
    browser = chief(box, "/admin/place")
    assert "Français" in box.browser().open("/").text
    browser.press("Keep this", languages=[])
    assert (browser.status, "At least one language, please." in browser.text) == (400, True)
    assert re.findall(r"name=(\w+) value=\w+[^>]* aria-invalid=true autofocus", browser.html) == ["languages"]
    browser.open("/admin/place").press("Keep this", languages=["en", "sw"], language="fr")
    assert (browser.status, "This language is not among those that are ticked." in browser.text) == (400, True)
    assert re.findall(r"name=(\w+) value=\w+[^>]* aria-invalid=true autofocus", browser.html) == ["language"]
    browser.open("/admin/place").press("Keep this", languages=["fr"], language="fr")
    fresh = box.browser("en").open("/")
    assert "lang=fr" in fresh.html
    assert "English" not in fresh.text


def test_without_a_server_what_is_about_one_is_hidden(make_box: Callable[..., Box]) -> None:
    box = make_box(sync_now=None, next_departure=None)
    browser = chief(box)
    assert browser.status == 200
    assert "All good." in browser.text
    for hidden in ("Send now", "Change the hours", "Last nights", "Place at the server", "Limits and cost"):
        assert hidden not in browser.text
    assert browser.open("/admin/schedule").status == 404
    assert browser.open("/admin/registration").status == 404


# --- storage -------------------------------------------------------------------------------------


def test_storage_says_what_takes_the_room_and_lets_go(make_box: Callable[..., Box]) -> None:
    asked: list[object] = []

    def room(whole: bool) -> Room:
        asked.append(whole)
        return LARGE

    def tidy() -> int:
        asked.append("tidy")
        return 3

    box = make_box(room=room, tidy=tidy)
    visit(box)
    browser = chief(box)
    assert asked == [False]  # the overview weighs nothing
    browser.follow("What takes the room")
    for said in ("5 MB", "70 MB", "10 GB", "0 letters"):
        assert said in browser.text
    browser.press("Let go of it now")
    assert asked == [False, True, "tidy", True]
    assert "What nobody needs is gone." in browser.text


# --- a place at a server -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "sentence", "field"),
    [
        (
            Refused("no", code="not-found"),
            400,
            "The server does not know this code, or another box has used it.",
            "code",
        ),
        (Refused("no", code="key"), 409, "The server knows this box under another name already.", ""),
        (Refused("no", code="registered"), 409, "This box is registered already.", ""),
        (Refused("no", code="url"), 400, "Type the address of the server, which begins with https://.", "server"),
        (Refused("no", code="http-400"), 400, "The server did not take this code.", "code"),
        (Temporary("the server did not answer in time"), 503, "The server could not be reached.", "server"),
        (
            Temporary("the server's certificate is not valid at this time; is the clock of the box wrong?"),
            503,
            "The clock of the box may be wrong: it says Monday 23 November",
            "",
        ),
        (
            Temporary("the server's certificate is not the one of its name"),
            400,
            "Another machine answers at this address.",
            "server",
        ),
        (BadPackage("a page of somebody else"), 400, "There is no Lokole server at this address.", "server"),
    ],
)
def test_a_registration_that_fails_says_what_to_do_and_keeps_the_code(
    make_box: Callable[..., Box], error: LokoleError, status: int, sentence: str, field: str
) -> None:
    def fails(_code: str, _server: str | None) -> tuple[str, str]:
        raise error

    box = make_box(register=fails)
    state(box, "waiting")
    browser = chief(box, "/admin/registration").press("Register this box", code="ab-cd", server="https://x.example")
    assert (browser.status, sentence in browser.text) == (status, True), browser.text
    fields = dict(browser.fields("/admin/registration").fields)
    assert (fields["code"], fields["server"]) == ("ab-cd", "https://x.example")
    assert re.findall(r"<input id=(\w+)[^>]* aria-invalid=true autofocus", browser.html) == ([field] if field else [])
    browser.press("Register this box", code=" ")
    assert (browser.status, "Type the code that you were given." in browser.text) == (400, True)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("mail.example.org", "https://mail.example.org"),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080"),
        (" ", None),
    ],
)
def test_an_address_without_https_is_completed(make_box: Callable[..., Box], typed: str, asked: str | None) -> None:
    given: list[str | None] = []

    def register(_code: str, server: str | None) -> tuple[str, str]:
        given.append(server)
        raise Temporary("nobody")

    box = make_box(register=register)
    state(box, "waiting")
    browser = chief(box, "/admin/registration").press("Register this box", code="abcd", server=typed)
    assert given == [asked]
    assert dict(browser.fields("/admin/registration").fields)["server"] == typed


def test_a_server_that_nobody_typed_is_no_wrong_field(make_box: Callable[..., Box]) -> None:
    def fails(_code: str, _server: str | None) -> tuple[str, str]:
        raise Temporary("nobody")

    box = make_box(register=fails, server_url=lambda: "https://mail.example.org")
    state(box, "waiting")
    browser = chief(box, "/admin/registration").press("Register this box", code="abcd")
    assert "The server could not be reached." in browser.text
    assert "aria-invalid" not in browser.html


def test_a_registered_box_goes_on_under_its_new_domain_at_once(make_box: Callable[..., Box]) -> None:
    given: list[tuple[str, str | None]] = []
    boxes: list[Box] = []

    def register(code: str, server: str | None) -> tuple[str, str]:
        given.append((code, server))
        with boxes[0].ports.database.write() as tx:
            values = {"state": "claimed", "domain": "new.example.org", "device_id": "device-2"}
            tx.execute(update(schema.tenant).where(schema.tenant.c.no == boxes[0].tenant).values(values))
        return "device-2", "new.example.org"

    boxes.append(make_box(register=register, server_url=lambda: "https://mail.example.org"))
    box = boxes[0]
    state(box, "waiting")
    browser = chief(box, "/admin/registration")
    assert "Server: https://mail.example.org" in browser.text
    browser.press("Register this box", code=" ab cd ")
    assert given == [("abcd", None)]
    assert "This box is registered: its addresses end in @new.example.org." in browser.text
    assert "name@new.example.org" in browser.open("/admin/people/new").text
    writer = (
        box.browser().open("/user/login").press("Enter", name="chief@new.example.org", password="three small words")
    )
    assert writer.address == "/email/inbox"
    with box.ports.database.read() as tx:
        assert [(one.act, one.subject) for one in audit.last_acts(tx, box.tenant)] == [
            ("registered", "new.example.org")
        ]


# --- the first visit -----------------------------------------------------------------------------


def new_box(make_box: Callable[..., Box], **ports: object) -> Box:
    box = make_box(**{"register": lambda code, server: ("device-1", DOMAIN), **ports})
    state(box, "waiting")
    with box.ports.database.write() as tx:
        options.set_option(tx, box.tenant, setting_up.OPTION, setting_up.STEPS[0])
    return box


def test_the_language_for_newcomers_is_at_first_that_of_whoever_sets_the_box_up(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    box.signed_in("chief", "sw", is_admin=True)
    browser = box.enter("chief", "sw").open("/admin/first")
    assert ("language", "sw") in browser.fields("/admin/first").fields


def test_the_first_administrator_is_led_through_and_never_again(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    browser = box.signed_in("chief", is_admin=True)
    assert browser.address == "/admin/first"
    assert "Setting up the box, step 1 of 4" in browser.text
    assert ("language", "en") in browser.fields("/admin/first").fields
    browser.press("Keep this", place="Bolenge")
    assert "step 2 of 4" in browser.text
    browser.press("Keep these hours", hours="99")
    assert (browser.status, "Write hours from 0 to 23" in browser.text) == (400, True)
    browser.press("Keep these hours", hours="3")
    assert "step 3 of 4" in browser.text
    # the power is gone: it goes on where it was
    again = box.enter("chief")
    assert "step 3 of 4" in again.text
    again.press("Later")
    assert "step 4 of 4" in again.text
    again.press("Keep this", most_files="0")
    assert again.status == 400
    again.press("Keep this", most_files="3")
    assert (again.address, "What is still to be done stands here." in again.text) == ("/admin", True)
    assert "The box is ready." not in again.text
    assert "This box is not registered yet." in again.text
    assert "This is the Lokole of Bolenge." in box.browser().open("/").text
    with box.ports.database.read() as tx:
        assert options.get_option(tx, box.tenant, "schedule") == {"hours": [3], "days": None}
        assert box_limits(tx, box.tenant).files == 3
    assert again.open("/admin/first").address == "/admin"
    again.post("/admin/first", {"csrf_token": again.open("/admin/limits").token(), "step": "place", "place": "x"})
    assert again.address == "/admin"
    assert "This is the Lokole of Bolenge." in box.browser().open("/").text
    assert box.enter("chief").address == "/email/inbox"


def test_an_old_form_of_the_first_visit_changes_nothing(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    browser = box.signed_in("chief", is_admin=True)
    form = dict(browser.fields("/admin/first").fields)
    browser.press("Keep this", place="Bolenge")
    browser.post("/admin/first", form | {"place": "Elsewhere"})
    assert "step 2 of 4" in browser.text
    browser.post("/admin/first", form | {"later": "yes"})
    assert "step 2 of 4" in browser.text
    assert "Bolenge" in box.browser().open("/").text


def test_the_code_is_typed_during_the_first_visit(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    browser = box.signed_in("chief", is_admin=True)
    for _ in range(2):
        browser.press("Later")
    browser.press("Register this box", code="")
    assert "Type the code that you were given." in browser.text
    browser.press("Register this box", code="abcd")
    assert "step 4 of 4" in browser.text


def test_what_was_typed_before_later_is_kept(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    browser = box.signed_in("chief", is_admin=True).press("Later", place="Bolenge", contact="Ruth\r\nat the school")
    assert "step 2 of 4" in browser.text
    browser.press("Later", hours="99")
    assert (browser.status, "Write hours from 0 to 23" in browser.text) == (400, True)
    browser.press("Later", hours="4").press("Later", code="abcd")
    assert "step 4 of 4" in browser.text
    browser.press("Later", most_files="3")
    assert "What is still to be done stands here." in browser.text
    with box.ports.database.read() as tx:
        assert options.get_option(tx, box.tenant, "schedule") == {"hours": [4], "days": None}
        assert box_limits(tx, box.tenant).files == 3
        assert [one.act for one in audit.last_acts(tx, box.tenant)] == ["set-up", "limits", "hours", "place"]
    assert "Whom to ask Ruth at the school" in box.browser().open("/about").text


def test_later_with_nothing_typed_changes_nothing(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    browser = box.signed_in("chief", "fr", is_admin=True)
    for _ in range(4):
        browser.press("Plus tard")
    with box.ports.database.read() as tx:
        assert [one.act for one in audit.last_acts(tx, box.tenant)] == ["set-up"]
    assert ("language", "fr") in browser.open("/admin/place").fields("/admin/place").fields, "as it was proposed before"


def test_one_may_go_back_to_an_earlier_step(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    browser = box.signed_in("chief", is_admin=True)
    assert "All of it can be changed later" in browser.text
    assert "Back" not in browser.text
    browser.press("Keep this", place="Bolenge").press("Keep these hours", hours="3")
    assert "step 3 of 4" in browser.text
    browser.press("Back").press("Back", hours="5")
    assert "step 1 of 4" in browser.text
    assert dict(browser.fields("/admin/first").fields)["place"] == "Bolenge"
    browser.press("Keep this", place="Boende")
    assert dict(browser.fields("/admin/first").fields)["hours"] == "5"
    assert "Name of the place Boende" in browser.text


def test_each_step_says_what_the_ones_before_it_have_done(make_box: Callable[..., Box]) -> None:
    def register(code: str, server: str | None) -> tuple[str, str]:
        state(box, "claimed")
        return "device-2", "new.example.org"

    box = new_box(make_box, register=register)
    browser = box.signed_in("chief", is_admin=True).press("Later").press("Keep these hours", hours="3", days=["0"])
    assert "Name of the place Later Hours of the exchange On Monday: 03:00." in browser.text
    browser.press("Register this box", code="abcd", server="mail.example.org")
    assert "This box is registered: its addresses end in @new.example.org." in browser.text
    browser.press("Back")
    assert "step 2 of 4" in browser.text, "what cannot be done twice is passed over"
    browser.press("Later").press("Keep this")
    assert "The box is ready." in browser.text


def test_a_box_without_a_server_has_two_steps_to_set_up(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box, sync_now=None)
    box.app.extensions["lokole"] = replace(
        box.app.extensions["lokole"], ports=replace(box.app.extensions["lokole"].ports, register=None)
    )
    browser = box.signed_in("chief", is_admin=True).press("Later")
    assert "step 4 of 4" in browser.text
    browser.press("Later")
    assert "The box is ready." in browser.text


def test_others_are_not_led_through_the_set_up(make_box: Callable[..., Box]) -> None:
    box = new_box(make_box)
    browser = box.signed_in("mireille")
    assert browser.address == "/email/inbox"
    assert browser.open("/admin/first").status == 403
