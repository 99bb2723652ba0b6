"""What goes with time, and what stays however old it is."""

from __future__ import annotations

import pytest

from lokole.server import receive
from lokole.server.strangers import decide
from lokole.server.sweep import Sweeper
from tests.unit.server.place import BoxAtPlace, Place, message


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def arrive(place: Place, subject: str = "x") -> None:
    receive.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], message(subject=subject))


def keys(place: Place) -> set[str]:
    return {key.split("/")[1] for key in place.ports.blobs.list("a.lokole.test/")}


def test_raw_mail_and_packages_go_a_month_after_the_box_has_them(place: Place, box: BoxAtPlace) -> None:
    arrive(place)
    box.fetch()
    sweeper = Sweeper(place.ports)
    place.clock.pass_by(days=29)
    sweeper.sweep()
    assert keys(place) == {"raw", "packages"}
    place.clock.pass_by(days=2)
    sweeper.sweep()
    assert keys(place) == set()
    sweeper.sweep()
    arrive(place, "next")
    assert [one["seq"] for one in box.offers()] == [2]


def test_what_a_box_has_not_taken_stays_for_ever(place: Place, box: BoxAtPlace) -> None:
    arrive(place)
    (offered,) = box.offers()
    place.clock.pass_by(days=400)
    Sweeper(place.ports).sweep()
    assert box.offers() == [offered]
    assert len(box.fetch()) == 1
    assert "raw" in keys(place)


def test_what_is_kept_apart_keeps_its_bytes(place: Place, box: BoxAtPlace) -> None:
    box.put_bytes(b"no package at all", seq=9)
    place.clock.pass_by(days=400)
    Sweeper(place.ports).sweep()
    (apart,) = place.quarantined()
    assert apart.raw_ref is not None
    assert place.ports.blobs.read(apart.raw_ref) == b"no package at all"


def test_done_work_and_old_questions_go_after_a_week(place: Place, box: BoxAtPlace) -> None:
    arrive(place)
    decide(place.ports, "bob@example.org", "zoe@a.lokole.test")
    done = place.jobs("done")
    assert done > 0
    Sweeper(place.ports).sweep()
    assert place.jobs("done") == done
    place.clock.pass_by(days=8)
    Sweeper(place.ports).sweep()
    assert place.jobs("done") == 0
    arrive(place)  # the same bytes: known for longer than their work is
    assert len(box.fetch()) == 1


def test_a_form_whose_letter_is_stored_goes_at_the_second_look(place: Place, box: BoxAtPlace) -> None:
    place.ports.blobs.put("a.lokole.test/form/00ff", b"a worker died here")
    place.ports.bell.work_inline(lambda: None)
    place.webhook(box.webhook, message(subject="waits"), ["ann@a.lokole.test"])
    sweeper = Sweeper(place.ports)
    sweeper.sweep()
    assert len(list(place.ports.blobs.list("a.lokole.test/form/"))) == 2
    sweeper.sweep()
    (kept,) = place.ports.blobs.list("a.lokole.test/form/")
    assert kept != "a.lokole.test/form/00ff"
    place.work()
    assert [one.email.subject for one in box.fetch()] == ["waits"]
