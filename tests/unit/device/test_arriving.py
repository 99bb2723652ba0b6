"""What a package brings is treated as the person has set it, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from lokole.device.box import Box
from lokole.device.importing import import_package
from lokole.mail.model import Account, Contact, DeliveryState, Email, EmailId
from lokole.mailbox import letter_options, lists, packages, rules
from lokole.mailbox.letter_options import LetterOptions
from lokole.mailbox.merging import merge_people
from lokole.mailbox.tenants import get_tenant
from lokole.sync.records import AnyRecord, EmailRecord, EntryState, ReceiptRecord
from tests.unit.device.people import person


def letter_to(people: list[Account], uid: str, **values: object) -> EmailRecord:
    email = Email(
        Contact("ruth@example.org", "Ruth"),
        tuple(Contact(str(one.address)) for one in people),
        **values,  # type: ignore[arg-type]
    )
    return EmailRecord(uid, email)


def take(box: Box, *records: AnyRecord) -> None:
    take_in_turn(box, records)


def take_in_turn(box: Box, records: Iterable[AnyRecord]) -> None:
    with box.ports.database.read() as tx:
        row = get_tenant(tx, box.tenant)
    import_package(
        enumerate(records, start=1),
        name="ab" * 32,
        database=box.ports.database,
        blobs=box.ports.blobs,
        tenant=row,
        clock=box.ports.clock,
        entropy=box.ports.entropy,
    )


def test_a_letter_that_a_package_brings_follows_the_rules_of_each_and_is_answered_once(box: Box) -> None:
    ann, bob = person(box, "ann"), person(box, "bob")
    with box.ports.database.write() as tx:
        rules.add_rule(tx, ann, "subject", "news", "move", "archive")
        rules.add_rule(tx, ann, "subject", "news", "forward", "sister@town.org")
        rules.add_rule(tx, bob, "from", "ruth", "star", "")
        letter_options.set_options(tx, bob, LetterOptions(answer=True, answer_text="Back in May"))
    news = letter_to([ann, bob], "ab" * 16, subject="News")
    for _ in range(3):
        take(box, news, letter_to([bob], "cd" * 16, subject="A list", automatic=True))
    with box.ports.database.read() as tx:
        assert [row.subject for row in lists.list_folder(tx, ann, "archive").rows] == ["News"]
        assert [(row.subject, row.starred) for row in lists.list_folder(tx, bob, "inbox").rows] == [
            ("A list", True),
            ("News", True),
        ]
        assert [row.subject for row in lists.list_folder(tx, bob, "sent").rows] == ["Auto: News"]
        assert [row.subject for row in lists.list_folder(tx, ann, "sent").rows] == ["Fwd: News"]
        assert packages.count_waiting(tx, box.tenant, "up") == 2


@pytest.mark.parametrize("state", [DeliveryState.ACCEPTED, DeliveryState.REFUSED])
def test_what_became_of_a_letter_from_town_is_known_though_it_comes_before_the_letter(
    box: Box, state: DeliveryState
) -> None:
    ann = person(box, "ann")
    id = EmailId(b"\xab" * 16)
    take(box, ReceiptRecord(id, "carl@example.org", state, 1, "", "", None))
    email = Email(Contact(str(ann.address)), (Contact("carl@example.org"),), subject="From town")
    for _ in range(2):
        take(box, EmailRecord(id.hex(), email, entries=(EntryState("ann", "sent", read=True, written=True),)))
    with box.ports.database.read() as tx:
        (row,) = lists.list_folder(tx, ann, "sent").rows
        assert row.state is state


def test_two_people_who_become_one_while_a_package_is_taken_in_lose_no_letter(box: Box) -> None:
    mimi, mireille = person(box, "mimi"), person(box, "mireille")

    def records() -> Iterator[AnyRecord]:
        yield letter_to([mimi], "ab" * 16, subject="before")
        with box.ports.database.write() as tx:
            merge_people(tx, mimi, mireille)
        yield letter_to([mimi], "cd" * 16, subject="after")

    take_in_turn(box, records())
    with box.ports.database.read() as tx:
        assert {row.subject for row in lists.list_folder(tx, mireille, "inbox").rows} == {"before", "after"}
