"""Rules, the answer of somebody who is away, and the address book, when letters are sent and arrive; and that nothing goes round in circles."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from lokole.mail.errors import Refused
from lokole.mail.model import Account, Attachment, Contact, Email, EmailNo
from lokole.mailbox import attachments, contacts, letter_options, letters, lists, mail_flow, recipients, rules
from lokole.mailbox.database import Connection
from lokole.mailbox.letter_options import LetterOptions
from tests.mailbox_world import DOMAIN, World, email_from


def arrives(world: World, tx: Connection, person: Account, **values: Any) -> EmailNo:
    """A letter from outside, as a package brings it."""
    no = world.incoming(tx, [person], **values)
    mail_flow.take_in(tx, world.tenant, no, [person.no], origin="device-1", now=world.now)
    return no


def sends(world: World, tx: Connection, writer: Account, *to: str, **values: Any) -> EmailNo:
    letter = email_from(str(writer.address), to=to, **values)
    return mail_flow.send_letter(tx, writer, letter, origin="device-1", now=world.now)


def away(tx: Connection, person: Account, text: str = "Back in May", **values: Any) -> None:
    letter_options.set_options(tx, person, LetterOptions(answer=True, answer_text=text, **values))


def written_by(world: World, tx: Connection, person: Account) -> list[Email]:
    rows = lists.list_folder(tx, person, "sent", limit=100).rows
    return [letters.read_email(tx, world.tenant, row.no).email for row in rows]


def count(world: World) -> int:
    with world.database.read() as tx:
        return letters.count_letters(tx, world.tenant)


@pytest.mark.parametrize(
    ("field", "words", "matches"),
    [
        ("from", "EXAMPLE.org", True),
        ("from", "Éloïse", True),
        ("from", "eloise nz", True),
        ("from", "ann@", False),
        ("to", "ann@", True),
        ("to", "choir", True),
        ("subject", "vaccin", True),
        ("subject", "price of", False),
    ],
)
def test_a_rule_looks_where_it_says(world: World, field: str, words: str, matches: bool) -> None:
    with world.database.write() as tx:
        rules.add_rule(tx, world.ann, field, words, "star", "")
        letter = email_from("eloise@example.org", to=(str(world.ann.address),), cc=(Contact("c@d.org", "The choir"),))
        no, _ = letters.store_email(
            tx,
            world.tenant,
            Email(Contact("eloise@example.org", "Éloïse Nzuzi"), letter.to, letter.cc, subject="Vaccinations"),
            id=world_id(world),
            received_at=world.now,
            deliver_to=[world.ann.no],
        )
        mail_flow.take_in(tx, world.tenant, no, [world.ann.no], origin="device-1", now=world.now)
        entry = lists.get_entry(tx, world.ann, no)
    assert entry is not None
    assert entry.starred is matches


def world_id(world: World) -> Any:
    return world.entropy(16)


def test_a_rule_moves_a_letter_for_its_owner_only(world: World) -> None:
    with world.database.write() as tx:
        rules.add_rule(tx, world.ann, "subject", "news", "move", "archive")
        no = world.incoming(tx, [world.ann, world.bob], subject="News of today")
        mail_flow.take_in(tx, world.tenant, no, [world.ann.no, world.bob.no], origin="device-1", now=world.now)
        assert [row.no for row in lists.list_folder(tx, world.ann, "archive").rows] == [no]
        assert lists.list_folder(tx, world.ann, "inbox").rows == ()
        assert [row.no for row in lists.list_folder(tx, world.bob, "inbox").rows] == [no]
        assert lists.counts(tx, world.ann).unread == 0


def test_a_rule_passes_a_letter_on_with_its_files_and_no_second_copy(world: World) -> None:
    from lokole.adapters.blobs.memory import MemoryBlobStore

    blobs = MemoryBlobStore()
    stored = attachments.put_attachments(blobs, DOMAIN, [Attachment("a.pdf", b"plan", "application/pdf")])
    with world.database.write() as tx:
        rules.add_rule(tx, world.ann, "from", "example", "forward", "sister@town.org")
        no, _ = letters.store_email(
            tx,
            world.tenant,
            email_from("ruth@example.org", to=(str(world.ann.address),), subject="Plan", body="<p>See"),
            id=world_id(world),
            received_at=world.now,
            attachments=stored,
            deliver_to=[world.ann.no],
        )
        mail_flow.take_in(tx, world.tenant, no, [world.ann.no], origin="device-1", now=world.now)
        (sent,) = lists.list_folder(tx, world.ann, "sent").rows
        letter = letters.read_email(tx, world.tenant, sent.no)
        assert [one.address for one in recipients.deliveries(tx, world.tenant, sent.no)] == ["sister@town.org"]
    assert letter.email.subject == "Fwd: Plan"
    assert letter.email.automatic
    assert "ruth@example.org" in letter.email.body
    assert letter.attachments == tuple(stored)
    assert len(list(blobs.list())) == 1


def test_letters_passed_on_by_rules_do_not_go_in_circles(world: World) -> None:
    with world.database.write() as tx:
        rules.add_rule(tx, world.ann, "subject", "news", "forward", str(world.bob.address))
        rules.add_rule(tx, world.bob, "subject", "news", "forward", str(world.ann.address))
        rules.add_rule(tx, world.bob, "subject", "news", "star", "")
        away(tx, world.bob)
        arrives(world, tx, world.ann, subject="News", sender="ruth@example.org")
        (got,) = lists.list_folder(tx, world.bob, "inbox").rows
        assert got.starred
    assert count(world) == 2


def test_a_rule_that_is_made_twice_is_one_rule_even_when_there_is_room_for_no_other(world: World) -> None:
    with world.database.write() as tx:
        for n in range(rules.MAX_RULES - 1):
            rules.add_rule(tx, world.bob, "subject", f"news {n}", "star", "")
        for words in ("Ruth  Namatovu", " Ruth Namatovu "):
            rules.add_rule(tx, world.bob, "from", words, "forward", "Sister@town.org")
            rules.add_rule(tx, world.ann, "from", words, "forward", "sister@town.org")
        rules.add_rule(tx, world.ann, "from", "Ruth Namatovu", "star", "sister@town.org")
        rules.add_rule(tx, world.ann, "from", "Ruth Namatovu", "star", "")
        assert len(rules.list_rules(tx, world.bob)) == rules.MAX_RULES
        assert [one.action for one in rules.list_rules(tx, world.ann)] == ["forward", "star"]
        with pytest.raises(Refused, match="too many"):
            rules.add_rule(tx, world.bob, "subject", "one more", "star", "")


def test_somebodys_rules_write_fifty_letters_a_day_at_most(world: World) -> None:
    with world.database.write() as tx:
        rules.add_rule(tx, world.ann, "subject", "news", "forward", "sister@town.org")
        for _ in range(60):
            arrives(world, tx, world.ann, subject="News")
        assert lists.list_folder(tx, world.ann, "sent").total == mail_flow.MAX_BY_ITSELF
        assert lists.list_folder(tx, world.ann, "inbox").total == 60
        world.later(days=2)
        arrives(world, tx, world.ann, subject="News")
        assert lists.list_folder(tx, world.ann, "sent").total == mail_flow.MAX_BY_ITSELF + 1


def test_a_rule_that_cannot_work_any_more_keeps_no_letter_back(world: World) -> None:
    with world.database.write() as tx:
        rules.add_rule(tx, world.ann, "subject", "news", "forward", f"gone@{DOMAIN}")
        rules.add_rule(tx, world.ann, "subject", "news", "star", "")
        no = arrives(world, tx, world.ann, subject="News")
        (row,) = lists.list_folder(tx, world.ann, "inbox").rows
        assert (row.no, row.starred) == (no, True)
        assert contacts.list_contacts(tx, world.ann)[0].address == "out@example.org"


def test_rules_that_mean_nothing_are_refused(world: World) -> None:
    cases = [
        ("from", " ", "star", "", "words"),
        ("body", "x", "star", "", "field"),
        ("from", "x", "delete", "", "action"),
        ("from", "x", "move", "nowhere", "target"),
        ("from", "x", "forward", "nobody", "address"),
        ("from", "x", "forward", f"ANN@{DOMAIN}", "address"),
    ]
    for field, words, action, target, code in cases:
        with pytest.raises(Refused) as refused, world.database.write() as tx:
            rules.add_rule(tx, world.ann, field, words, action, target)
        assert refused.value.code == code
    with world.database.read() as tx:
        assert rules.list_rules(tx, world.ann) == []


def test_somebody_away_answers_once_a_week(world: World) -> None:
    with world.database.write() as tx:
        away(tx, world.ann)
        arrives(world, tx, world.ann, sender="ruth@example.org", subject="Hello", message_id="<1@example.org>")
        (answer,) = written_by(world, tx, world.ann)
        assert [str(one) for one in answer.to] == ["ruth@example.org"]
        assert (answer.subject, answer.body, answer.automatic) == ("Auto: Hello", "Back in May", True)
        assert answer.in_reply_to == "<1@example.org>"
        world.later(days=6, hours=23)
        arrives(world, tx, world.ann, sender="Ruth@EXAMPLE.org")
        assert len(written_by(world, tx, world.ann)) == 1
        arrives(world, tx, world.ann, sender="joe@example.org")
        assert len(written_by(world, tx, world.ann)) == 2
        world.later(hours=1)
        arrives(world, tx, world.ann, sender="ruth@example.org")
        assert len(written_by(world, tx, world.ann)) == 3


def test_a_clock_that_jumps_neither_floods_nor_silences(world: World) -> None:
    right = world.now
    with world.database.write() as tx:
        away(tx, world.ann)
        world.now = right + timedelta(days=4000)
        arrives(world, tx, world.ann, sender="ruth@example.org")
        world.now = right
        arrives(world, tx, world.ann, sender="ruth@example.org")
        assert len(written_by(world, tx, world.ann)) == 1
        world.later(days=7)
        arrives(world, tx, world.ann, sender="ruth@example.org")
        assert len(written_by(world, tx, world.ann)) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"automatic": True},
        {"sender": "MAILER-DAEMON@example.org"},
        {"sender": "no-reply@example.org"},
        {"sender": "choir-bounces+ann=x@example.org"},
        {"sender": "owner-list@example.org"},
        {"sender": ""},
        {"to": ("everybody@example.org",)},
        {"sender": f"ann@{DOMAIN}"},
    ],
)
def test_machines_lists_and_letters_to_others_get_no_answer(world: World, values: dict[str, Any]) -> None:
    with world.database.write() as tx:
        away(tx, world.ann)
        arrives(world, tx, world.ann, **values)
        assert written_by(world, tx, world.ann) == []


def test_two_people_who_are_both_away_answer_each_other_once(world: World) -> None:
    with world.database.write() as tx:
        away(tx, world.ann)
        away(tx, world.bob)
        sends(world, tx, world.ann, str(world.bob.address))
    assert count(world) == 2


def test_the_answer_begins_and_ends_with_its_days_where_the_person_lives(world: World) -> None:
    with world.database.write() as tx:
        away(tx, world.ann, answer_from=date(2026, 3, 2), answer_until=date(2026, 3, 3))
        answered = []
        for n in range(4):
            arrives(world, tx, world.ann, sender=f"p{n}@example.org")
            answered.append(len(written_by(world, tx, world.ann)))
            world.later(days=1)
        assert answered == [0, 1, 2, 2]


def test_switched_off_and_on_again_everybody_gets_the_answer_anew(world: World) -> None:
    with world.database.write() as tx:
        away(tx, world.ann)
        arrives(world, tx, world.ann, sender="ruth@example.org")
        letter_options.set_options(tx, world.ann, LetterOptions(answer=False, answer_text="Back in May"))
        arrives(world, tx, world.ann, sender="joe@example.org")
        assert len(written_by(world, tx, world.ann)) == 1
        away(tx, world.ann)
        arrives(world, tx, world.ann, sender="ruth@example.org")
        assert len(written_by(world, tx, world.ann)) == 2


def test_who_writes_gets_into_the_address_book_and_strangers_rename_nobody(world: World) -> None:
    with world.database.write() as tx:
        arrives(world, tx, world.ann, sender="ruth@example.org")
        arrives(world, tx, world.ann, sender="list@example.org", automatic=True)
        arrives(world, tx, world.ann, sender="no-reply@example.org")
        no, _ = letters.store_email(
            tx,
            world.tenant,
            Email(Contact("Ruth@example.org", "Ruth\u202e\x07 N."), (Contact(str(world.ann.address)),)),
            id=world_id(world),
            received_at=world.now,
            deliver_to=[world.ann.no],
        )
        for _ in range(2):
            mail_flow.take_in(tx, world.tenant, no, [world.ann.no], origin="device-1", now=world.now)
        assert [(one.address, one.name, one.uses) for one in contacts.list_contacts(tx, world.ann)] == [
            ("ruth@example.org", "Ruth N.", 0)
        ]
        assert contacts.list_contacts(tx, world.bob) == []
        sends(world, tx, world.ann, "joe@example.org")
        sends(world, tx, world.ann, "joe@example.org")
        found = contacts.list_contacts(tx, world.ann, limit=1)
        assert [(one.address, one.uses) for one in found] == [("joe@example.org", 2)]


def test_an_address_book_is_not_filled_by_strangers_without_end(world: World) -> None:
    with world.database.write() as tx:
        contacts.met(
            tx, world.tenant, world.ann.no, [Contact(f"p{n}@example.org") for n in range(contacts.MAX_LEARNED)]
        )
        contacts.met(tx, world.tenant, world.ann.no, [Contact("one-more@example.org")])
        assert len(contacts.list_contacts(tx, world.ann)) == contacts.MAX_LEARNED
        contacts.wrote_to(tx, world.ann, [Contact("friend@example.org")])
        assert contacts.list_contacts(tx, world.ann, limit=1)[0].address == "friend@example.org"
