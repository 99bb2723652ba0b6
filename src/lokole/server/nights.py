"""How many nights a box has missed: by the hours that it told (protocol 7.8), or, of a box that told none, by nights of 24 hours.

A day counts once, however often the box leaves on it, and only when all its departures are long over: a box tries for hours,
and perhaps waits for the sun.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from lokole.mail.cron import falls_on, read_cron
from lokole.mail.errors import Refused
from lokole.mailbox.tenants import CLAIMED, TenantRow

#: so long after its last departure of a day a box is missed
GRACE = timedelta(hours=12)
#: a box that was here so shortly before a departure, by hand or by a clock that is fast, is not missed at it
EARLY = timedelta(hours=6)
#: a box that told nothing and has not been here for so long has missed a night
_A_NIGHT = timedelta(hours=24) + GRACE
#: percent of a modem's signal, below which it may be why a box stays away
WEAK_SIGNAL = 30
#: further back is not counted
MOST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Plan:
    """When a box leaves: the fields of cron as ``mail/cron.py`` reads them, in the time of ``zone``."""

    fields: list[set[int]]
    zone: tzinfo

    def missed(self, since: datetime, now: datetime) -> int:
        """On how many days between ``since``, when the box was here, and ``now`` it was to leave and did not come."""
        minutes, hours, *_ = self.fields
        first, last = time(min(hours), min(minutes)), time(max(hours), max(minutes))
        begin = since.astimezone(self.zone).replace(tzinfo=None) + EARLY
        end = now.astimezone(self.zone).replace(tzinfo=None) - GRACE
        days = (end.date() - timedelta(days=n) for n in range(MOST_DAYS))
        return sum(1 for day in days if self._is_missed(day, begin, end, first, last))

    def _is_missed(self, day: date, begin: datetime, end: datetime, first: time, last: time) -> bool:
        return (
            day >= begin.date()
            and falls_on(self.fields, day)
            and datetime.combine(day, first) > begin
            and datetime.combine(day, last) <= end
        )


def weak_signal(said: Any) -> str:
    """What stands behind the nights of a box whose modem heard little when it was last here (``signal`` of its health); else nothing."""
    signal = said.get("signal") if isinstance(said, Mapping) else None
    is_weak = isinstance(signal, int) and not isinstance(signal, bool) and 0 <= signal < WEAK_SIGNAL
    return ", last signal weak" if is_weak else ""


def read_plan(said: Any) -> Plan | None:
    """What a box said of its hours among its health, or None; of a zone that nobody knows here the hours count as UTC."""
    leaves = said.get("leaves") if isinstance(said, Mapping) else None
    if not isinstance(leaves, str):
        return None
    try:
        fields = read_cron(leaves)
    except Refused:
        return None
    try:
        zone: tzinfo = ZoneInfo(str(said.get("zone", "UTC")))
    except (KeyError, ValueError, OSError):  # what a box says may be anything, a path too
        zone = UTC
    return Plan(fields, zone)


def nights_missed(row: TenantRow, said: Any, now: datetime) -> int:
    """How many nights the box of ``row``, which ``said`` so of itself, has not been here; 0 for one that was never here."""
    if row.last_visit_at is None or row.state != CLAIMED:
        return 0
    plan = read_plan(said)
    if plan is not None:
        return plan.missed(row.last_visit_at, now)
    away = now - row.last_visit_at
    return 0 if away <= _A_NIGHT else away // timedelta(days=1)
