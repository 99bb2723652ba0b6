"""The log of those who look after the box: every act that the code writes is a sentence in the reader's language, without a word of ours."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from sqlalchemy import insert

from lokole.mailbox import accounts, audit, schema
from lokole.mailbox.audit import Act
from lokole.webmail import acts
from lokole.webmail.views.admin import person as of_one_person
from tests.corpus import REPOSITORY
from tests.unit.webmail.conftest import DOMAIN, Box

#: what each act may keep beside its subject; None where it keeps nothing
DETAILS = {
    "decided": "paid_until=2026-12-31 22:00:00+00:00, quota_bytes=50000000, local_only=True, may_post=True",
    "merged": "ruth",
    "hours": '{"hours":[2,14],"days":[0,6]}',
    "limits": "letter_bytes=300000, files=5, letters_a_day=20, night_bytes=5000000",
    "price": "330 FC",
    "place": "Bolenge: en, fr",
    "doors": "minutes=30",
    "tidied": "3",
    "senders": "news@example.org, school@example.com",
    "modem": "lobi.net",
    "update": "2.1",
}
#: a word with an underscore, a value of the program, a pair, braces
OURS = re.compile(r"[a-z]+_[a-z]+|\b(None|True|False)\b|=|[{}\[\]]|%\(")


def written() -> Iterator[str]:
    """Every word that the code gives to the log."""
    for file in (REPOSITORY / "src/lokole").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            at = {"note": 1, "note_act": 2}.get(name)
            if at is None or len(node.args) <= at:
                continue
            word = node.args[at]
            if isinstance(word, ast.Constant):
                yield str(word.value)
            elif file.name == "person.py":
                yield from of_one_person._NOTES  # the action of the address
            else:
                assert file.name == "desk.py", f"{file.name} writes an act that this test cannot see"


def test_every_act_that_the_code_writes_has_its_sentence_and_no_other_has() -> None:
    assert set(written()) == acts.KNOWN


@pytest.mark.parametrize("language", ["en", "fr", "ln", "sw"])
def test_every_act_reads_as_a_sentence(box: Box, language: str) -> None:
    chief = box.person("chief", is_admin=True, language=language)
    box.signed_in("reader", language, is_admin=True)
    with box.ports.database.write() as tx:
        for act in sorted(acts.KNOWN):
            audit.note_act(tx, chief, act, box.clock[0], subject="mireille", detail=DETAILS.get(act, ""))
    browser = box.enter("reader", language).open("/admin/log")
    items = re.findall(r"<li class=item><p>(.*?)</p>(?:<p>(.*?)</p>)?", browser.html)
    assert len(items) == len(acts.KNOWN)
    for sentence, details in items:
        assert "chief" in sentence
        assert not OURS.search(sentence + " " + details), (sentence, details)
    about = {"made", "slip", "decided", "suspend", "unsuspend", "promote", "demote", "deleted", "merged"}
    assert sum("mireille" in sentence for sentence, _details in items) == len(about | {"registered", "taken-down"})
    assert sum(bool(details) for _sentence, details in items) == len(DETAILS) - 1  # "merged" says it in the sentence
    assert len({sentence for sentence, _details in items}) == len(acts.KNOWN)


def one(box: Box, act: str, detail: str, language: str = "en") -> str:
    with box.app.test_request_context(headers={"Accept-Language": language}):
        return acts.line(Act(1, box.clock[0], "chief", act, "mireille", detail)).details


@pytest.mark.parametrize(
    ("act", "detail", "said"),
    [
        ("decided", DETAILS["decided"], "Paid until 31 December 2026. Room: 50 MB. Writes to people here only. May use the board."),
        (
            "decided",
            "paid_until=None, quota_bytes=None, local_only=False, may_post=False",
            "Paid without an end. As much room as there is. Writes to the world, too. May no longer use the board.",
        ),
        ("limits", "night_bytes=5000000", "In one night: 5 MB at most."),
        ("limits", "", "Nothing is limited now."),
        ("price", "330 FC", "1 MB: 330 FC."),
        ("price", "0 FC", "Nothing is said of cost now."),
        ("hours", '{"cron":"0 2 * * *"}', "Every day: 02:00."),
        ("hours", '{"hours":[2],"days":null}', "Every day: 02:00."),
        ("place", "Bolenge: en, fr", "Bolenge: English, Français"),
        ("place", ": sw", "Kiswahili"),
        ("doors", "minutes=1", "Shared telephones forget after 1 minute."),
        ("tidied", "1", "1 file is gone."),
        ("senders", "", "Nobody from elsewhere."),
        # as an older version wrote it, in the language of whoever did it; and nonsense
        ("hours", "Tous les jours : 02:00.", ""),
        ("decided", "colour=blue", ""),
        ("decided", "paid_until=soon", ""),
        ("price", "", ""),
        ("doors", "", ""),
    ],
)  # fmt: skip
def test_what_was_decided_is_said_in_words(box: Box, act: str, detail: str, said: str) -> None:
    assert one(box, act, detail) == said


def test_an_act_of_a_later_version_is_named_as_such_and_not_by_its_word(box: Box) -> None:
    browser = box.signed_in("chief", is_admin=True)
    with box.ports.database.write() as tx:
        values = {"tenant": box.tenant, "at": 0, "actor": "chief", "act": "teleported", "subject": "x", "detail": "a=b"}
        tx.execute(insert(schema.audit).values(**values))
    text = browser.open("/admin/log").text
    assert "chief did something that this version of Lokole does not know." in text
    assert "teleported" not in text
    assert "a=b" not in text


def test_what_one_administrator_does_another_reads_in_their_own_language(box: Box) -> None:
    box.person("mireille")
    with box.ports.database.read() as tx:
        mireille = accounts.find_account(tx, box.tenant, "mireille")
    assert mireille is not None
    chief = box.signed_in("chief", is_admin=True)
    chief.open("/admin/schedule").press("Keep", kind="hours", hours="3", days=["0"])
    chief.open("/admin/limits").press("Keep", night_mb="5", cost_per_mb="330", currency="FC")
    chief.open(f"/admin/people/{mireille.no}").press("Keep", quota_mb="50", paid_until="2027-03-31")
    chief.open(f"/admin/people/{mireille.no}").press("Do not let mireille sign in")
    text = box.signed_in("jean", "fr", is_admin=True).open("/admin/log").text
    assert "lundi" in text
    assert "31 mars 2027" in text
    assert "330 FC" in text
    assert not OURS.search(re.sub(rf"\S+@{DOMAIN}", "", text))
