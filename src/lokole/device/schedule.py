"""When the box leaves for the server: the hours, and what is due; the clock that asks is in ``timetable.py``.

The schedule is data: the option ``schedule`` holds ``{"hours": [2], "days": null}`` (days 0 is Monday, null is every day)
or ``{"cron": "0 2 * * *"}``; hours are local time, in the time zone of the settings.
The option ``departures`` holds what happened: the moment up to which slots are dealt with, and the retry that is planned.
Nothing in memory is ever the only record: a slot missed while the box was off is due at its start,
and so is one that the clock jumped over.

A failed exchange is tried again with growing pauses inside a window that begins with the first try;
after the window the next slot counts.

A box has no reliable clock. A state from the future (the clock was wrong and went back) is cut to now,
so that it postpones nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.triggers.cron import CronTrigger

from lokole.mail.cron import read_cron
from lokole.mail.errors import Refused
from lokole.mail.model import TenantNo
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.options import get_option, set_option

SCHEDULE_OPTION = "schedule"
DEPARTURES_OPTION = "departures"
#: how long after the first try a failed exchange is tried again
RETRY_WINDOW = timedelta(hours=4)
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)


# --- slots ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours of the day (0 to 23) on days of the week (0 is Monday; empty is every day), or cron syntax instead of both."""

    hours: tuple[int, ...] = (2,)
    days: tuple[int, ...] = ()
    cron: str | None = None


def read_schedule(value: Any) -> Schedule:
    """The schedule that the JSON ``value`` of the option says; None is the default, once a day at 02:00.

    Raises :class:`Refused` with code ``schedule``.
    """
    if value is None:
        return Schedule()
    if not isinstance(value, dict):
        raise Refused("a schedule is an object with hours or cron", code="schedule")
    cron = value.get("cron")
    if cron is not None:
        schedule = Schedule(hours=(), cron=str(cron))
        _triggers(schedule.cron or "", UTC)
        return schedule
    return Schedule(
        hours=_numbers(value.get("hours"), 24, "hours"), days=_numbers(value.get("days") or [], 7, "days", empty=True)
    )


def write_schedule(schedule: Schedule) -> dict[str, Any]:
    """The JSON value of the option."""
    if schedule.cron is not None:
        return {"cron": schedule.cron}
    return {"hours": list(schedule.hours), "days": list(schedule.days) or None}


def as_cron(schedule: Schedule) -> str:
    """The schedule as five fields of cron, whichever way it was written."""
    if schedule.cron is not None:
        return schedule.cron
    days = ",".join(str((day + 1) % 7) for day in schedule.days) or "*"
    return f"0 {','.join(map(str, schedule.hours))} * * {days}"


def next_slot(schedule: Schedule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first slot later than ``after``, in UTC; None when there never is one (the 30th of February)."""
    if schedule.cron is not None:
        moments = [
            trigger.get_next_fire_time(None, after.astimezone(zone) + timedelta(seconds=1))
            for trigger in _triggers(schedule.cron, zone)
        ]
        found = [moment.astimezone(UTC) for moment in moments if moment is not None]
        return min(found, default=None)
    day = after.astimezone(zone).date()
    for _ in range(9):  # a whole week and the days that a jump of the clock may touch
        if not schedule.days or day.weekday() in schedule.days:
            for hour in sorted(schedule.hours):
                # An hour that summer time skips is an hour later, one that it repeats is its first.
                moment = datetime(day.year, day.month, day.day, hour, tzinfo=zone).astimezone(UTC)
                if moment > after:
                    return moment
        day += timedelta(days=1)
    return None


def _numbers(value: Any, limit: int, name: str, *, empty: bool = False) -> tuple[int, ...]:
    valid = isinstance(value, list) and all(
        isinstance(part, int) and not isinstance(part, bool) and 0 <= part < limit for part in value
    )
    if not valid or not (value or empty):
        raise Refused(f"{name} are whole numbers from 0 to {limit - 1}", code="schedule")
    return tuple(sorted(set(value)))


_DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def _triggers(cron: str, zone: tzinfo) -> list[CronTrigger]:
    """The moments of ``cron``; two triggers when both kinds of day are named, because cron means either of them.

    APScheduler reads cron otherwise than everybody else (it counts days of the week from Monday), so it only gets lists of numbers.
    """
    minutes, hours, days, months, weekdays = read_cron(cron)
    named = ",".join(_DAY_NAMES[number] for number in sorted(weekdays))
    kinds = [(_listed(days), named)]
    if len(days) < 31 and len(weekdays) < 7:
        kinds = [(_listed(days), "*"), ("*", named)]
    return [
        CronTrigger(
            minute=_listed(minutes),
            hour=_listed(hours),
            day=on,
            month=_listed(months),
            day_of_week=of_week,
            timezone=zone,
        )
        for on, of_week in kinds
    ]


def _listed(numbers: set[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


# --- what is due ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Departures:
    """``done_until``: slots up to here are dealt with. ``since``: when the first try of the present slot began."""

    done_until: datetime
    attempts: int = 0
    since: datetime | None = None
    retry_at: datetime | None = None


def due(schedule: Schedule, state: Departures, now: datetime, zone: tzinfo) -> Departures | None:
    """The state to write down before leaving now, or None when it is not time.

    What is written down first already plans the retry, so that a box that loses power on the way leaves again.
    """
    slot = next_slot(schedule, state.done_until, zone)
    if slot is not None and slot <= now:
        return Departures(done_until=now, attempts=1, since=now, retry_at=now + FIRST_PAUSE)
    if state.retry_at is not None and state.retry_at <= now and state.since is not None:
        attempts = state.attempts + 1
        retry_at = now + min(FIRST_PAUSE * 2 ** min(attempts - 1, 10), LONGEST_PAUSE)
        planned = retry_at if retry_at <= state.since + RETRY_WINDOW else None
        return Departures(state.done_until, attempts, state.since if planned else None, planned)
    return None


def settled(state: Departures) -> Departures:
    """The state after an exchange that went through: no retry."""
    return Departures(done_until=state.done_until)


def mended(state: Departures, now: datetime) -> Departures:
    """``state`` without what lies in the future: the clock was wrong and went back."""
    if state.done_until <= now and (state.retry_at is None or state.retry_at <= now + LONGEST_PAUSE):
        return state
    return replace(
        state,
        done_until=min(state.done_until, now),
        since=None if state.since is None else min(state.since, now),
        retry_at=None if state.retry_at is None else min(state.retry_at, now + FIRST_PAUSE),
    )


def load_schedule(tx: Connection, tenant: TenantNo) -> Schedule:
    """The schedule in force; one that cannot be read is the default, so that a box never stays at home for ever."""
    try:
        return read_schedule(get_option(tx, tenant, SCHEDULE_OPTION, None))
    except Refused:
        return Schedule()


def load_departures(tx: Connection, tenant: TenantNo) -> Departures | None:
    """What happened until now as it was written down, or None on a box that has never asked."""
    value = get_option(tx, tenant, DEPARTURES_OPTION, None)
    if not isinstance(value, dict):
        return None

    def moment(name: str) -> datetime | None:
        found = value.get(name)
        return from_micros(found) if isinstance(found, int) else None

    done_until = moment("done_until")
    if done_until is None:
        return None
    return Departures(done_until, int(value.get("attempts", 0)), moment("since"), moment("retry_at"))


def save_departures(tx: Connection, tenant: TenantNo, state: Departures) -> None:
    """Write ``state`` down."""

    def micros(moment: datetime | None) -> int | None:
        return None if moment is None else to_micros(moment)

    value = {
        "done_until": micros(state.done_until),
        "attempts": state.attempts,
        "since": micros(state.since),
        "retry_at": micros(state.retry_at),
    }
    set_option(tx, tenant, DEPARTURES_OPTION, value)
