"""What box and server find when they compare, whatever the clock of the server said meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lokole.mail.model import Contact, Email
from lokole.mailbox import held
from lokole.server import reconcile
from lokole.sync.digest import ack_check
from lokole.sync.records import EmailRecord, PackageDigest
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


def test_a_package_up_that_is_another_one_here_is_to_be_packed_anew(place: Place, box: BoxAtPlace) -> None:
    letter = Email(sender=Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),), subject="Hello")
    box.put_sealed([EmailRecord(f"{1:032x}", letter)], seq=5)
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        ours = next(one for one in held.digests(tx, row.no, ["unpacked"]) if one.seq == 5)
    assert reconcile.compare(place.ports, row, [ours]).withdrawn == ()
    theirs = replace(ours, name=b"another!")
    assert reconcile.compare(place.ports, row, [theirs]).withdrawn == (("up", box.epoch, 5),)


def test_a_hole_that_was_acknowledged_in_1970_is_found_by_a_box_that_lists_nothing(
    place: Place, box: BoxAtPlace
) -> None:
    place.clock.pass_by(days=-365 * 50)
    first = bring(place, box, "one")
    place.clock.pass_by(days=365 * 50 + 3)
    found = reconcile.compare(place.ports, place.row("a.lokole.test"), [])
    assert (found.again, found.missing) == (1, 1)
    assert [offered["seq"] for offered in box.offers()] == [first.seq]


def test_what_a_box_names_no_more_between_what_it_has_is_offered_again(place: Place, box: BoxAtPlace) -> None:
    """A box from a backup took something new before anybody compared: its windows begin behind the hole."""
    first, second = bring(place, box, "one"), bring(place, box, "two")
    place.webhook(box.webhook, message(subject="three"), ["ann@a.lokole.test"])
    (third,) = box.offers()
    assert box.acknowledge(third["epoch"], 0, [second.seq, third["seq"]]) == 1
    assert [offered["seq"] for offered in box.offers()] == [first.seq]
    assert box.acknowledge(third["epoch"], third["seq"]) == 0, "its letter was delivered, and counts once"
    assert box.offers() == []


def test_a_server_that_is_an_older_copy_believes_no_acknowledgement_of_what_it_never_made(
    place: Place, box: BoxAtPlace
) -> None:
    place.webhook(box.webhook, message(subject="one"), ["ann@a.lokole.test"])
    (first,) = box.offers()
    body = json.dumps({"epoch": first["epoch"], "seq": first["seq"] + 8, "beyond": []}).encode()
    assert box.call("POST", "/api/exchange/ack", body, {"Content-Type": "application/json"}).json() == {"delivered": 0}
    assert place.pending("a.lokole.test") == 1, "its number belonged to a package of the life that was forgotten"
    assert [one.kind for one in place.quarantined()] == ["restored"]
    (again,) = box.offers()
    assert again["epoch"] != first["epoch"]
