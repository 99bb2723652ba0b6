"""When the box leaves: slots, what is due, retries, and a clock that cannot be trusted."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lokole.device.box import Box
from lokole.device.schedule import (
    FIRST_PAUSE,
    RETRY_WINDOW,
    Departures,
    Schedule,
    due,
    mended,
    next_slot,
    read_schedule,
    settled,
    write_schedule,
)
from lokole.device.timetable import Timetable
from lokole.mail.cron import falls_on, read_cron
from lokole.mail.errors import Refused
from lokole.mail.model import TenantNo
from lokole.mailbox.database import Database

KINSHASA = ZoneInfo("Africa/Kinshasa")  # UTC+1 all year
PARIS = ZoneInfo("Europe/Paris")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slots(schedule: Schedule, after: str, zone: ZoneInfo, count: int) -> list[str]:
    found, moment = [], at(after)
    for _ in range(count):
        following = next_slot(schedule, moment, zone)
        assert following is not None
        moment = following
        found.append(f"{moment.astimezone(zone):%m-%d %H:%M}")
    return found


def test_a_new_box_leaves_once_a_day_at_two_local_time() -> None:
    assert read_schedule(None) == Schedule(hours=(2,))
    assert next_slot(Schedule(), at("2026-11-23T10:00"), KINSHASA) == at("2026-11-24T01:00")
    assert next_slot(Schedule(), at("2026-11-23T00:59"), KINSHASA) == at("2026-11-23T01:00")


def test_the_slot_itself_is_over_once_it_has_come() -> None:
    assert next_slot(Schedule(), at("2026-11-23T01:00"), KINSHASA) == at("2026-11-24T01:00")


def test_several_hours_on_some_days_only() -> None:
    schedule = read_schedule({"hours": [20, 2], "days": [0, 4]})  # 2026-11-23 is a Monday
    assert slots(schedule, "2026-11-23T10:00", KINSHASA, 4) == [
        "11-23 20:00",
        "11-27 02:00",
        "11-27 20:00",
        "11-30 02:00",
    ]


def test_an_hour_that_summer_time_skips_or_repeats_comes_once() -> None:
    assert slots(Schedule(), "2026-03-28T12:00", PARIS, 2) == ["03-29 03:00", "03-30 02:00"]
    assert slots(Schedule(), "2026-10-24T12:00", PARIS, 2) == ["10-25 02:00", "10-26 02:00"]


def test_cron_counts_its_days_from_sunday() -> None:
    sundays = read_schedule({"cron": "30 3 * * 0"})
    assert slots(sundays, "2026-11-23T10:00", KINSHASA, 2) == ["11-29 03:30", "12-06 03:30"]
    assert slots(read_schedule({"cron": "30 3 * * 7"}), "2026-11-23T10:00", KINSHASA, 1) == ["11-29 03:30"]
    assert slots(read_schedule({"cron": "0 2 * * 1-3"}), "2026-11-23T10:00", KINSHASA, 3) == [
        "11-24 02:00",
        "11-25 02:00",
        "11-30 02:00",
    ]
    assert slots(read_schedule({"cron": "0 2 * * sat,sun"}), "2026-11-23T10:00", KINSHASA, 1) == ["11-28 02:00"]
    assert slots(read_schedule({"cron": "0 2 * * */3"}), "2026-11-23T10:00", KINSHASA, 3) == [
        "11-25 02:00",
        "11-28 02:00",
        "11-29 02:00",
    ]


def test_cron_with_both_kinds_of_day_means_either() -> None:
    schedule = read_schedule({"cron": "0 2 1 * 5"})  # the first of the month, and Fridays
    assert slots(schedule, "2026-11-23T10:00", KINSHASA, 3) == ["11-27 02:00", "12-01 02:00", "12-04 02:00"]


def test_cron_that_never_comes_has_no_slot() -> None:
    assert next_slot(read_schedule({"cron": "0 2 30 2 *"}), at("2026-11-23T10:00"), KINSHASA) is None


@pytest.mark.parametrize(
    "value",
    [
        5,
        {},
        {"hours": []},
        {"hours": [24]},
        {"hours": [-1]},
        {"hours": [True]},
        {"hours": "2"},
        {"hours": [2], "days": [7]},
        {"cron": "0 2 * *"},
        {"cron": "61 2 * * *"},
        {"cron": "0 2 * * 8"},
        {"cron": "0 2 * * fri-"},
        {"cron": "0 2 * * 1/0"},
        {"cron": ""},
    ],
)
def test_what_cannot_be_kept_is_refused(value: object) -> None:
    with pytest.raises(Refused) as caught:
        read_schedule(value)
    assert caught.value.code == "schedule"


@pytest.mark.parametrize(
    "value",
    [
        {"hours": [2], "days": None},
        {"hours": [2, 14], "days": [0, 5]},
        {"cron": "0 2 * * *"},
        {"cron": "*/15 * * * *"},
    ],
)
def test_hours_are_kept_as_they_were_written(value: dict[str, object]) -> None:
    assert write_schedule(read_schedule(value)) == value


_NUMBERS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}


@st.composite
def _fields(draw: st.DrawFn, name: str) -> str:
    low, high = _NUMBERS[name]
    items = []
    for _ in range(draw(st.integers(1, 2))):
        first = draw(st.integers(low, high))
        span = draw(st.sampled_from(["*", str(first), f"{first}-{draw(st.integers(first, high))}"]))
        items.append(span + draw(st.sampled_from(["", "/1", "/2", "/5"])))
    return ",".join(items)


@settings(deadline=None)
@given(st.tuples(*(_fields(name) for name in _NUMBERS)).map(" ".join), st.dates(date(2026, 1, 1), date(2028, 12, 31)))
def test_a_box_leaves_on_the_days_on_which_its_server_waits_for_it(cron: str, day: date) -> None:
    """The page, the server and the clock of the box read cron in one way."""
    fields = read_cron(cron)
    before = datetime.combine(day, time(), tzinfo=UTC) - timedelta(seconds=1)
    following = next_slot(read_schedule({"cron": cron}), before, UTC)
    leaves = following is not None and following.date() == day
    assert leaves == falls_on(fields, day)
    if leaves and following is not None:
        assert (following.hour, following.minute) == (min(fields[1]), min(fields[0]))


def test_a_slot_is_due_once() -> None:
    state = Departures(done_until=at("2026-11-23T10:00"))
    assert due(Schedule(), state, at("2026-11-24T00:59"), KINSHASA) is None
    leaving = due(Schedule(), state, at("2026-11-24T01:00"), KINSHASA)
    assert leaving is not None
    assert due(Schedule(), settled(leaving), at("2026-11-24T01:30"), KINSHASA) is None


def test_a_slot_missed_for_days_is_caught_up_once() -> None:
    leaving = due(Schedule(), Departures(done_until=at("2026-11-23T10:00")), at("2026-12-01T17:00"), KINSHASA)
    assert leaving is not None
    assert next_slot(Schedule(), settled(leaving).done_until, KINSHASA) == at("2026-12-02T01:00")


def test_a_failed_exchange_is_tried_again_with_growing_pauses_until_the_window_ends() -> None:
    now = at("2026-11-24T01:00")
    state = due(Schedule(), Departures(done_until=at("2026-11-23T10:00")), now, KINSHASA)
    pauses = []
    while state is not None and state.retry_at is not None:
        pauses.append(int((state.retry_at - now) / timedelta(minutes=1)))
        now = state.retry_at
        assert due(Schedule(), state, now - timedelta(seconds=1), KINSHASA) is None
        state = due(Schedule(), state, now, KINSHASA)
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert now - at("2026-11-24T01:00") <= RETRY_WINDOW
    assert state is not None
    assert next_slot(Schedule(), state.done_until, KINSHASA) == at("2026-11-25T01:00")


def test_power_lost_on_the_way_is_a_try_that_failed() -> None:
    """What is written down before leaving plans the retry already."""
    leaving = due(Schedule(), Departures(done_until=at("2026-11-23T10:00")), at("2026-11-24T01:00"), KINSHASA)
    assert leaving is not None
    assert leaving.retry_at == at("2026-11-24T01:00") + FIRST_PAUSE


def test_a_state_from_the_future_postpones_nothing() -> None:
    wrong = Departures(
        done_until=at("2038-01-01T00:00"), attempts=1, since=at("2038-01-01T00:00"), retry_at=at("2038-01-01T00:05")
    )
    now = at("2026-11-24T10:00")
    state = mended(wrong, now)
    assert state == Departures(done_until=now, attempts=1, since=now, retry_at=now + FIRST_PAUSE)
    assert next_slot(Schedule(), state.done_until, KINSHASA) == at("2026-11-25T01:00")


@pytest.mark.parametrize(
    ("cron", "leaves"),
    [("0 2 * * *", True), ("0 2 1 1 *", True), ("0 2 30 2 *", False), ("0 2 29 2 *", False), ("0 2 30 2 mon", True)],
)
def test_hours_by_which_the_box_does_not_leave_once_in_a_year_are_refused(box: Box, cron: str, leaves: bool) -> None:
    found = []
    try:
        box.timetable.check({"cron": cron})
    except Refused as error:
        found.append(error.code)
    assert found == ([] if leaves else ["never"])


def test_a_state_of_the_past_stays_as_it_is() -> None:
    state = Departures(
        done_until=at("2026-11-24T01:00"), attempts=2, since=at("2026-11-24T01:00"), retry_at=at("2026-11-24T01:20")
    )
    assert mended(state, at("2026-11-24T01:10")) is state


def test_the_box_tidies_with_its_first_question_and_once_a_day() -> None:
    now = [at("2026-11-23T10:00")]
    done: list[datetime] = []
    timetable = Timetable(
        database=Database("sqlite://"),
        tenant=TenantNo(1),
        clock=lambda: now[0],
        zone=UTC,
        leave=lambda: None,
        tidy=lambda: done.append(now[0]),
    )
    assert [timetable.tidy(), timetable.tidy()] == [True, False]
    for hours in (23, 24, 25, 48):
        now[0] = at("2026-11-23T10:00") + timedelta(hours=hours)
        timetable.tidy()
    assert [f"{moment:%d %H}" for moment in done] == ["23 10", "24 10", "25 10"]
    now[0] = at("1970-01-01T00:00")  # the clock lost its battery
    assert timetable.tidy()
