"""An administrator looks after people: new ones, a list of them, what they may, one out of two, leaving, and the log of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from lokole.mailbox import accounts, audit, standing
from tests.unit.webmail.conftest import PASSWORD, Box

SLIP = re.compile(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b")


def number(box: Box, name: str) -> int:
    with box.ports.database.read() as tx:
        found = accounts.find_account(tx, box.tenant, name)
        assert found is not None
        return found.no


def acts(box: Box) -> list[tuple[str, str, str]]:
    with box.ports.database.read() as tx:
        return [(one.actor, one.act, one.subject) for one in audit.last_acts(tx, box.tenant)]


def test_a_new_person_gets_a_slip_and_chooses_their_own_password(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/people").follow("A new person")
    browser.press("Make this person", name="Mireille@bolenge.lokole.ca", display_name="Mireille Ilunga", language="fr")
    slip = SLIP.search(browser.text)
    assert slip is not None
    assert "If you load this page again" not in browser.text  # the name is taken by then, and the slip counts
    assert "mireille@bolenge.lokole.ca" in browser.text
    assert browser.response.headers["Cache-Control"] == "no-store"
    entered = box.browser().open("/user/login").press("Enter", name="mireille", password=slip[0])
    assert entered.address == "/user/password/change"
    assert acts(box) == [("chief", "made", "mireille")]
    assert "Mireille Ilunga" in browser.open("/admin/people").text


def test_whoever_an_administrator_made_finds_the_welcome_letter_in_their_language(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/people/new")
    browser.press("Make this person", name="mireille", language="fr")
    slip = SLIP.search(browser.text)
    assert slip is not None
    entered = box.browser("fr").open("/user/login").press("Entrer", name="mireille", password=slip[0])
    entered.press("Mettre le nouveau mot de passe", old=slip[0], new="my own three words", again="my own three words")
    assert "Bienvenue dans Lokole" in entered.open("/email/inbox").text


def test_a_slip_speaks_the_language_of_whoever_gets_it(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/people/new")
    browser.press("Make this person", name="mireille", language="fr")
    assert "It is shown only now, and to you alone" in browser.text
    assert "choisissez tout de suite votre propre façon d’entrer. Il est valable 7 jours." in browser.text
    assert "<div class=paper-slip lang=fr>" in browser.html
    browser.open(f"/admin/people/{number(box, 'mireille')}/password").press("Make a one-time password")
    assert "<div class=paper-slip lang=fr>" in browser.html


def test_a_wrong_new_name_is_said_and_what_was_typed_stays(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True)
    for name, sentence in (
        ("chief", "Somebody here has this name already."),
        ("news", "This name is kept for Lokole itself."),
        ("é à", "Write the name with the letters a to z"),
        ("", "Write the name with the letters a to z"),
    ):
        browser.open("/admin/people/new").press("Make this person", name=name, display_name="Full Name")
        assert browser.status == 400
        assert sentence in browser.text
        assert ("display_name", "Full Name") in browser.fields("/admin/people/new").fields
    assert acts(box) == []


def test_a_person_who_was_made_is_said_when_the_form_comes_again_and_where_a_new_slip_is(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True).open("/admin/people/new")
    chief.press("Make this person", name="mireille")
    (old,) = SLIP.findall(chief.text)
    chief.open("/admin/people/new").press("Make this person", name="Mireille")
    assert chief.status == 400
    assert "This person is here already, and nobody has used their slip yet." in chief.text
    chief.follow("Make mireille a new slip").press("Make a one-time password")
    (new,) = SLIP.findall(chief.text)
    assert new != old
    box.browser().open("/user/login").press("Enter", name="mireille", password=new)
    chief.open("/admin/people/new").press("Make this person", name="mireille")
    assert "Somebody here has this name already." in chief.text
    assert "a new slip" not in chief.text


def test_every_line_of_a_list_is_answered(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/people/list")
    browser.press(
        "Make these people",
        lines="name,full name,language\nmireille, Mireille Ilunga, fr\nchief\nà côté\n\njoseph;Joseph;xx\neve\na,b,c,d",
    )
    assert "Made: 2. Here already: 1. Wrong: 3." in browser.text
    assert "Line 3: chief Somebody here has this name already." in browser.text
    assert "Line 4: à côté Write the name with the letters a to z" in browser.text
    assert "Line 6: joseph;Joseph;xx This language is not spoken here." in browser.text
    assert "Line 8: a,b,c,d A line has a name, a full name and a language." in browser.text
    assert len(set(SLIP.findall(browser.text))) == 2
    outside = re.sub(r"<details class=cover>.*?</details>", "", browser.html, flags=re.DOTALL)
    assert SLIP.findall(outside) == [], "whoever looks on sees no password"
    # the wrong lines stand there to be put right, and only they
    browser.press("Make these people")
    assert "Made: 0. Here already: 0. Wrong: 3." in browser.text
    browser.press("Make these people", lines="a.cote, À Côté\njoseph;Joseph;fr")
    assert "Made: 2. Here already: 0. Wrong: 0." in browser.text
    # the same list once more makes nobody
    browser.open("/admin/people/list").press("Make these people", lines="mireille\neve")
    assert "Made: 0. Here already: 2. Wrong: 0." in browser.text


def test_slips_of_a_list_that_are_lost_are_made_anew_in_one_step(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True).open("/admin/people/list")
    chief.press("Make these people", lines="mireille, Mireille Ilunga\njoseph\nà côté")
    old = SLIP.findall(chief.text)
    assert "before you do anything else here" in chief.text
    chief.press("Make these people", lines="a.cote")
    # whoever was made before the wrong line was put right is not gone: their slips may be
    assert "Nobody has used the slips of these people yet: mireille, joseph." in chief.text
    assert SLIP.findall(chief.text) not in old
    box.browser().open("/user/login").press("Enter", name="joseph", password=old[1])
    chief.press("New slips for these people")
    (new,) = SLIP.findall(chief.text)
    assert "mireille@bolenge.lokole.ca" in chief.text
    assert "joseph" not in chief.text, "who came in keeps what they chose"
    assert chief.response.headers["Cache-Control"] == "no-store"
    assert acts(box)[0] == ("chief", "slip", "mireille")
    assert new not in box.fingerprint()
    assert box.browser().open("/user/login").press("Enter", name="mireille", password=old[0]).status == 403
    entered = box.browser().open("/user/login").press("Enter", name="mireille", password=new)
    assert entered.address == "/user/password/change"
    # a list that is sent again, as a reload does, offers them as well
    chief.open("/admin/people/list").press("Make these people", lines="mireille\njoseph\na.cote\nchief")
    assert "Made: 0. Here already: 4. Wrong: 0." in chief.text
    assert "Line 3: a.cote This person is here already, and nobody has used their slip yet." in chief.text
    assert "Line 4: chief Somebody here has this name already." in chief.text
    assert "Nobody has used the slips of these people yet: a.cote." in chief.text


def test_the_slips_of_a_list_say_where_and_how_long_in_the_language_of_each(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True).open("/admin/people/list")
    chief.press("Make these people", lines="mireille, , français\njoseph, , en")
    assert chief.html.count("http://localhost/user/login") == 2
    assert "It is good for 7 days." in chief.text
    assert "Il est valable 7 jours." in chief.text
    assert "<div class=paper-slip lang=fr>" in chief.html


def test_languages_of_a_list_are_names_or_codes_and_without_one_the_box_s_own(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True).open("/admin/place")
    chief.press("Keep this", languages=["en", "fr", "sw"], language="sw")
    chief.open("/admin/people/list")
    assert "mireille, Mireille Ilunga, Kiswahili" in chief.text
    chief.press(
        "Make these people",
        lines="ada\nben,,FR\ncleo,,Francais\ndora,,french\neve,,swahili\nfay,,Kiswahili\nguy,,lingala",
    )
    assert "Made: 6. Here already: 0. Wrong: 1." in chief.text
    assert "Write one of: English, Français, Kiswahili." in chief.text
    with box.ports.database.read() as tx:
        spoken = {one.name: one.language for one in accounts.list_accounts(tx, box.tenant)}
    del spoken["chief"]
    assert spoken == {"ada": "sw", "ben": "fr", "cleo": "fr", "dora": "fr", "eve": "sw", "fay": "sw"}


def test_a_heading_is_no_person_and_is_said(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True)
    for n, heading in enumerate(
        ("Name, full name, language", "NOM;Nom complet;Langue", "Kombo, kombo mobimba", "Jina", "Nom dans Lokole")
    ):
        chief.open("/admin/people/list").press("Make these people", lines=f"{heading}\np{n}")
        assert "Made: 1. Here already: 0. Wrong: 0." in chief.text
        assert f"Line 1: {heading} This is the heading." in chief.text
    chief.open("/admin/people/list").press("Make these people", lines="Name")
    assert "There is no line in the list." in chief.text


def test_lines_of_a_file_are_counted_as_the_file_counts_them(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True).open("/admin/people/list")
    chief.press("Make these people", files=[("list.csv", b"mireille\r\n\xe0 c\xf4t\xe9\r\n", "text/csv")])
    assert "Line 2: à côté" in chief.text


def test_a_picture_is_no_list(box: Box) -> None:
    chief = box.signed_in("chief", is_admin=True).open("/admin/people/list")
    before = box.fingerprint()
    for content in (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\n\x01a" * 100_000,
        b"PK\x03\x04",
    ):
        chief.press("Make these people", files=[("photo", content, "text/csv")])
        assert (chief.status, "This file is not a list." in chief.text) == (400, True)
    assert box.fingerprint() == before
    chief.press("Make these people", files=[("list.txt", "joseph\tJoseph Nkéma".encode("utf-16"), "text/plain")])
    assert "Made: 1." in chief.text


def test_a_list_may_be_a_file_of_a_spreadsheet(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/people/list")
    content = 'Name;Full name\r\nmireille;"Ilunga; Mireille"\r\njoseph;Joseph Nkéma\r\n'.encode("cp1252")
    browser.press("Make these people", files=[("list.csv", content, "text/csv")])
    assert "Made: 2." in browser.text
    text = browser.open("/admin/people").text
    assert "Ilunga; Mireille" in text
    assert "Joseph Nkéma" in text


def test_a_list_that_is_too_long_or_empty_is_not_begun(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True).open("/admin/people/list").press("Make these people", lines=" \n ")
    assert (browser.status, "There is no line in the list." in browser.text) == (400, True)
    browser.press("Make these people", lines="\n".join(f"p{n}" for n in range(101)))
    assert (browser.status, "at most 100 people" in browser.text) == (413, True)
    browser.press("Make these people", files=[("list.csv", b"x" * 200_001, "text/csv")])
    assert (browser.status, "Take it in parts." in browser.text) == (413, True)
    assert acts(box) == []


def test_people_are_found_and_turned_over(make_box: Callable[..., Box]) -> None:
    box = make_box(rows_per_page=2)
    browser = box.signed_in("chief", is_admin=True)
    for name in ("ada", "ben", "dora", "eve"):
        box.person(name)
    browser.open("/admin/people")
    assert "1–2 of 5" in browser.text
    assert "3–4 of 5" in browser.follow("Next").text
    assert "5–5 of 5" in browser.follow("Next").text
    assert "3–4 of 5" in browser.follow("Before").text
    browser.press("Find", query="ev")
    assert "eve@" in browser.text
    assert "ada@" not in browser.text
    assert "Nobody has this name" in browser.press("Find", query="nobody").text


def test_after_the_paid_day_a_person_reads_and_writes_to_people_here(box: Box) -> None:
    box.person("joseph")
    writer = box.signed_in("mireille")
    chief = box.signed_in("chief", is_admin=True).open(f"/admin/people/{number(box, 'mireille')}")
    chief.press("Keep this", paid_until="2026-11-23")
    assert "It is kept." in chief.text
    assert dict(chief.fields(chief.address + "/standing").fields)["paid_until"] == "2026-11-23"
    writer.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert "It is in the bag." in writer.text
    assert "Letters into the world are paid until 23 November 2026." in writer.open("/more").text
    box.later(days=1)
    assert "Your time for letters into the world ended." in writer.open("/more").text
    writer.open("/email/new").press("send", to="ruth@example.com", body="My dear Ruth")
    assert writer.status == 400
    assert "Your time for letters into the world ended on 23 November 2026." in writer.text
    assert dict(writer.fields("/email/new").fields)["body"] == "My dear Ruth"
    writer.press("send", to="joseph", body="Hello")
    assert "It was delivered." in writer.text
    assert "Paid until 23 November 2026." in chief.open(f"/admin/people/{number(box, 'mireille')}").text
    chief.press("Keep this", paid_until="")
    writer.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert "It is in the bag." in writer.text


def test_a_full_mailbox_is_said_with_what_to_do(box: Box) -> None:
    writer = box.signed_in("mireille")
    no = box.letter("mireille", body="<p>" + "x" * 120_000 + "</p>")
    chief = box.signed_in("chief", is_admin=True).open(f"/admin/people/{number(box, 'mireille')}")
    chief.press("Keep this", quota_mb="0,1")
    assert "The letters take up all the room." in chief.text
    writer.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert (writer.status, "Your letters take up all your room, 100 kB." in writer.text) == (400, True)
    assert "Your letters take up 120 kB of 100 kB. Delete old ones" in writer.open("/more").text
    box.letter("mireille", "Still arrives")
    assert "Still arrives" in writer.open("/email/inbox").text
    writer.open(f"/email/delete/{no}").press("Delete")
    writer.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert "It is in the bag." in writer.text


def test_wrong_days_and_numbers_are_named_beside_their_field(box: Box) -> None:
    box.person("mireille")
    no = number(box, "mireille")
    chief = box.signed_in("chief", is_admin=True)
    for field, value, sentence in (
        ("paid_until", "tomorrow", "Write the day as year, month, day"),
        ("paid_until", "9999-12-31", "Write the day as year, month, day"),
        ("quota_mb", "much", "Write megabytes as a number"),
        ("quota_mb", "nan", "Write megabytes as a number"),
        ("quota_mb", "inf", "Write megabytes as a number"),
        ("quota_mb", "-1", "Write megabytes as a number"),
    ):
        chief.open(f"/admin/people/{no}").press("Keep this", None, **{field: value})
        assert (chief.status, sentence in chief.text) == (400, True), value
        assert dict(chief.fields(f"/admin/people/{no}/standing").fields)[field] == value
    assert acts(box) == []


def test_who_writes_here_only_is_told_so(box: Box) -> None:
    writer = box.signed_in("mireille")
    no = number(box, "mireille")
    chief = box.signed_in("chief", is_admin=True).open(f"/admin/people/{no}").press("Keep this", local_only="on")
    writer.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert "You can write to people of this box." in writer.text
    assert ("chief", "decided", "mireille") in acts(box)
    # the tick is there, and taking it away counts
    form = chief.open(f"/admin/people/{no}").fields(f"/admin/people/{no}/standing")
    assert ("local_only", "on") in form.fields
    chief.press("Keep this", local_only=[])
    writer.open("/email/new").press("send", to="ruth@example.com", body="Hello")
    assert "It is in the bag." in writer.text


def test_deleting_somebody_is_asked_first_and_ends_their_session(box: Box) -> None:
    mireille, joseph = box.signed_in("mireille"), box.signed_in("joseph")
    joseph.open("/email/new").press("send", to="mireille", subject="To both", body="Hello")
    no = number(box, "mireille")
    chief = box.signed_in("chief", is_admin=True).open(f"/admin/people/{no}").follow("Delete this person")
    before = box.fingerprint()
    assert "Their letters are gone; whoever else has one of them keeps it." in chief.text
    assert box.fingerprint() == before
    chief.press("Delete")
    assert "This person is no longer here." in chief.text
    assert mireille.open("/email/inbox").address.startswith("/user/login")
    assert box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD).status == 403
    assert "To both" in joseph.open("/email/sent").text
    assert "mireille@" not in chief.open("/admin/people").text
    assert acts(box)[0] == ("chief", "deleted", "mireille")
    assert chief.open(f"/admin/people/{no}").status == 404
    chief.open("/admin/people/new").press("Make this person", name="mireille")
    rests = "This is the name of somebody who has left. It rests for 180 days, so that nobody else gets their letters."
    assert rests in chief.text
    chief.open("/admin/people/list").press("Make these people", lines="mireille")
    assert "Made: 0. Here already: 0. Wrong: 1." in chief.text
    assert rests in chief.text
    signing_up = box.browser().open("/user/register").press("Show free names", name="mireille")
    assert rests in signing_up.text


def test_two_addresses_of_one_person_become_one(box: Box) -> None:
    box.person("mimi")
    box.letter("mimi", "For Mimi")
    mireille = box.signed_in("mireille")
    chief = box.signed_in("chief", is_admin=True).open(f"/admin/people/{number(box, 'mimi')}")
    chief.follow("Join with another address").press("Go on", into="nobody")
    assert "Nobody else here has this name." in chief.text
    chief.press("Go on", into="")
    assert "Write the name of the other one." in chief.text
    assert "<option value=mireille@bolenge.lokole.ca>" in chief.html
    assert "<option value=mimi@" not in chief.html, "nobody becomes one with themselves"
    chief.press("Go on", into="mireille@elsewhere.example")
    assert "Nobody else here has this name." in chief.text
    chief.press("Go on", into="Mireille@bolenge.lokole.ca")
    assert "mimi@bolenge.lokole.ca becomes mireille@bolenge.lokole.ca." in chief.text
    assert "For Mimi" not in mireille.open("/email/inbox").text
    chief.press("Make them one")
    assert "Letters to mimi arrive here, too." in chief.text
    assert "For Mimi" in mireille.open("/email/inbox").text
    mireille.open("/email/new").press("send", to="mimi", subject="To my old name", body="Hello")
    assert "To my old name" in mireille.open("/email/inbox").text
    # the old name opens the one mailbox, with the one password
    box.browser().open("/user/login").press("Enter", name="mimi", password=PASSWORD)
    assert acts(box)[0] == ("chief", "merged", "mimi")


def test_an_administrator_is_first_no_longer_one(box: Box) -> None:
    box.person("boss", is_admin=True)
    no = number(box, "boss")
    chief = box.signed_in("chief", is_admin=True).open(f"/admin/people/{no}")
    assert "Delete this person" not in chief.text
    token = chief.token()
    for action in ("delete", "suspend"):
        assert chief.post(f"/admin/people/{no}/{action}", {"csrf_token": token}).status == 403
    assert chief.post(f"/admin/people/{no}/merge", {"csrf_token": token, "into": "chief"}).status == 403
    own = number(box, "chief")
    for action in ("delete", "merge"):
        assert chief.post(f"/admin/people/{own}/{action}", {"csrf_token": token, "into": "boss"}).status == 403
        assert chief.open(f"/admin/people/{own}/{action}").status == 403


def test_the_log_says_who_did_what_and_no_secret(box: Box) -> None:
    box.person("mireille")
    chief = box.signed_in("chief", is_admin=True).open(f"/admin/people/{number(box, 'mireille')}")
    chief.follow("Make a one-time password").press("Make a one-time password")
    slip = SLIP.search(chief.text)
    assert slip is not None
    chief.open(f"/admin/people/{number(box, 'mireille')}").press("Do not let mireille sign in")
    chief.open("/admin").follow("Who did what")
    assert "chief no longer lets mireille sign in." in chief.text
    assert "chief made a one-time password for mireille." in chief.text
    assert slip[0] not in chief.text
    assert slip[0] not in box.fingerprint()


def test_every_screen_of_administration_is_for_administrators(box: Box) -> None:
    box.person("joseph")
    other = box.signed_in("mireille").open("/more")
    token, before = other.token(), box.fingerprint()
    rules = [rule for rule in box.app.url_map.iter_rules() if rule.endpoint.startswith("admin.")]
    assert len(rules) > 20
    for rule in rules:
        address = str(rule).replace("<int:no>", str(number(box, "joseph"))).replace("<action>", "suspend")
        for method in ("GET", "POST"):
            if method in (rule.methods or ()):
                answer = other.open(address) if method == "GET" else other.post(address, {"csrf_token": token})
                assert answer.status == 403, f"{method} {address}"
                away = box.browser()
                away.open(address) if method == "GET" else away.post(address, {"csrf_token": token})
                assert away.status in (400, 401) or away.address.startswith("/user/login"), f"{method} {address}"
    assert box.fingerprint() == before


def test_the_list_of_people_shows_who_said_yes(box: Box) -> None:
    mireille, joseph = box.signed_in("mireille"), box.signed_in("joseph")
    text = joseph.open("/users").text
    assert "Nobody is in the list yet" in text
    assert "Put yourself in with the button above, and ask your neighbours to do the same." in text
    mireille.open("/users").press("Put me in the list")
    assert "You are in the list of people." in mireille.text
    assert "You are the only one so far." in mireille.text
    assert "You are the only one so far." not in joseph.open("/users").text
    assert "mireille@bolenge.lokole.ca" in joseph.open("/users").text
    joseph.follow("Write to mireille")
    assert dict(joseph.fields("/email/new").fields)["to"] == "mireille@bolenge.lokole.ca"
    mireille.open("/users").press("Take me out")
    assert "mireille@" not in joseph.open("/users").text
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, "mireille")
        assert person is not None
        assert standing.get_standing(tx, person).listed is False


def test_a_mistake_in_what_somebody_may_loses_nothing_of_the_form(box: Box) -> None:
    box.person("mireille", display_name="Mireille")
    keeper = box.signed_in("chief", is_admin=True)
    keeper.open("/admin/people").follow("Look after mireille")
    keeper.press("Keep this", display_name="Mireille Ilunga", quota_mb="much", local_only="on", may_post="on")
    assert keeper.status == 400
    assert "Write megabytes as a number" in keeper.text
    keeper.press("Keep this", quota_mb="50")
    with box.ports.database.read() as tx:
        found = accounts.find_account(tx, box.tenant, "mireille")
        assert found is not None
        decided = standing.get_standing(tx, found)
    assert found.display_name == "Mireille Ilunga"
    assert decided.local_only
    assert decided.may_post
