"""What bounds somebody at the box bounds them in town too, and letters that they write at one end count at the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from lokole.mail.errors import Refused
from lokole.mail.model import Account, Contact, Email, EmailId
from lokole.mailbox import accounts, letters, mail_flow, standing, tenants
from lokole.mailbox.allowances import Allowed, BoxLimits, allowed, set_box_limits, taken_up
from lokole.mailbox.database import Connection
from lokole.server import send
from lokole.testing import Village, village
from tests.unit.device.people import person, write

pytestmark = pytest.mark.e2e


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Village]:
    """A village where Ann reads and writes in town, too."""
    with village(tmp_path) as found:
        ann = person(found.box, "ann")
        with found.box.ports.database.write() as tx:
            accounts.set_password(tx, ann, "$2b$12$" + "a" * 53)
            accounts.set_roaming(tx, ann, True)
        yield found


def meet(place: Village, times: int = 1) -> None:
    for _ in range(times):
        assert place.box.sync().result == "ok"


def there(place: Village, tx: Connection) -> Account:
    """Ann as the server knows her."""
    row = tenants.find_tenant(tx, domain="village.lokole.test")
    assert row is not None
    found = accounts.find_account(tx, row.no, "ann")
    assert found is not None
    return found


def at_the_box(place: Village) -> Allowed:
    ann = person(place.box, "ann")
    with place.box.ports.database.read() as tx:
        return allowed(tx, ann, place.box.ports.clock())


def in_town(place: Village, now: datetime | None = None) -> Allowed:
    with place.server.ports.database.read() as tx:
        return allowed(tx, there(place, tx), now or place.server.ports.clock())


def write_in_town(place: Village, body: str = "<p>text</p>") -> str:
    """Ann writes at the server; returns why not, or nothing."""
    ports = place.server.ports
    try:
        with ports.database.write() as tx:
            ann = there(place, tx)
            letter = Email(Contact(str(ann.address)), to=(Contact("kofi@example.org"),), subject="From town", body=body)
            mail_flow.send_letter(
                tx, ann, letter, origin="server", now=ports.clock(),
                written=lambda tx, tenant, no: send.leave_from_here(ports, tx, tenant, no),
            )  # fmt: skip
    except Refused as error:
        return error.code
    return ""


def test_the_room_of_somebodys_letters_is_the_same_in_town(place: Village) -> None:
    ann = person(place.box, "ann")
    with place.box.ports.database.write() as tx:
        standing.set_quota(tx, ann, 10_000)
        # years ago; the server has forgotten it
        letters.store_email(
            tx, place.box.tenant, Email(Contact("old@example.org"), body="x" * 4000), id=EmailId(b"0" * 16),
            received_at=place.box.ports.clock(), deliver_to=[ann.no], uid="0" * 32,
        )  # fmt: skip
    meet(place, 2)
    assert in_town(place).quota_bytes == 10_000
    left = at_the_box(place).room_bytes
    assert left is not None and 5000 < left < 7000
    assert abs((in_town(place).room_bytes or 0) - left) <= 10_000 // 16
    assert write_in_town(place, "y" * 3000) == ""
    assert write_in_town(place, "y" * 4000) == "full"
    meet(place, 2)
    assert abs((in_town(place).room_bytes or 0) - (at_the_box(place).room_bytes or 0)) <= 10_000 // 16
    write(place.box, "ann", "kofi@example.org", body="z" * 2500)
    meet(place, 2)
    assert write_in_town(place, "y" * 1000) == "full", "what she wrote at the box takes up room in town"
    with place.box.ports.database.write() as tx:
        standing.set_quota(tx, ann, None)
    meet(place)
    assert in_town(place).quota_bytes is None
    assert write_in_town(place, "y" * 4000) == ""


def test_what_comes_and_goes_in_town_counts_from_what_the_box_has_told(place: Village) -> None:
    ann = person(place.box, "ann")
    with place.box.ports.database.write() as tx:
        standing.set_quota(tx, ann, 1_000_000)
    meet(place, 2)
    with place.server.ports.database.read() as tx:
        before = taken_up(tx, there(place, tx))
    assert write_in_town(place, "y" * 3000) == ""
    with place.server.ports.database.read() as tx:
        assert 3000 <= taken_up(tx, there(place, tx)) - before < 3500


def test_letters_of_a_day_count_at_both_ends_once_each_has_heard_of_them(place: Village) -> None:
    with place.box.ports.database.write() as tx:
        set_box_limits(tx, place.box.tenant, BoxLimits(letters_a_day=5))
    meet(place)
    assert (at_the_box(place).letters_left, in_town(place).letters_left) == (5, 5)
    write(place.box, "ann", "kofi@example.org")
    write(place.box, "ann", "kofi@example.org")
    assert write_in_town(place) == ""
    assert (at_the_box(place).letters_left, in_town(place).letters_left) == (3, 4)
    meet(place, 2)
    assert (at_the_box(place).letters_left, in_town(place).letters_left) == (2, 2)
    meet(place, 2)
    assert (at_the_box(place).letters_left, in_town(place).letters_left) == (2, 2), "each once"


def test_letters_to_neighbours_and_of_people_who_do_not_roam_count_nowhere_else(place: Village) -> None:
    bob = person(place.box, "bob")
    with place.box.ports.database.write() as tx:
        set_box_limits(tx, place.box.tenant, BoxLimits(letters_a_day=5))
    write(place.box, "ann", str(bob.address))
    write(place.box, "bob", "kofi@example.org")
    meet(place, 2)
    assert in_town(place).letters_left == 5
