"""What somebody does in town reaches the box, whatever became of them there meanwhile; a box that was away for long finds nothing missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from lokole.mail.model import Account, Contact, Email
from lokole.mailbox import accounts, days, lists, packages, quarantine, roaming, rules, schema
from lokole.mailbox.leaving import remove_account
from lokole.mailbox.mail_flow import send_letter
from lokole.mailbox.options import get_option
from lokole.server import intake
from lokole.server.send import leave_from_here
from lokole.testing import Village, village
from tests.unit.device.people import person

pytestmark = pytest.mark.e2e

DOMAIN = "village.lokole.test"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Village]:
    with village(tmp_path) as found:
        person(found.box, "ann")
        person(found.box, "ben")
        assert found.box.sync().result == "ok"
        yield found


def in_town(place: Village, name: str) -> Account:
    with place.server.ports.database.read() as tx:
        found = accounts.find_account(tx, place.row().no, name)
    assert found is not None
    return found


def inbox(place: Village, name: str) -> list[str]:
    someone = person(place.box, name)
    with place.box.ports.database.read() as tx:
        return [one.subject for one in lists.list_folder(tx, someone, "inbox").rows]


def letter_from_outside(place: Village, to: str, subject: str) -> None:
    raw = f"From: bob@example.org\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()
    place.write_from_outside(raw, sender="bob@example.org", recipients=[to])


def test_a_mark_made_in_town_by_somebody_who_signed_up_after_their_letter_reaches_the_box(place: Village) -> None:
    ports = place.server.ports
    raw = b"From: bob@example.org\r\nTo: x@example.org\r\nSubject: For two\r\n\r\nHello\r\n"
    intake.accept(ports, "bob@example.org", [f"ann@{DOMAIN}", f"zoe@{DOMAIN}"], raw)
    person(place.box, "zoe")
    for _ in range(3):
        place.clock.advance(days=1)
        assert place.box.sync().result == "ok"
    assert (inbox(place, "ann"), inbox(place, "zoe")) == (["For two"], ["For two"])
    zoe = in_town(place, "zoe")
    with ports.database.write() as tx:
        tx.execute(schema.account.update().where(schema.account.c.no == zoe.no).values(roaming=True))
        roams = accounts.find_account(tx, place.row().no, "zoe")
        assert roams is not None
        (letter,) = lists.list_folder(tx, roams, "inbox").rows
        assert roaming.set_flag(tx, roams, letter.no, "starred", True, "server")
    place.box.sync()
    on_the_box = person(place.box, "zoe")
    with place.box.ports.database.read() as tx:
        assert [one.starred for one in lists.list_folder(tx, on_the_box, "inbox").rows] == [True]


def test_a_box_that_was_away_for_forty_days_fetches_nothing_twice(place: Village) -> None:
    letter_from_outside(place, f"ann@{DOMAIN}", "Before")
    assert place.box.sync().result == "ok"
    # the answer to the acknowledgement was lost on the server's side, and the box is away
    with place.server.ports.database.write() as tx:
        (down,) = packages.packages_after(tx, place.row().no, "down", 0, states=("acknowledged",))[-1:]
        packages.set_package_state(tx, down.no, "built", place.clock())
    place.clock.advance(days=40)
    place.box.sync()
    place.clock.advance(days=1)
    report = place.box.sync()
    assert (report.result, report.letters_down) == ("ok", 0)
    report = place.box.sync()
    assert (report.result, report.letters_down) == ("ok", 0)
    assert report.bytes_up + report.bytes_down <= 700, "the ends have nothing to compare"
    with place.box.ports.database.read() as tx:
        assert get_option(tx, place.box.tenant, "held_together")["missing"] == 0


def test_a_letter_of_a_neighbour_in_town_is_passed_on_once(place: Village) -> None:
    """What somebody has set for letters that come is done where they come to, which is the box."""
    ann, ben = person(place.box, "ann"), person(place.box, "ben")
    with place.box.ports.database.write() as tx:
        for one in (ann, ben):
            accounts.set_password(tx, one, "$2b$12$" + "x" * 53)
            accounts.set_roaming(tx, one, True)
        rules.add_rule(tx, ben, "subject", "news", "forward", "ben@example.org")
    assert place.box.sync().result == "ok"
    ports, writer, reader = place.server.ports, in_town(place, "ann"), in_town(place, "ben")
    letter = Email(sender=Contact(str(ann.address)), to=(Contact(str(ben.address)),), subject="news", body="<p>x</p>")
    with ports.database.write() as tx:
        rules.add_rule(tx, reader, "subject", "news", "forward", "ben@example.org")
        send_letter(tx, writer, letter, origin="server", now=ports.clock(), written=partial(leave_from_here, ports))
    for _ in range(3):
        assert place.box.sync().result == "ok"
        place.clock.advance(days=1)
    assert len(place.outside.sent) == 1
    assert inbox(place, "ben") == ["news"]


def test_a_letter_on_its_way_to_somebody_who_left_is_seen_and_is_not_for_who_has_the_name_next(place: Village) -> None:
    letter_from_outside(place, f"ann@{DOMAIN}", "private")
    ann = person(place.box, "ann")
    with place.box.ports.database.write() as tx:
        remove_account(tx, ann)
    for _ in range(2):
        place.clock.advance(days=1)
        assert place.box.sync().result == "ok"
    with place.box.ports.database.read() as tx:
        found = quarantine.list_quarantine(tx, place.box.tenant)
    assert [(one.kind, one.reason) for one in found] == [("dead-letter", "its person has left: ann")]
    with place.box.ports.database.write() as tx:
        for n in range(accounts.NAME_RESTS_DAYS + 1):
            days.note_day(tx, place.box.tenant, (place.clock() + timedelta(days=n)).date())
    assert inbox(place, "ann") == []
