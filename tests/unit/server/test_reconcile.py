"""What box and server find when they compare, whatever the clock of the server said meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lokole.server import reconcile
from lokole.sync.digest import ack_check
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


def said(box: BoxAtPlace, offered: dict[str, Any], sha256: str, expect: int = 200) -> dict[str, Any]:
    check = ack_check([sha256]).hex()
    body = json.dumps({"epoch": offered["epoch"], "seq": offered["seq"], "beyond": [], "check": check}).encode()
    answer = box.call("POST", "/api/exchange/ack", body, {"Content-Type": "application/json"})
    assert answer.status_code == expect, answer.text
    return dict(answer.json())


def test_an_acknowledgement_of_other_packages_is_not_believed(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(subject="one"), ["ann@a.lokole.test"])
    (first,) = box.offers()
    assert said(box, first, "ab" * 32, expect=409)["code"] == "check"
    assert place.pending("a.lokole.test") == 1
    assert [one.kind for one in place.quarantined()] == ["restored"]
    (second,) = box.offers()
    assert second["epoch"] != first["epoch"], "its letters go under numbers that mean one thing only"
    assert said(box, second, "ab" * 32, expect=409)["code"] == "check"
    (third,) = box.offers()
    assert (third["epoch"], third["seq"]) == (second["epoch"], 2), "one new epoch a day on the word of a box"
    assert said(box, third, third["sha256"]) == {"delivered": 1}
    assert said(box, third, third["sha256"]) == {"delivered": 0}
    assert box.offers() == []


@pytest.mark.parametrize("check", ["", "xyz", 7, "AB" * 8, "ab" * 16])
def test_a_check_that_is_none_is_400(box: BoxAtPlace, check: object) -> None:
    body = json.dumps({"epoch": 1, "seq": 1, "check": check}).encode()
    answer = box.call("POST", "/api/exchange/ack", body, {"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (400, "check")
