"""Days as the box lives them: one more whenever somebody signs in, or it tidies up, on another date than the last one.

A box without a battery wakes up in 1970 or in ten years. Whatever must end "after some days" ends by this count,
so that a wrong clock neither ends it at once nor keeps it for ever.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option, set_option

_OPTION = "days"


def today(tx: Connection, tenant_no: int) -> int:
    """How many days there were so far, 0 before the first one was noted."""
    found = get_option(tx, tenant_no, _OPTION)
    return int(found["count"]) if isinstance(found, dict) else 0


def note_day(tx: Connection, tenant_no: int, on: date) -> None:
    """It is a day of the box, ``on`` what the clock takes for the date; writes only when that is another one than the last time."""
    found = get_option(tx, tenant_no, _OPTION)
    if not isinstance(found, dict) or found["date"] != on.isoformat():
        set_option(tx, tenant_no, _OPTION, {"date": on.isoformat(), "count": today(tx, tenant_no) + 1})


def as_moment(day: int) -> datetime:
    """``day`` for what notes moments: so many days after a first one, whatever the clock says."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
