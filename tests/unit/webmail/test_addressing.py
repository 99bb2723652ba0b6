"""Whom a letter is for: mistakes named one by one, near misses offered, groups, names in every script, two thousand recipients."""

from __future__ import annotations

import pytest

from lokole.mail.model import Contact
from lokole.mailbox import accounts, contacts, letters, recipients, standing
from lokole.mailbox.options import set_option
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, Box


def written(browser: Browser, field: str) -> str:
    return dict(browser.fields("/email/new").fields).get(field, "")


def addressed(box: Box, no: int = 1) -> list[str]:
    with box.ports.database.read() as tx:
        return [one.address for one in recipients.deliveries(tx, box.tenant, no)]


def numbers(box: Box) -> int:
    with box.ports.database.read() as tx:
        return letters.count_letters(tx, box.tenant)


def test_a_near_miss_of_a_domain_is_asked_about_and_mended_by_one_touch(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to="Ruth <ruth@gmial.com>, joe@example.com", body="My text")
    assert browser.status == 400
    assert "Is “ruth@gmial.com” right? If it is, press the button once more." in browser.text
    browser.press("ruth@gmail.com?")
    assert written(browser, "to") == "Ruth <ruth@gmail.com>, joe@example.com"
    assert written(browser, "body") == "My text"
    assert numbers(box) == 0
    browser.press("send")
    assert addressed(box) == ["ruth@gmail.com", "joe@example.com"]


def test_an_address_that_only_looks_wrong_goes_out_when_sent_once_more(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to="ruth@gmial.com", cc="joe@yaho.fr").press("send")
    assert addressed(box) == ["ruth@gmial.com", "joe@yaho.fr"]


def test_an_unknown_name_here_is_refused_and_near_ones_are_offered(box: Box) -> None:
    box.person("jeanne")
    box.person("joseph")
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to=f"jeane, jospeh@{DOMAIN}", body="My text")
    assert "Nobody here is called “jeane”." in browser.text
    assert "Nobody here is called “jospeh”." in browser.text
    browser.press(f"jeanne@{DOMAIN}?").press("send")
    assert "Nobody here is called “jospeh”." in browser.text
    browser.press(f"joseph@{DOMAIN}?").press("send")
    assert addressed(box) == [f"jeanne@{DOMAIN}", f"joseph@{DOMAIN}"]


def test_a_full_name_is_whoever_alone_has_it(box: Box) -> None:
    """As it stands in the inbox, in the address book and in the directory, to whoever may see it there."""
    for name, full, listed in (
        ("paul", "Paul Lokwa", True),
        ("ruth1", "Ruth Amba", True),
        ("ruth2", "Ruth Amba", True),
        ("eve", "Ève Secrète", False),
    ):
        person = box.person(name, display_name=full)
        with box.ports.database.write() as tx:
            standing.set_listed(tx, person, listed)
    browser = box.signed_in("mireille")
    with box.ports.database.write() as tx:
        mireille = accounts.find_account(tx, box.tenant, "mireille")
        assert mireille is not None
        contacts.put_contact(tx, mireille, "jeanne@example.org", "Jeanne Ilunga")
    browser.open("/email/new").press("send", to="paul  LOKWA, Jeanne Ilunga, Ruth Amba, Eve Secrete", body="My text")
    assert "Several people are called “Ruth Amba”." in browser.text
    assert "“Eve Secrete” is not an address" in browser.text
    browser.press(f"ruth2@{DOMAIN}?")
    browser.press("send", to=written(browser, "to").replace("Eve Secrete", ""))
    assert addressed(box) == [f"paul@{DOMAIN}", "jeanne@example.org", f"ruth2@{DOMAIN}"]


def test_each_of_several_mistakes_is_named(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to="a b@x.org, ruth@gmail, ok@example.com, @, x@y", bcc="joe@@z.org")
    for sentence in (
        "“a b@x.org” is not",
        "“ruth@gmail” lacks its end",
        "“@” is not",
        "“x@y” lacks",
        "“joe@@z.org” is not",
    ):
        assert sentence in browser.text
    assert "ok@example.com” is not" not in browser.text
    browser.press("send", to=", ".join(f"wrong{n}@" for n in range(40)), bcc="")
    assert "“wrong4@” is not" in browser.text
    assert "“wrong5@”" not in browser.text
    assert "And 35 more." in browser.text


def test_two_thousand_recipients_are_answered_by_a_sentence_and_stay_typed(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    everybody = ", ".join(f"person.number{n}@example.com" for n in range(2000))
    browser.press("send", to=everybody, body="My text")
    assert browser.status == 400
    assert "A letter goes to at most 50 people. You have named 2000." in browser.text
    assert written(browser, "to") == everybody
    assert written(browser, "body") == "My text"


@pytest.mark.parametrize(
    "name", ["Éloïse Nzuzi", "ምህረት ተስፋዬ", "محمد علي", "王小明", "ジョン", "Ольга", "👩🏾‍⚕️ Dr Mbuyi", "न्यूज़ पत्र"]
)
def test_names_in_every_script_arrive_as_typed(box: Box, name: str) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to=f"{name} <ruth@example.com>", subject=f"{name} 🎉", body=f"{name}")
    with box.ports.database.read() as tx:
        email = letters.read_email(tx, box.tenant, 1).email
    assert email.subject == f"{name} 🎉"
    assert name in email.body
    assert email.to[0].address == "ruth@example.com"


def test_control_characters_do_no_harm(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("send", to="a\x00b@example.com", subject="x", body="y")
    assert browser.status == 400
    assert "“a�b@example.com” is not an address" in browser.text
    browser.press(
        "send", to="ruth@example.com", subject="one\r\nBcc: evil@example.com\x00\x1b", body="te\x00xt\x07 kept"
    )
    with box.ports.database.read() as tx:
        email = letters.read_email(tx, box.tenant, 1).email
    assert email.subject == "one Bcc: evil@example.com"
    assert email.body == "text kept"
    assert addressed(box) == ["ruth@example.com"]


def test_a_group_is_all_of_its_people(box: Box) -> None:
    box.person("joseph")
    browser = box.signed_in("mireille").open("/contacts").follow("Make a group")
    browser.press("Keep the group", name="Église  choir", members="joseph, ruth@example.com")
    assert "Église choir 2 people" in browser.text
    browser.follow("Write to Église choir")
    assert written(browser, "to") == "Église choir"
    browser.press("send", to="eglise CHOIR, joe@example.com", subject="Songs", body="At six")
    assert addressed(box) == [f"joseph@{DOMAIN}", "ruth@example.com", "joe@example.com"]


def test_a_group_larger_than_a_letter_may_go_to_is_counted_by_its_people(box: Box) -> None:
    browser = box.signed_in("mireille").open("/contacts/groups")
    browser.press("Keep the group", name="all", members=", ".join(f"p{n}@example.com" for n in range(60)))
    browser.open("/email/new").press("send", to="all", body="x")
    assert "A letter goes to at most 50 people. You have named 60." in browser.text


def test_a_group_with_mistakes_is_not_made_and_stays_typed(box: Box) -> None:
    browser = box.signed_in("mireille").open("/contacts/groups")
    for name, members, sentence in (
        ("", "ruth@example.com", "Please give the group a name."),
        ("a@b", "ruth@example.com", "A group needs a name"),
        ("choir", "", "between 1 and 200 people"),
        ("choir", "ruth@", "“ruth@” is not an address"),
        ("choir", "jeane", "Nobody here is called “jeane”"),
    ):
        browser.press("Keep the group", name=name, members=members)
        assert browser.status == 400
        assert sentence in browser.text
        typed = dict(browser.fields("/contacts/groups").fields)
        assert (typed["name"], typed["members"]) == (name, members)
    browser.press("Keep the group", name="choir", members="ruth@example.com")
    browser.open("/contacts/groups").press("Keep the group", name="Choir", members="ruth@example.com")
    assert "You have a group of this name already." in browser.text


def test_a_group_whose_button_was_pressed_twice_is_made_once(box: Box) -> None:
    browser = box.signed_in("mireille").open("/contacts/groups")
    form = browser.fields("/contacts/groups")
    for _ in range(2):
        browser.post(form.action, dict(form.fields) | {"name": "Choir", "members": "ruth@example.com"})
        assert browser.address == "/contacts"
    assert browser.text.count("Choir") == 1


def test_somebody_is_found_in_a_long_address_book(box: Box) -> None:
    browser = box.signed_in("mireille").open("/contacts")
    assert "Find somebody" not in browser.text
    for n in range(60):
        browser.press("Put into the book", name=f"Joséphine {n}", address=f"jo{n}@example.com")
    browser.open("/contacts?query=josephine")
    assert "1–50 of 60" in browser.text
    browser.follow("Further")
    assert "51–60 of 60" in browser.text
    browser.open("/contacts?query=jo7@ JOS%C3%89")
    assert "Joséphine 7" in browser.text
    assert "Joséphine 8" not in browser.text
    assert "Nobody has this name" in browser.open("/contacts?query=zoe").text
    assert "Find somebody" in browser.text


def test_a_near_name_in_a_group_is_taken_by_one_touch(box: Box) -> None:
    box.person("jeanne")
    browser = box.signed_in("mireille").open("/contacts/groups")
    browser.press("Keep the group", name="choir", members="ruth@example.com, jeane")
    assert "Touch the name below" in browser.text
    browser.press(f"jeanne@{DOMAIN}?")
    assert "It is kept." in browser.text
    members = dict(browser.follow("Change choir").fields("/contacts/groups/1").fields)["members"]
    assert members == f"ruth@example.com, jeanne@{DOMAIN}"


def test_a_group_is_changed_and_taken_away(box: Box) -> None:
    browser = box.signed_in("mireille").open("/contacts/groups")
    browser.press("Keep the group", name="choir", members="ruth@example.com")
    browser.follow("Change choir").press("Keep the group", name="singers", members="ruth@example.com, joe@example.com")
    assert "singers 2 people" in browser.text
    browser.follow("Change singers").press("Take the group away")
    assert "singers" not in browser.text


def test_the_script_asks_about_addresses_while_one_types(box: Box) -> None:
    box.person("jeanne")
    browser = box.signed_in("mireille").open("/email/new")
    form = {"csrf_token": browser.token(), "to": "jeane, ruth@gmial.com, joe@", "cc": "jeanne"}
    before = box.fingerprint()
    browser.post("/email/check", form)
    answer = browser.response.get_json()
    assert answer["to"]["near"] == [["jeane", f"jeanne@{DOMAIN}"], ["ruth@gmial.com", "ruth@gmail.com"]]
    assert len(answer["to"]["errors"]) == 2
    assert answer["cc"] == answer["bcc"] == {"errors": [], "near": []}
    assert box.fingerprint() == before


def test_the_address_book_learns_and_completes(box: Box) -> None:
    browser = box.signed_in("mireille")
    box.person("joseph")
    browser.open("/email/new").press("send", to="Ruth N. <Ruth@Example.com>, joseph", body="x")
    browser.open("/contacts")
    assert "Ruth N. ruth@example.com" in browser.text
    assert '<option value="ruth@example.com">Ruth N.</option>' in browser.open("/email/new").html
    other = box.enter("joseph").open("/contacts")
    assert f"mireille@{DOMAIN}" in other.text
    assert "ruth@example.com" not in other.text


def test_the_address_book_is_mended_by_hand(box: Box) -> None:
    browser = box.signed_in("mireille").open("/contacts")
    browser.press("Put into the book", name="Ruth", address="ruth@")
    assert browser.status == 400
    assert "“ruth@” is not an address" in browser.text
    browser.press("Put into the book", name="Ruth", address="ruth@example.com")
    assert "It is kept." in browser.text
    browser.follow("Change Ruth").press("Keep it so", name="Ruth Namatovu", address="ruth@example.org")
    assert "Ruth Namatovu ruth@example.org" in browser.text
    assert "ruth@example.com" not in browser.text
    # no letter changes a name that was written by hand
    browser.open("/email/new").press("send", to="Evil <ruth@example.org>", body="x")
    assert "Ruth Namatovu ruth@example.org" in browser.open("/contacts").text
    browser.follow("Change Ruth Namatovu").press("Take out of the book")
    assert "It is taken out." in browser.text
    assert "ruth@example.org" not in browser.text
    browser.open("/email/new").press("send", to="ruth@example.org", body="x")
    assert "ruth@example.org" in browser.open("/contacts").text


def test_nobody_sees_or_changes_the_address_book_of_another(box: Box) -> None:
    browser, other = box.signed_in("mireille"), box.signed_in("joseph")
    browser.open("/contacts").press("Put into the book", name="Ruth", address="ruth@example.com")
    browser.open("/contacts/groups").press("Keep the group", name="choir", members="ruth@example.com")
    before = box.fingerprint()
    for path in ("/contacts/1", "/contacts/groups/1"):
        assert other.open(path).status == 404
        other.open("/contacts")
        other.post(
            path, {"csrf_token": other.token(), "do": "remove", "name": "x", "members": "a@b.org", "address": "a@b.org"}
        )
        assert other.status == 404
    assert box.fingerprint() == before
    assert "choir" not in other.open("/contacts").text
    other.open("/email/new").press("send", to="choir", body="x")
    assert "Nobody here is called “choir”" in other.text


def test_a_long_address_book_is_turned_like_pages(box: Box) -> None:
    browser = box.signed_in("mireille")
    for start in (0, 40, 80):
        browser.open("/email/new").press("send", to=", ".join(f"p{n:03}@example.com" for n in range(start, start + 40)))
    browser.open("/contacts")
    assert "1–50 of 120" in browser.text
    assert "p049@" in browser.text
    assert "p050@" not in browser.text
    browser.follow("Further")
    assert "51–100 of 120" in browser.text
    assert "101–120 of 120" in browser.follow("Further").text
    assert "51–100 of 120" in browser.follow("Before").text


def test_completion_is_bounded(box: Box) -> None:
    browser = box.signed_in("mireille")
    for start in (0, 50):
        browser.open("/email/new").press("send", to=", ".join(f"p{n:03}@example.com" for n in range(start, start + 50)))
    known = browser.open("/email/new").html.partition("<datalist")[2].partition("</datalist>")[0]
    assert known.count("<option") == 40


def test_a_price_is_said_only_where_the_administrator_has_set_one(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("attach", [("a.pdf", b"x" * 100_000, "application/pdf")], to="ruth@example.com")
    assert "FC" not in browser.text
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, "cost_per_mb", 90)
    browser.press("check")
    assert "a.pdf 100 kB, about 9 FC" in browser.text
    assert "Letter less than 1 FC Photos and files about 9 FC In all about 9 FC" in browser.text
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, "currency", "USD")
        set_option(tx, box.tenant, "cost_per_mb", 0.5)
    browser.press("check")
    assert "a.pdf 100 kB, less than 0.1 USD" in browser.text
    assert "In all less than 0.1 USD" in browser.text


def test_a_signature_stands_below_a_new_letter(box: Box) -> None:
    browser = box.signed_in("mireille").open("/user/letters")
    browser.press("Keep the signature", signature="Mireille\nBolenge")
    assert "It is kept." in browser.text
    no = box.letter("mireille")
    for path in ("/email/new", f"/email/new?action=reply&uid={no}"):
        assert written(browser.open(path), "body").replace("\r", "") == "\n\nMireille\nBolenge"
    browser.press("send", body="Good day\n\nMireille\nBolenge", quote=[])
    with box.ports.database.read() as tx:
        assert letters.read_email(tx, box.tenant, no + 1).email.body == "Good day<br><br>Mireille<br>Bolenge"


def test_whom_somebody_writes_to_is_a_contact_by_name(box: Box) -> None:
    browser = box.signed_in("mireille")
    no = box.letter("mireille", sender=Contact("joe@example.com", "Joe"))
    browser.open(f"/email/{no}").follow("Answer").press("send", body="x")
    assert "joe@example.com" in browser.open("/contacts").text


def test_the_key_enter_has_the_addresses_looked_over_and_sends_nothing(box: Box) -> None:
    browser = box.signed_in("mireille").follow("Write")
    browser.press("check", to="jeane, ruth@gmial.com", body="My text")
    assert browser.status == 200
    assert "Nobody here is called “jeane”." in browser.text
    assert "ruth@gmail.com?" in browser.text
    assert written(browser, "body") == "My text"
    assert numbers(box) == 0
