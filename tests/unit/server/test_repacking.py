"""A box that cannot read a package to its end gets its letters in smaller ones, until only the letter to blame is left."""

from __future__ import annotations

import pytest

from lokole.mail.model import Contact, Email
from lokole.mailbox.recipients import envelope_of
from lokole.server import intake
from lokole.sync.records import EmailRecord, ToldRecord
from tests.unit.server.place import BoxAtPlace, Place, message


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def a_night(place: Place, box: BoxAtPlace, bad: str) -> tuple[list[str], list[int]]:
    """The box takes what is offered up to the letter ``bad``, at which it ends, and says so; the letters, and the sizes of packages."""
    got: list[str] = []
    sizes, broken = [], []
    for offered in box.offers():
        subjects = [one.email.subject for one in box.get(offered) if isinstance(one, EmailRecord)]
        sizes.append(len(subjects))
        if bad in subjects:
            broken.append(ToldRecord(offered["sha256"], 0, "package", "the package expands too much for its size"))
        got += subjects[: subjects.index(bad)] if bad in subjects else subjects
        box.taken.setdefault(offered["epoch"], set()).add(offered["seq"])
        box.acknowledge(offered["epoch"], 0, sorted(box.taken[offered["epoch"]]))
    if broken:
        box.put_sealed(broken)
    place.clock.pass_by(minutes=30)
    return got, sizes


def test_a_letter_that_no_box_reads_keeps_no_other_back_and_is_seen_in_the_end(place: Place, box: BoxAtPlace) -> None:
    subjects = ["a", "b", "bad", "d", "e", "f", "g", "h"]
    for one in subjects:
        intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], message(subject=one))
    nights = [a_night(place, box, "bad") for _ in range(7)]
    assert [sizes for _got, sizes in nights] == [[8], [4, 4], [2, 2], [1, 1], [1], [], []], (
        "a line may be to blame once"
    )
    assert {one for got, _sizes in nights for one in got} == set(subjects) - {"bad"}
    assert place.pending("a.lokole.test") == 0
    (dead,) = [one for one in place.quarantined() if one.kind == "dead-letter"]
    assert dead.reason == "the box could not read it"
    assert dead.raw_ref is not None
    assert b"Subject: bad" in place.ports.blobs.read(dead.raw_ref)
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        assert [envelope_of(tx, row.no, no)["ann@a.lokole.test"] for no in range(1, 9)].count("dead") == 1
    intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], message(subject="next 1"))
    intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], message(subject="next 2"))
    assert a_night(place, box, "bad") == (["next 1", "next 2"], [2]), "letters of later are packed as ever"


def test_a_package_without_letters_is_packed_anew_a_few_times_a_day(place: Place, box: BoxAtPlace) -> None:
    """What is in it never ends at the sight of one letter, so something else is wrong."""
    to, sender = (Contact("bob@example.org"),), Contact("ann@a.lokole.test")
    box.put_sealed([EmailRecord("0" * 32, Email(sender=sender, to=to))])  # a receipt is to go home
    assert [nothing_is_read(box) for _ in range(6)] == [1, 1, 1, 1, 0, 0]


def nothing_is_read(box: BoxAtPlace) -> int:
    """The box can read none of what is new to it, and says so; returns how many packages that were."""
    offers = [one for one in box.offers() if one["seq"] not in box.taken.get(one["epoch"], ())]
    for one in offers:
        box.taken.setdefault(one["epoch"], set()).add(one["seq"])
        box.acknowledge(one["epoch"], 0, sorted(box.taken[one["epoch"]]))
        box.put_sealed([ToldRecord(one["sha256"], 0, "package", "it cannot be read")])
    return len(offers)


def test_packages_of_a_clock_that_was_ahead_are_not_of_this_day(place: Place, box: BoxAtPlace) -> None:
    to, sender = (Contact("bob@example.org"),), Contact("ann@a.lokole.test")
    place.clock.pass_by(days=3652)
    box.put_sealed([EmailRecord("0" * 32, Email(sender=sender, to=to))])
    assert [nothing_is_read(box) for _ in range(3)] == [1, 1, 1]
    place.clock.pass_by(days=-3652)
    assert [nothing_is_read(box) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
