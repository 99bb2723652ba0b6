"""The clock that asks every half minute whether the box leaves (``schedule.py``), and leaves when it is time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from lokole.device.schedule import (
    Departures,
    due,
    load_departures,
    load_schedule,
    mended,
    next_slot,
    read_schedule,
    save_departures,
    settled,
)
from lokole.mail.errors import LokoleError, Refused
from lokole.mail.model import TenantNo
from lokole.mailbox.database import Database
from lokole.ports.callables import Clock

#: hours by which a box leaves less often than that are a mistake
LEAVES_WITHIN = timedelta(days=366)
#: how often the clock asks, in seconds
TICK_SECONDS = 30
TIDY_EVERY = timedelta(days=1)

log = logging.getLogger(__name__)


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
