"""What goes with time, and what stays however old it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mail.errors import Temporary
from lokole.mail.model import Contact, Email
from lokole.mailbox import packages
from lokole.mailbox.schema import email
from lokole.mailbox.tenants import TenantRow
from lokole.ports.blobs import BlobStore
from lokole.server import intake, reconcile
from lokole.server.strangers import decide
from lokole.server.sweep import Sweeper
from lokole.sync.records import AccountRecord, EmailRecord, PackageDigest
from tests.unit.server.place import BoxAtPlace, Place, message, place_in


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def arrive(place: Place, subject: str = "x") -> None:
    intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], message(subject=subject))


def message_with_file(subject: str) -> bytes:
    return (
        f"From: bob@example.org\r\nTo: ann@a.lokole.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nwords\r\n--x\r\n"
        "Content-Type: application/pdf; name=a.pdf\r\n\r\nbytes\r\n--x--\r\n"
    ).encode()


def keys(place: Place) -> set[str]:
    return {key.split("/")[1] for key in place.ports.blobs.list("a.lokole.test/")}


def test_raw_mail_and_packages_go_a_month_after_the_box_has_them(place: Place, box: BoxAtPlace) -> None:
    arrive(place)
    box.fetch()
    sweep_for(place, 29)
    assert keys(place) == {"raw", "packages"}
    sweep_for(place, 2)
    assert keys(place) == set()
    sweep_for(place, 1)
    arrive(place, "next")
    assert [one["seq"] for one in box.offers()] == [2]


def test_what_a_box_has_not_taken_stays_for_ever(place: Place, box: BoxAtPlace) -> None:
    arrive(place)
    (offered,) = box.offers()
    sweep_for(place, 100)
    assert box.offers() == [offered]
    assert len(box.fetch()) == 1
    assert "raw" in keys(place)


def test_what_is_kept_apart_keeps_its_bytes(place: Place, box: BoxAtPlace) -> None:
    box.put_bytes(b"no package at all", seq=9)
    sweep_for(place, 100)
    (apart,) = place.quarantined()
    assert apart.raw_ref is not None
    assert place.ports.blobs.read(apart.raw_ref) == b"no package at all"


class BusyStore(MemoryBlobStore):
    """Another process does ``meanwhile`` at the moment in which the first blob whose key has ``part`` is to go."""

    def __init__(self, store: BlobStore, meanwhile: Callable[[], object], part: str = "") -> None:
        super().__init__()
        self._part = part
        for key in store.list():
            self.put(key, store.read(key))
        self._meanwhile = [meanwhile]

    def delete(self, key: str) -> None:
        while self._meanwhile and self._part in key:
            self._meanwhile.pop()()
        super().delete(key)


def test_a_package_that_is_to_be_read_again_while_its_bytes_go_is_asked_for(place: Place, box: BoxAtPlace) -> None:
    sender, to = Contact("ann@a.lokole.test"), (Contact("bob@example.org"),)
    box.put_sealed([EmailRecord("0" * 32, Email(sender=sender, to=to))])
    sweep_for(place, 30)
    place.clock.pass_by(days=1)
    place.ports.bell.work_inline(lambda: None)
    row = place.row("a.lokole.test")
    more = [PackageDigest("up", box.epoch, box.seq, 2, b"x" * 16)]
    store = BusyStore(place.ports.blobs, lambda: reconcile.compare(ports, row, more))
    ports = replace(place.ports, blobs=store)
    Sweeper(ports).sweep()
    assert reconcile.compare(ports, row, more).up == ((box.epoch, box.seq),)


def test_a_letter_that_waits_again_while_it_is_swept_keeps_its_content(place: Place, box: BoxAtPlace) -> None:
    arrive(place, "x")
    assert len(box.fetch()) == 1
    row = place.row("a.lokole.test")
    sweep_for(place, 30)
    place.clock.pass_by(days=1)
    with place.ports.database.read() as tx:
        (down,) = packages.packages_after(tx, row.no, "down", 0)

    def box_has_lost_it() -> None:
        with place.ports.database.write() as tx:
            packages.withdraw_package(tx, down.no, place.clock())

    class Busy(Sweeper):
        def _delete_raw(self, row: TenantRow, ref: str) -> bool:
            box_has_lost_it()
            return super()._delete_raw(row, ref)

    before = content(place)
    Busy(place.ports).sweep()
    assert content(place) == before
    assert place.pending("a.lokole.test") == 1


def test_bytes_that_were_posted_again_and_are_still_to_be_read_stay(place: Place, box: BoxAtPlace) -> None:
    arrive(place, "x")
    assert len(box.fetch()) == 1
    sweep_for(place, 30)
    place.clock.pass_by(days=1)
    place.ports.bell.work_inline(lambda: None)
    intake.accept(place.ports, "bob@example.org", ["ben@a.lokole.test"], message(subject="x"))
    Sweeper(place.ports).sweep()
    assert "raw" in keys(place)


def test_a_post_of_the_same_bytes_at_the_moment_in_which_they_are_swept_keeps_them(
    place: Place, box: BoxAtPlace
) -> None:
    box.put([AccountRecord("ben@a.lokole.test", version=1)])
    arrive(place, "x")
    assert len(box.fetch()) == 1
    sweep_for(place, 30)
    place.clock.pass_by(days=1)
    place.ports.bell.work_inline(lambda: None)
    posts: list[threading.Thread] = []

    def post() -> None:
        raw = message(subject="x")
        args = (replace(place.ports, blobs=store), "bob@example.org", ["ben@a.lokole.test"], raw)
        posts.append(threading.Thread(target=intake.accept, args=args))
        posts[0].start()
        posts[0].join(0.5)  # as far as it comes

    store = BusyStore(place.ports.blobs, post, "/raw/")
    Sweeper(replace(place.ports, blobs=store)).sweep()
    posts[0].join()
    assert [key.split("/")[1] for key in store.list("a.lokole.test/raw/")] == ["raw"]


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


def content(place: Place) -> dict[str, str]:
    """What the letters of all tenants say, by subject."""
    with place.ports.database.read() as tx:
        return {row.subject: row.body for row in tx.execute(select(email.c.subject, email.c.body))}


def sweep_for(place: Place, days: int) -> None:
    sweeper = Sweeper(place.ports)
    for _ in range(days):
        place.clock.pass_by(days=1)
        sweeper.sweep()


def test_the_content_of_a_letter_goes_a_month_after_the_box_has_it_and_a_repeat_is_still_known(
    place: Place, box: BoxAtPlace
) -> None:
    raw = message_with_file("old")
    intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], raw)
    sweep_for(place, 40)
    assert len(box.fetch()) == 1  # the month begins here
    sweep_for(place, 29)
    assert list(content(place)) == ["old"]
    sweep_for(place, 3)
    assert content(place) == {"": ""}
    assert "raw" not in keys(place)
    sweep_for(place, 31)
    assert keys(place) == set(), "nor is its file there any more"
    assert place.pending("a.lokole.test") == 0
    intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], raw)
    assert box.fetch() == []


def test_a_letter_stays_for_ever_for_a_person_who_roams(place: Place, box: BoxAtPlace) -> None:
    hashed = "$2b$10$" + "a" * 53
    box.put([AccountRecord("eve@a.lokole.test", language="en", version=1, password_hash=hashed)])
    for name in ("ann", "eve"):
        intake.accept(place.ports, "b@example.org", [f"{name}@a.lokole.test"], message(subject=name))
    box.fetch()
    sweep_for(place, 100)
    assert set(content(place)) == {"", "eve"}
    assert "raw" in keys(place)


def test_a_letter_that_is_still_being_sent_keeps_its_content(place: Place, box: BoxAtPlace) -> None:
    place.world.troubles = [Temporary("busy")] * 3
    letter = Email(Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),), subject="out", body="<p>x</p>")
    box.put([EmailRecord("1", letter)])
    sweep_for(place, 40)
    assert list(content(place)) == ["out"]
    for _ in range(3):
        place.work()
        place.clock.pass_by(hours=8)
    assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
    Sweeper(place.ports).sweep()
    assert content(place) == {"": ""}


def test_a_name_that_two_letters_give_to_one_raw_message_keeps_it_for_the_younger(
    place: Place, box: BoxAtPlace
) -> None:
    box.put([AccountRecord("eve@a.lokole.test", language="en", version=1)])
    intake.accept(place.ports, "b@example.org", ["ann@a.lokole.test"], message(subject="two"))
    box.fetch()
    sweep_for(place, 29)
    intake.accept(place.ports, "b@example.org", ["eve@a.lokole.test"], message(subject="two"))
    box.fetch()
    sweep_for(place, 3)
    assert sorted(content(place)) == ["", "two"]
    assert "raw" in keys(place)


def test_a_clock_that_jumps_makes_nothing_old(place: Place, box: BoxAtPlace) -> None:
    arrive(place)
    box.fetch()
    for years in (12, -50, 40, -2, 0, 12):
        place.clock.pass_by(days=365 * years)
        sweep_for(place, 3)
    assert keys(place) == {"raw", "packages"}
    assert list(content(place)) == ["x"]


def test_a_server_that_was_off_for_weeks_keeps_everything_so_much_longer(place: Place, box: BoxAtPlace) -> None:
    arrive(place)
    box.fetch()
    sweep_for(place, 20)
    place.clock.pass_by(days=60)
    sweep_for(place, 10)
    assert keys(place) == {"raw", "packages"}
    sweep_for(place, 5)
    assert keys(place) == set()


def everything(place: Place) -> set[str]:
    return set(place.ports.blobs.list())


def test_posts_from_outside_to_services_go_after_the_retention_and_so_do_those_that_nobody_wrote_down(
    place: Place,
) -> None:
    form = {"email": (None, message(subject="hello bot"))}
    services, lost = "/api/email/sendgrid/service", "services/raw/nobodys"
    assert place.client.post(services, files=form).status_code == 200
    place.clock.pass_by(days=20)
    other = {"email": (None, message(subject="hello again"))}
    assert place.client.post(services, files=other).status_code == 200
    place.ports.blobs.put(lost, b"its row was never written")
    sweeper = Sweeper(place.ports)
    sweeper.sweep()
    assert len(everything(place)) == 3
    place.clock.pass_by(days=11)
    sweeper.sweep()
    (left,) = everything(place)
    assert [one.raw_ref for one in place.quarantined()] == [left]
    assert b"hello again" in place.ports.blobs.read(left)
    # what comes once more is kept once more
    assert place.client.post(services, files=form).status_code == 200
    assert len(everything(place)) == len(place.quarantined()) == 2


def test_letters_to_the_flat_domain_that_name_nobody_go_after_the_retention(tmp_path: Path) -> None:
    with place_in(tmp_path, flat_domain="lokole.test", flat_webhook="flat-secret-of-16-letters") as place:
        assert place.webhook("flat-secret-of-16-letters", message(), ["nobody@lokole.test"]).status_code == 200
        assert len(everything(place)) == len(place.quarantined()) == 1
        place.clock.pass_by(days=31)
        Sweeper(place.ports).sweep()
        assert everything(place) == set()
        assert place.quarantined() == []
