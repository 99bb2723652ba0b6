"""What somebody sets for their letters, and that it happens: signature, answer while away, rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from lokole.mailbox import accounts, letter_options, rules
from lokole.webmail.app import ManyTenants
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box


def options(box: Box) -> letter_options.LetterOptions:
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, "mireille")
        assert person is not None
        return letter_options.get_options(tx, person)


def settings(box: Box) -> Browser:
    return box.signed_in("mireille").open("/more").follow("Letters: signature")


def test_somebody_away_has_a_letter_answered_at_once_here(box: Box) -> None:
    browser, other = settings(box), box.signed_in("joseph")
    browser.press(
        "Keep the answer", answer="y", answer_text="I am in Mbandaka.\nBack in May", answer_until="2026-12-24"
    )
    assert "It is kept." in browser.text
    other.open("/email/new").press("send", to="mireille", subject="Roof", body="Are you there?")
    other.open("/email/inbox")
    assert "Auto: Roof" in other.text
    assert "I am in Mbandaka." in other.text
    other.open("/email/new").press("send", to="mireille", subject="Roof again", body="?")
    assert "Auto: Roof again" not in other.open("/email/inbox").text
    box.later(days=40)
    box.enter("joseph").open("/email/new").press("send", to="mireille", subject="Third", body="?")
    assert "Auto: Third" not in box.enter("joseph").open("/email/inbox").text


def test_the_answer_is_switched_off_and_its_words_stay(box: Box) -> None:
    browser = settings(box)
    browser.press("Keep the answer", answer="y", answer_text="Back in May", answer_from="2026-11-23")
    assert options(box).answer
    browser.press("Keep the answer", answer=[])
    assert options(box) == letter_options.LetterOptions("", False, "Back in May", date(2026, 11, 23), None)


def test_mistakes_about_the_answer_are_named_and_what_was_typed_stays(box: Box) -> None:
    browser = settings(box)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"answer": "y", "answer_text": " "}, "Write what the answer says."),
        ({"answer_text": "x", "answer_from": "tomorrow"}, "Write the day like 2026-12-31."),
        ({"answer_text": "x", "answer_from": "2026-12-24", "answer_until": "2026-12-23"}, "before the first one"),
    )
    for fields, sentence in cases:
        browser.press("Keep the answer", **fields)
        assert browser.status == 400
        assert sentence in browser.text
        typed = dict(browser.fields("/user/letters/answer").fields)
        for name, value in fields.items():
            assert typed[name] == value
    assert options(box) == letter_options.LetterOptions()


def test_the_signature_and_the_answer_do_not_overwrite_each_other(box: Box) -> None:
    browser = settings(box)
    browser.press("Keep the signature", signature="Mireille")
    browser.press("Keep the answer", answer="y", answer_text="Back in May")
    browser.press("Keep the signature", signature="M.")
    assert options(box) == letter_options.LetterOptions("M.", True, "Back in May")


def test_a_rule_is_made_works_and_is_taken_away(box: Box) -> None:
    browser, other = settings(box), box.signed_in("joseph")
    browser.press("Make the rule", field="subject", words="Chorale", action="star", to="")
    assert "When the subject contains “Chorale”: star it" in browser.text
    other.open("/email/new").press("send", to="mireille", subject="La chorale ce soir", body="x")
    assert "Take the star back" in browser.open("/email/inbox").html
    browser.open("/user/letters").press("Take away the rule for “Chorale”")
    assert "Chorale" not in browser.text
    other.open("/email/new").press("send", to="mireille", subject="Chorale demain", body="x")
    assert browser.open("/email/inbox").html.count("Take the star back") == 1


def test_a_rule_that_is_sent_twice_is_said_to_be_kept_and_is_there_once(box: Box) -> None:
    browser = settings(box)
    for _ in range(2):
        browser.press("Make the rule", field="from", words="joseph", action="forward", to="ruth")
        assert browser.status == 200
        assert "It is kept." in browser.text
        assert browser.text.count(f"pass it on to ruth@{DOMAIN}") == 1


def test_a_rule_passes_letters_on_to_somebody_here(box: Box) -> None:
    browser, other, third = settings(box), box.signed_in("joseph"), box.signed_in("ruth")
    browser.press("Make the rule", field="from", words="joseph", action="forward", to="ruth")
    assert f"pass it on to ruth@{DOMAIN}" in browser.text
    other.open("/email/new").press("send", to="mireille", subject="Roof", body="The price")
    assert "Fwd: Roof" in third.open("/email/inbox").text


def test_a_rule_that_means_nothing_is_refused_and_stays_typed(box: Box) -> None:
    browser = settings(box)
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"field": "from", "words": " ", "action": "star", "to": ""}, "Write what the letter has to contain."),
        ({"field": "from", "words": "x", "action": "forward", "to": "a b"}, "Write the address of somebody else"),
        ({"field": "from", "words": "x", "action": "forward", "to": "mireille"}, "Write the address of somebody else"),
        ({"field": "from", "words": "x", "action": "move:gone", "to": ""}, "Choose what to do with the letter."),
        ({"field": "body", "words": "x", "action": "star", "to": ""}, "Choose what to do with the letter."),
    )
    for fields, sentence in cases:
        browser.press("Make the rule", **fields)
        assert browser.status == 400
        assert sentence in browser.text
        assert dict(browser.fields("/user/letters/rules").fields)["words"] == fields["words"].strip()
    with box.ports.database.read() as tx:
        person = accounts.find_account(tx, box.tenant, "mireille")
        assert person is not None
        assert rules.list_rules(tx, person) == []


def test_nobody_takes_away_the_rule_of_another(box: Box) -> None:
    browser, other = settings(box), box.signed_in("joseph")
    browser.press("Make the rule", field="subject", words="x", action="star", to="")
    before = box.fingerprint()
    other.open("/user/letters")
    other.post("/user/letters/rules/1/remove", {"csrf_token": other.token()})
    assert other.status == 404
    assert box.fingerprint() == before


def test_what_happens_by_itself_is_set_at_the_box_and_not_in_town(make_box: Callable[..., Box]) -> None:
    place = make_box(tenants=ManyTenants(), prefix="/web", origin="server", in_town=True)
    place.person("mireille")
    browser = place.browser().open("/web/user/login")
    browser.press("Enter", name=f"mireille@{DOMAIN}", password=PASSWORD, own="y").open("/web/user/letters")
    assert "are set at your box" in browser.text
    assert "Answer letters by itself" not in browser.text
    browser.press("Keep the signature", signature="Mireille")
    for path in ("answer", "rules"):
        assert browser.post(f"/web/user/letters/{path}", {"csrf_token": browser.token()}).status == 404
