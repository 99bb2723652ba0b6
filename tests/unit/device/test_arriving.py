"""What a package brings is treated as the person has set it, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest

from lokole.device.box import Box
from lokole.device.importing import import_package
from lokole.mail.model import Account, Contact, DeliveryState, Email, EmailId
from lokole.mailbox import letter_options, letters, lists, outbound, packages, recipients, rules
from lokole.mailbox.letter_options import LetterOptions
from lokole.mailbox.merging import merge_people
from lokole.mailbox.tenants import get_tenant
from lokole.sync.ids import letter_print
from lokole.sync.records import (
    PRINT_BYTES,
    TELL_WRITER,
    AnyRecord,
    EmailRecord,
    EntryState,
    ReceiptRecord,
    RequestRecord,
)
from tests.unit.device.people import person, write


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


def test_a_refusal_of_a_letter_that_this_box_has_lost_is_not_that_of_a_later_one_of_its_name(box: Box) -> None:
    """A restored box counts from where it was; the print in the receipt says which of two letters is meant."""
    no = write(box, "ann", "bob@example.org", "A goat")
    with box.ports.database.read() as tx:
        later = letters.read_email(tx, box.tenant, no, private=True)
    mine = letter_print(later.email)[:PRINT_BYTES]
    refused = ReceiptRecord(later.id, "bob@example.org", DeliveryState.REFUSED, 5, "5.1.1", "nobody", None)

    def state() -> DeliveryState:
        with box.ports.database.read() as tx:
            return recipients.deliveries(tx, box.tenant, no)[0].state

    take(box, replace(refused, print=b"another!"))
    assert state() is not DeliveryState.REFUSED
    with box.ports.database.read() as tx:
        waiting = [one.record for one in outbound.waiting_records(tx, box.tenant, "up")]
    asked = [one for one in waiting if isinstance(one, RequestRecord)]
    assert [(one.kind, one.body["email"]) for one in asked] == [(TELL_WRITER, later.id.hex())]
    take(box, replace(refused, print=mine))
    assert state() is DeliveryState.REFUSED
