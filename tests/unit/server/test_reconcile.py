"""What box and server find when they compare, whatever the clock of the server said meanwhile."""

from __future__ import annotations

import pytest

from lokole.server import reconcile
from lokole.sync.records import PackageDigest
from tests.unit.server.place import BoxAtPlace, Place, message


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def bring(place: Place, box: BoxAtPlace, subject: str) -> PackageDigest:
    """A letter comes in, travels in a package of its own and is acknowledged."""
    place.webhook(box.webhook, message(subject=subject), ["ann@a.lokole.test"])
    (offered,) = box.offers()
    (letter,) = (one for one in box.get(offered) if hasattr(one, "uid"))
    box.acknowledge(offered["epoch"], offered["seq"])
    return PackageDigest("down", offered["epoch"], offered["seq"], 1, bytes.fromhex(letter.uid))


def test_a_hole_is_found_that_was_acknowledged_while_the_clock_said_1970(place: Place, box: BoxAtPlace) -> None:
    first = bring(place, box, "one")
    place.clock.pass_by(days=-365 * 50)
    second = bring(place, box, "two")
    place.clock.pass_by(days=365 * 50 + 1)
    row = place.row("a.lokole.test")
    assert reconcile.compare(place.ports, row, [first, second]).again == 0
    found = reconcile.compare(place.ports, row, [first])
    assert (found.again, found.missing) == (1, 1)
    assert [offered["seq"] for offered in box.offers()] == [second.seq]


def test_what_was_acknowledged_long_ago_is_not_missed_by_a_box_that_lists_nothing(
    place: Place, box: BoxAtPlace
) -> None:
    bring(place, box, "one")
    place.clock.pass_by(days=60)
    assert reconcile.compare(place.ports, place.row("a.lokole.test"), []).missing == 0
