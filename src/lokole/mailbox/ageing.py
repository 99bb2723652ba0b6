"""What is old, on a machine whose clock may be wrong: days count only when they follow one another.

A clock that jumps to 2038 would make everything too old at once, and what a restored box needs again would be gone.
So each day of the calendar on which the sweeper went round is noted with the numbers that rows had then;
a date that is not one of the next seven is a jump and no day.
A row is old when it was there at a day that many noted days have followed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.schema import email, package

_OPTION = "noted_days"
#: days that may lie between two rounds of a server that was switched off
_MOST_BETWEEN = 7


@dataclass(frozen=True, slots=True)
class Old:
    """The highest numbers that old rows may have; 0 is none."""

    package: int = 0
    email: int = 0


def note_day(tx: Connection, tenant_no: int, now: datetime, longest: timedelta) -> None:
    """Note the date of ``now``; days are kept as long as nothing asks for an age beyond ``longest``."""
    days = _days(tx, tenant_no)
    date = now.date().toordinal()
    if not days or 1 <= date - days[-1][0] <= _MOST_BETWEEN:
        newest = [
            int(tx.execute(select(func.max(column)).where(of == tenant_no)).scalar() or 0)
            for column, of in ((package.c.no, package.c.tenant), (email.c.order_no, email.c.tenant))
        ]
        set_option(tx, tenant_no, _OPTION, [*days, [date, *newest]][-(_count(longest) + 1) :])
    elif date != days[-1][0]:
        days[-1][0] = date
        set_option(tx, tenant_no, _OPTION, days)


def old_rows(tx: Connection, tenant_no: int, age: timedelta) -> Old:
    """Which rows of the tenant have been here for ``age``, as noted days tell."""
    days, wanted = _days(tx, tenant_no), _count(age)
    return Old(*days[-(wanted + 1)][1:]) if len(days) > wanted else Old()


def _days(tx: Connection, tenant_no: int) -> list[list[int]]:
    found = get_option(tx, tenant_no, _OPTION, [])
    return found if isinstance(found, list) else []


def _count(age: timedelta) -> int:
    return math.ceil(age / timedelta(days=1))
