"""People whom the server does not know yet, at a box it knows."""

from __future__ import annotations

import email
from email.policy import default

import pytest

from lokole.mailbox import packages
from lokole.server import offer, visits
from lokole.server.edge import REPLIES
from lokole.server.strangers import Verdict, decide
from lokole.server.sweep import Sweeper
from lokole.sync import digest
from lokole.sync.container import CONTENT_TYPE
from lokole.sync.records import AccountRecord, EmailRecord
from tests.unit.server.place import BoxAtPlace, Place, message

BOB, ZOE = "bob@example.org", "zoe@a.lokole.test"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def asked(place: Place, recipient: str = ZOE, sender: str = BOB) -> int:
    return REPLIES[decide(place.ports, sender, recipient)].code


def test_a_known_person_is_taken(place: Place, box: BoxAtPlace) -> None:
    assert asked(place, "Ann@A.lokole.test") == 250


@pytest.mark.parametrize(
    "recipient", ["x@elsewhere.test", "x@lokole.test", "x@a.lokole.test.evil.test", "x@sub.a.lokole.test"]
)
def test_a_domain_that_no_box_has_is_refused(place: Place, box: BoxAtPlace, recipient: str) -> None:
    assert asked(place, recipient) == 550
    assert decide(place.ports, BOB, recipient) is Verdict.NO_DOMAIN


@pytest.mark.parametrize(
    "recipient", ["", "x", "x@", "@a.lokole.test", '"x y"@a.lokole.test', "x@a.lokole.test\r\n.", "x@[127.0.0.1]"]
)
def test_what_is_no_address_is_refused(place: Place, box: BoxAtPlace, recipient: str) -> None:
    assert asked(place, recipient) == 553


def test_a_stranger_is_asked_again_until_the_box_was_here_once_more(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    assert asked(place) == 450
    place.clock.pass_by(hours=1)
    assert asked(place) == 450
    box.offers()
    place.clock.pass_by(minutes=1)
    assert asked(place) == 550
    # the next letter asks anew: the person may have signed up since
    assert asked(place) == 450


def test_a_stranger_who_signed_up_meanwhile_is_taken(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    assert asked(place) == 450
    place.clock.pass_by(hours=1)
    box.put([AccountRecord(ZOE, version=1)])
    assert asked(place) == 250


def test_one_senders_question_is_not_anothers_answer(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    assert asked(place) == 450
    place.clock.pass_by(hours=1)
    box.offers()
    place.clock.pass_by(hours=1)
    assert asked(place, sender="eve@example.org") == 450
    assert asked(place) == 550


def test_a_domain_whose_box_has_not_come_yet_asks_to_come_again(place: Place) -> None:
    place.register("new.lokole.test")
    assert asked(place, "x@new.lokole.test") == 450
    place.clock.pass_by(days=3)
    assert asked(place, "x@new.lokole.test") == 450


@pytest.mark.parametrize("name", ["postmaster", "Postmaster", "abuse"])
def test_names_that_must_answer_everywhere_do(place: Place, box: BoxAtPlace, name: str) -> None:
    assert asked(place, f"{name}@a.lokole.test") == 250


def test_over_a_webhook_the_letter_waits_and_goes_to_whoever_signs_up(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=f"ann@a.lokole.test, {ZOE}"), ["ann@a.lokole.test", ZOE])
    (first,) = box.fetch(unsent=True)
    assert [str(one) for one in first.email.recipients] == ["ann@a.lokole.test"]
    place.clock.pass_by(hours=1)
    box.put([AccountRecord(ZOE, version=1)])
    (second,) = box.fetch()
    assert [str(one) for one in second.email.recipients] == [ZOE]
    assert second.uid != first.uid
    assert place.quarantined() == []
    assert place.jobs("ready") == 0


def test_a_stranger_that_appears_before_the_letter_was_packed_gets_it_once(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=f"ann@a.lokole.test, {ZOE}"), ["ann@a.lokole.test", ZOE])
    place.clock.pass_by(hours=1)
    box.put([AccountRecord(ZOE, version=1)])
    assert sorted([str(one) for one in record.email.recipients] for record in box.fetch()) == [
        ["ann@a.lokole.test"],
        [ZOE],
    ]


def both(place: Place, box: BoxAtPlace) -> None:
    """A letter for Ann, whom the server knows, and for Zoe, whom it does not."""
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(), ["ann@a.lokole.test", ZOE])


def zoe_appears(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    box.put([AccountRecord(ZOE, version=1)])
    place.clock.pass_by(days=1)
    place.work()


def for_whom(letters: list[EmailRecord]) -> list[list[str]]:
    return [[str(who) for who in one.email.recipients] for one in letters]


def test_a_stranger_that_appears_while_the_letter_is_being_packed_gets_it_once(place: Place, box: BoxAtPlace) -> None:
    both(place, box)
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        pending = list(packages.waiting_rows(tx, row.no, "down"))
    zoe_appears(place, box)
    packing = offer.records(place.ports, row, pending, [], offer.own_records)
    assert for_whom(list(packing)) == [["ann@a.lokole.test"]]
    assert sorted(for_whom(box.fetch())) == [["ann@a.lokole.test"], [ZOE]]


def test_a_stranger_that_has_the_letter_does_not_get_it_again_with_the_others(place: Place, box: BoxAtPlace) -> None:
    both(place, box)
    (offered,) = box.offers(unsent=True)
    assert for_whom(box.fetch(unsent=True)) == [["ann@a.lokole.test"]]
    zoe_appears(place, box)
    assert for_whom(box.fetch()) == [[ZOE]]
    row = place.row("a.lokole.test")
    with place.ports.database.write() as tx:
        first = packages.find_package(tx, row.no, offered["sha256"])
        assert first is not None
        packages.withdraw_package(tx, first.no, place.clock())  # its bytes are gone
    assert for_whom(box.fetch()) == [["ann@a.lokole.test"]]


def test_a_stranger_gets_their_letter_though_all_others_who_had_it_have_left(place: Place, box: BoxAtPlace) -> None:
    both(place, box)
    box.fetch(unsent=True)
    place.clock.pass_by(hours=1)
    box.put([AccountRecord("ann@a.lokole.test", version=2, removed=True), AccountRecord(ZOE, version=1)])
    (found,) = box.fetch()
    assert (found.email.subject, for_whom([found])) == ("hello", [[ZOE]])


def test_a_visit_whose_upload_broke_says_nothing_about_strangers(place: Place, box: BoxAtPlace) -> None:
    """The person stands in the package that did not arrive."""
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=ZOE), [ZOE], SPF="pass")
    place.clock.pass_by(hours=1)
    box.offers(unsent=True)
    assert place.world.sent == []
    assert place.quarantined() == []
    box.put([AccountRecord(ZOE, language="en", version=1)])
    box.offers()
    (arrived,) = box.fetch()
    assert [str(one) for one in arrived.email.recipients] == [ZOE]
    assert place.world.sent == []


def test_a_visit_whose_packages_are_still_read_says_nothing_about_strangers(place: Place, box: BoxAtPlace) -> None:
    """Only afterwards can be seen what a restored server has forgotten, and the person may stand in that."""
    place.webhook(box.webhook, message(to=ZOE), [ZOE])
    row, now = place.row("a.lokole.test"), place.clock()
    with place.ports.database.write() as tx:
        held = packages.add_package(
            tx,
            row.no,
            epoch=7,
            direction="up",
            seq=9,
            sha256="a" * 64,
            size=1,
            type=CONTENT_TYPE,
            blob="x",
            letters=0,
            state="held",
            now=now,
        )
    nothing = {"Lokole-Digest": digest.write_header(digest.summarise([], []))}
    assert box.call("GET", "/api/exchange/packages?after=0", headers=nothing).json()["digest"] == "none"
    with place.ports.database.write() as tx:
        packages.set_package_state(tx, held, "unpacked", now)
        visits.hear(tx, row.no, now)
    place.work()
    assert place.quarantined() == []
    box.offers()
    assert [one.kind for one in place.quarantined()] == ["dead-letter"]


def test_a_proved_sender_of_a_letter_to_nobody_is_told_with_the_null_sender(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=ZOE), [ZOE], SPF="pass")
    assert place.world.sent == []
    place.clock.pass_by(hours=1)
    box.offers()
    (notice,) = place.world.sent
    assert (notice.sender, notice.recipient) == ("", BOB)
    read = email.message_from_bytes(notice.message, policy=default)
    assert read["auto-submitted"] == "auto-replied"
    assert read["from"] == "Lokole <postmaster@a.lokole.test>"
    assert place.quarantined() == []
    place.clock.pass_by(hours=1)
    box.offers()
    assert len(place.world.sent) == 1


def test_dkim_of_the_senders_domain_proves_it_too(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=ZOE), [ZOE], SPF="fail", dkim="{@example.org : pass}")
    place.clock.pass_by(hours=1)
    box.offers()
    assert [one.recipient for one in place.world.sent] == [BOB]


@pytest.mark.parametrize(
    ("fields", "extra", "sender"),
    [
        ({}, "", BOB),
        ({"SPF": "softfail"}, "", BOB),
        ({"dkim": "{@other.example : pass}"}, "", BOB),
        ({"dkim": "{@example.org : fail}"}, "", BOB),
        ({"SPF": "pass"}, "", ""),
        ({"SPF": "pass"}, "Auto-Submitted: auto-generated\r\n", BOB),
        ({"SPF": "pass"}, "Precedence: bulk\r\n", BOB),
        ({"SPF": "pass"}, "List-Id: <x.example.org>\r\n", BOB),
    ],
)
def test_nobody_is_told_who_may_not_be_the_sender_or_is_a_machine(
    place: Place, box: BoxAtPlace, fields: dict[str, str], extra: str, sender: str
) -> None:
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=ZOE, extra=extra), [ZOE], sender, **fields)
    place.clock.pass_by(hours=1)
    box.offers()
    assert place.world.sent == []
    (apart,) = place.quarantined()
    assert (apart.kind, apart.reason) == ("dead-letter", "nobody has this name at the box")
    assert apart.raw_ref is not None
    assert place.ports.blobs.read(apart.raw_ref) == message(to=ZOE, extra=extra)


def days_go_by(place: Place, days: int) -> None:
    for _ in range(days):
        place.clock.pass_by(days=1)
        Sweeper(place.ports).sweep()
        place.work()


def test_a_box_that_never_comes_lets_a_strangers_letter_wait_a_month(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=ZOE), [ZOE], SPF="pass")
    days_go_by(place, 30)
    assert place.quarantined() == []
    days_go_by(place, 3)
    assert [one.kind for one in place.quarantined()] == ["dead-letter"]
    assert place.world.sent == []


def test_a_letter_that_came_while_the_clock_was_years_ahead_waits_for_the_next_visit(
    place: Place, box: BoxAtPlace
) -> None:
    place.clock.pass_by(days=3652)
    place.webhook(box.webhook, message(to=ZOE), [ZOE])
    assert asked(place) == 450
    place.clock.pass_by(days=-3652)
    place.work()
    assert asked(place) == 450
    assert place.quarantined() == []
    box.offers()
    place.clock.pass_by(hours=1)
    assert [one.kind for one in place.quarantined()] == ["dead-letter"]
    assert asked(place) == 550


@pytest.mark.parametrize("years", [10, -10, -56])
def test_a_clock_that_jumps_after_a_visit_makes_no_letter_older_than_that(
    place: Place, box: BoxAtPlace, years: int
) -> None:
    box.offers()
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=ZOE), [ZOE])
    assert asked(place) == 450
    for days in (years * 365, -years * 365):
        place.clock.pass_by(days=days)
        place.work()
        assert asked(place) == 450
    assert place.quarantined() == []


def test_a_package_from_before_the_letter_says_nothing_about_its_person(place: Place, box: BoxAtPlace) -> None:
    """The box had made it before the person signed up; the next one has the person."""
    place.webhook(box.webhook, message(to=ZOE), [ZOE])
    assert asked(place) == 450
    box.put([AccountRecord("ben@a.lokole.test", version=1)])
    assert asked(place) == 450
    assert place.quarantined() == []
    box.put([AccountRecord(ZOE, version=1)])
    box.offers()
    assert [str(one) for letter in box.fetch() for one in letter.email.recipients] == [ZOE]


def test_a_jump_of_the_clock_gives_no_strangers_letter_up(place: Place, box: BoxAtPlace) -> None:
    place.clock.pass_by(hours=1)
    place.webhook(box.webhook, message(to=ZOE), [ZOE])
    days_go_by(place, 6)
    for days in (3652, 40, -3652, 3652) * 10:
        place.clock.pass_by(days=days)
        Sweeper(place.ports).sweep()
        place.work()
    assert place.quarantined() == []
    assert (place.jobs("ready", "stranger"), place.jobs("dead", "stranger")) == (1, 0)
