"""A day passes by an injected clock, and letters go without anybody's hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.config import Url
from lokole.device.box import Box
from lokole.device.schedule import DEPARTURES_OPTION, SCHEDULE_OPTION
from lokole.device.timetable import TICK_SECONDS, _Every, _Ticker
from lokole.mail.model import DeliveryState
from lokole.mailbox import deleted, lists, recipients
from lokole.mailbox.options import get_option, set_option
from lokole.testing import FrozenClock, make_box
from tests.unit.device.people import ZSTD, Flaky, incoming, package_of, person, subjects_of, write

KINSHASA = ZoneInfo("Africa/Kinshasa")


def let_pass(box: Box, clock: FrozenClock, **parts: float) -> int:
    """Let time pass as the box lives it, asking every quarter of an hour; returns how often it left."""
    until = clock() + timedelta(**parts)
    left = 0
    while clock() < until:
        clock.advance(minutes=15)
        left += box.timetable.tick()
    return left


def test_a_day_passes_and_the_letter_is_gone(tmp_path: Path) -> None:
    clock, peer = FrozenClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC)), InProcessExchange()
    box = make_box(tmp_path, peer=peer, clock=clock, zone=KINSHASA)
    box.timetable.tick()
    no = write(box, "ann", "bob@example.org", "By itself")

    assert box.timetable.next_departure() == datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
    assert let_pass(box, clock, hours=15) == 0
    assert peer.uploaded == []
    assert let_pass(box, clock, hours=9) == 1

    assert subjects_of(peer.uploaded[0]) == ["By itself"]
    with box.ports.database.read() as tx:
        assert [one.state for one in recipients.deliveries(tx, box.tenant, no)] == [DeliveryState.AT_SERVER]
    assert box.timetable.next_departure() == datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
    box.ports.database.close()


def test_a_new_box_does_not_leave_at_its_first_start(box: Box) -> None:
    assert box.timetable.tick() is False
    assert box.timetable.tick() is False


def test_a_slot_missed_while_the_box_was_off_is_caught_up_at_its_start(tmp_path: Path) -> None:
    clock = FrozenClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    first = make_box(tmp_path, peer=InProcessExchange(), clock=clock)
    first.timetable.tick()
    first.ports.database.close()
    clock.advance(days=3)
    peer = InProcessExchange()
    again = make_box(tmp_path, peer=peer, clock=clock)
    write(again, "ann", "bob@example.org")
    assert again.timetable.next_departure() == clock()
    assert again.timetable.tick() is True
    assert len(peer.uploaded) == 1
    assert again.timetable.tick() is False
    again.ports.database.close()


def test_a_night_without_a_line_is_tried_again_until_it_works(tmp_path: Path) -> None:
    clock, peer = FrozenClock(datetime(2026, 11, 24, 1, 45, tzinfo=UTC)), Flaky("upload")
    box = make_box(tmp_path, peer=peer, clock=clock)
    box.timetable.tick()
    write(box, "ann", "bob@example.org")
    clock.advance(minutes=15)
    assert box.timetable.tick() is True
    assert peer.uploaded == []
    assert box.timetable.next_departure() == clock() + timedelta(minutes=5)
    clock.advance(minutes=5)
    assert box.timetable.tick() is True
    assert len(peer.uploaded) == 1
    assert box.timetable.next_departure() == datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
    box.ports.database.close()


def test_a_new_schedule_counts_from_the_next_question_on(box: Box, clock: FrozenClock) -> None:
    box.timetable.tick()
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, SCHEDULE_OPTION, {"cron": "30 * * * *"})
    assert box.timetable.next_departure() == clock.now.replace(minute=30)
    assert let_pass(box, clock, hours=3) == 3


def test_a_schedule_that_cannot_be_read_is_the_default(box: Box) -> None:
    box.timetable.tick()
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, SCHEDULE_OPTION, {"cron": "whenever"})
    assert box.timetable.next_departure() == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def test_a_clock_that_was_years_ahead_postpones_nothing_once_it_is_right(box: Box, clock: FrozenClock) -> None:
    clock.advance(days=4000)
    box.timetable.tick()
    clock.advance(days=-4000)
    assert box.timetable.next_departure() == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    assert let_pass(box, clock, hours=17) == 1


def test_a_clock_that_began_in_1970_leaves_as_soon_as_it_is_right(box: Box, clock: FrozenClock) -> None:
    right = clock()
    clock.now = datetime(1970, 1, 1, tzinfo=UTC)
    box.timetable.tick()
    clock.now = right
    assert box.timetable.tick() is True
    assert box.timetable.tick() is False


def test_an_unregistered_box_keeps_its_hours_without_trouble(tmp_path: Path) -> None:
    clock = FrozenClock()
    box = make_box(tmp_path, peer=InProcessExchange(), clock=clock, registered=False)
    box.timetable.tick()
    assert let_pass(box, clock, days=2) == 2
    with box.ports.database.read() as tx:
        assert get_option(tx, box.tenant, DEPARTURES_OPTION)["retry_at"] is None
    box.ports.database.close()


def test_the_thread_that_asks_survives_a_clock_that_goes_back_by_years() -> None:
    """APScheduler sleeps until the wall clock says so; here it believes that this is in twelve years."""
    ticker = _Ticker(timezone=UTC)
    ticker.start(paused=True)
    try:
        asked: list[str] = []
        ticker.add_job(asked.append, _Every(TICK_SECONDS), ["tick"], id="tick")
        job = ticker.get_job("tick")
        job.modify(next_run_time=datetime.now(UTC) + timedelta(days=4400))
        ticker.resume()
        assert ticker._process_jobs() == 0.0 or job.next_run_time <= datetime.now(UTC) + timedelta(seconds=TICK_SECONDS)
        assert ticker.get_job("tick").next_run_time <= datetime.now(UTC) + timedelta(seconds=TICK_SECONDS)
    finally:
        ticker.shutdown()


def test_a_box_that_only_carriers_reach_never_leaves_and_tidies_up(tmp_path: Path) -> None:
    clock, peer = FrozenClock(), InProcessExchange()
    made = make_box(tmp_path, peer=peer, clock=clock)
    box = Box(made.ports, replace(made.settings, uplink=Url("none:")))
    key = f"{box.row().domain}/{'ab' * 32}"
    box.ports.blobs.put(key, b"chosen for a letter that was never sent")
    write(box, "ann", "bob@example.org")
    for _ in range(40):
        clock.advance(days=1)
        assert not box.timetable.tick()
        assert box.timetable.tidy()
    assert box.timetable.next_departure() is None
    assert peer.uploaded == []
    assert key not in set(box.ports.blobs.list())
    box.ports.database.close()


def test_a_wrong_clock_empties_nothing_that_was_deleted_a_moment_ago(tmp_path: Path) -> None:
    clock, peer = FrozenClock(), InProcessExchange()
    box = make_box(tmp_path, peer=peer, clock=clock)
    ann = person(box, "ann")
    peer.offer(package_of(incoming(1, str(ann.address), "dear")), type=ZSTD)
    assert box.sync().result == "ok"
    with box.ports.database.write() as tx:
        (row,) = lists.list_folder(tx, ann, "inbox").rows
        lists.set_flag(tx, ann, row.no, "deleted", True, "device-1")

    def kept() -> int:
        box.tidy()
        with box.ports.database.read() as tx:
            return deleted.list_deleted(tx, ann).total

    right = clock()
    for wrong in (datetime(1970, 1, 1, tzinfo=UTC), right, datetime(2038, 1, 1, tzinfo=UTC), right):
        clock.now = wrong
        assert kept() == 1
    left = []
    for _ in range(31):
        clock.advance(days=1)
        left.append(kept())
    assert (left[20], left[-1]) == (1, 0)
    box.ports.database.close()


def test_a_clock_that_is_put_right_by_years_makes_up_no_list_of_missed_times() -> None:
    ticker = _Ticker(timezone=UTC)
    ticker.start(paused=True)
    try:
        ticker.add_job(list, _Every(TICK_SECONDS), id="tick", next_run_time=datetime(1970, 1, 1, tzinfo=UTC))
        now = datetime.now(UTC)
        assert len(ticker.get_job("tick")._get_run_times(now)) == 1
        ticker.resume()
        assert (ticker._process_jobs() or 0) <= 2 * TICK_SECONDS
    finally:
        ticker.shutdown()
