"""When the box leaves for the server: the hours, what is due, and the clock that asks.

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

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from lokole.mail.cron import read_cron
from lokole.mail.errors import LokoleError, Refused
from lokole.mail.model import TenantNo
from lokole.mailbox.database import Connection, Database, from_micros, to_micros
from lokole.mailbox.options import get_option, set_option
from lokole.ports.callables import Clock

SCHEDULE_OPTION = "schedule"
DEPARTURES_OPTION = "departures"
#: how long after the first try a failed exchange is tried again
RETRY_WINDOW = timedelta(hours=4)
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)
#: hours by which a box leaves less often than that are a mistake
LEAVES_WITHIN = timedelta(days=366)
#: how often the clock asks, in seconds
TICK_SECONDS = 30
TIDY_EVERY = timedelta(days=1)

log = logging.getLogger(__name__)


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


# --- the clock that asks -------------------------------------------------------------------------


class Timetable:
    """Asks every half minute whether it is time, and leaves when it is.

    ``leave`` runs one exchange and raises a :class:`LokoleError` when it did not go through; None on a box that meets nobody by a line.
    ``tidy`` is done with the first question and once a day.
    """

    def __init__(
        self,
        *,
        database: Database,
        tenant: TenantNo,
        clock: Clock,
        zone: tzinfo,
        leave: Callable[[], object] | None,
        tidy: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._tenant = tenant
        self._clock = clock
        self._zone = zone
        self._leave = leave
        self._tidy = tidy
        self._tidied_at: datetime | None = None
        self._scheduler: _Ticker | None = None

    def check(self, value: Any) -> None:
        """Raise Refused for a schedule that cannot be read (code ``schedule``), or by which the box leaves not once in a year (``never``)."""
        now = self._clock()
        slot = next_slot(read_schedule(value), now, self._zone)
        if slot is None or slot > now + LEAVES_WITHIN:
            raise Refused("the box would not leave once in a year", code="never")

    def next_departure(self) -> datetime | None:
        """The moment of the next departure as planned now, in UTC; one that is overdue is now."""
        if self._leave is None:
            return None
        now = self._clock()
        with self._database.read() as tx:
            schedule = load_schedule(tx, self._tenant)
            state = mended(load_departures(tx, self._tenant) or Departures(done_until=now), now)
        slot = next_slot(schedule, state.done_until, self._zone)
        candidates = [moment for moment in (slot, state.retry_at) if moment is not None]
        return max(min(candidates), now) if candidates else None

    def tick(self) -> bool:
        """Leave when it is time; says whether it was. Raises nothing that belongs to an exchange."""
        if self._leave is None:
            return False
        now = self._clock()
        with self._database.write() as tx:
            schedule = load_schedule(tx, self._tenant)
            written = load_departures(tx, self._tenant)
            # at the first start nothing was missed
            state = Departures(done_until=now) if written is None else mended(written, now)
            if state != written:
                save_departures(tx, self._tenant, state)
            leaving = due(schedule, state, now, self._zone)
            if leaving is None:
                return False
            save_departures(tx, self._tenant, leaving)
        try:
            self._leave()
        except LokoleError as error:
            log.warning("the exchange did not go through (%s); next try %s", type(error).__name__, leaving.retry_at)
            return True
        with self._database.write() as tx:
            save_departures(tx, self._tenant, settled(leaving))
        return True

    def tidy(self) -> bool:
        """Tidy up when a day has passed since the last time; says whether it was done."""
        now = self._clock()
        if self._tidied_at is not None and abs(now - self._tidied_at) < TIDY_EVERY:
            return False
        self._tidied_at = now
        self._tidy()
        return True

    def start(self) -> None:
        """Begin to ask, in a thread of its own; what was missed is caught up with the first question."""
        self._scheduler = _Ticker(timezone=UTC, daemon=True)
        self._scheduler.add_job(
            self._safe_tick, _Every(TICK_SECONDS), next_run_time=datetime.now(UTC), misfire_grace_time=None
        )
        self._scheduler.start()

    def stop(self) -> None:
        """Ask no more; an exchange under way is not waited for (what it has not finished it repeats)."""
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    def _safe_tick(self) -> None:
        try:
            self.tick()
        except LokoleError as error:
            log.warning("the schedule could not be read: %s", error)
        try:
            self.tidy()
        except LokoleError as error:
            log.warning("the box could not tidy up: %s", error)


class _Every(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """So many seconds after the last time, counted from now.

    APScheduler's own interval makes up a list of every time that was missed: for a clock that was put right by years
    millions of them, until the memory of the box is gone.
    """

    def __init__(self, seconds: float) -> None:
        self._gap = timedelta(seconds=seconds)

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + self._gap


class _Ticker(BackgroundScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """APScheduler, which sleeps until the wall clock says so, on a machine whose clock may go back by years."""

    def _process_jobs(self) -> float | None:
        waits: float | None = super()._process_jobs()
        if waits is not None and waits > 2 * TICK_SECONDS:
            for job in self.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))
            return 0.0
        return waits


__all__ = [
    "Departures",
    "Schedule",
    "Timetable",
    "as_cron",
    "due",
    "load_departures",
    "load_schedule",
    "mended",
    "next_slot",
    "read_schedule",
    "save_departures",
    "settled",
    "write_schedule",
]
