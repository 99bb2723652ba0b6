"""What went between the devices and this server, and how much waits, in letters and bytes: numbers for its operator.

They come from the packages that one end holds for good, so a visit with nothing to say, and one that broke off, count nothing.
No word of any letter is read but its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, case, func, or_, select

from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import attachment, email, package, waiting

_DAY = 24 * 60 * 60 * 1_000_000
_UP, _DOWN = package.c.direction == "up", package.c.direction == "down"
#: when the end that it is for had it: what came here is held from its first moment on
_WHEN = case((_UP, package.c.created_at), else_=package.c.changed_at)
_ARRIVED = or_(and_(_UP, package.c.state.in_(("held", "unpacked"))), and_(_DOWN, package.c.state == "acknowledged"))


@dataclass(frozen=True, slots=True)
class Traffic:
    """Letters and bytes of packages that arrived; up is from the device to the server. ``devices`` is how many of them took part."""

    letters_up: int = 0
    letters_down: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    devices: int = 0

    def fields(self) -> dict[str, int]:
        """For programs, without ``devices``."""
        return {
            "letters_up": self.letters_up,
            "letters_down": self.letters_down,
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
        }


def by_tenant(tx: Connection, since: datetime, whose: Select[tuple[int]] | None = None) -> Mapping[int, Traffic]:
    """What arrived since ``since`` by the number of the device's row, for all or for ``whose``; who is not named had nothing."""
    query = _sums(since, whose).add_columns(package.c.tenant.label("key")).group_by(package.c.tenant)
    return {row.key: _traffic(row) for row in tx.execute(query)}


def by_day(
    tx: Connection, now: datetime, days: int, whose: Select[tuple[int]] | None = None
) -> list[tuple[date, Traffic]]:
    """The last ``days`` days (UTC) up to ``now``, oldest first, each one there; of all devices, or of ``whose``."""
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=days - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=UTC)
    day = _WHEN - _WHEN % _DAY
    query = _sums(since, whose).add_columns(day.label("key")).group_by(day)
    found = {from_micros(row.key).date(): _traffic(row) for row in tx.execute(query)}
    every = (first + timedelta(days=n) for n in range(days))
    return [(one, found.get(one, Traffic())) for one in every]


def waiting_bytes(tx: Connection, whose: Select[tuple[int]] | None = None) -> Mapping[int, int]:
    """About how many bytes the letters have that wait for each device (of ``whose``): texts and files before they are packed."""
    some = select(waiting.c.tenant, waiting.c.email).where(
        waiting.c.direction == "down", waiting.c.state.in_(("waiting", "packed"))
    )
    if whose is not None:
        some = some.where(waiting.c.tenant.in_(whose))
    letters = some.distinct().subquery()
    texts = (
        select(letters.c.tenant, func.sum(func.length(email.c.body) + func.length(email.c.subject)).label("size"))
        .join(email, email.c.order_no == letters.c.email)
        .group_by(letters.c.tenant)
    )
    files = (
        select(letters.c.tenant, func.sum(attachment.c.size).label("size"))
        .join(attachment, attachment.c.email == letters.c.email)
        .group_by(letters.c.tenant)
    )
    found: dict[int, int] = {}
    for query in (texts, files):
        for row in tx.execute(query):
            found[row.tenant] = found.get(row.tenant, 0) + int(row.size or 0)
    return found


def _sums(since: datetime, whose: Select[tuple[int]] | None) -> Select[Any]:
    def sum_of(direction: Any, column: Any) -> Any:
        return func.coalesce(func.sum(case((direction, column), else_=0)), 0)

    query = select(
        sum_of(_UP, package.c.letters).label("letters_up"),
        sum_of(_DOWN, package.c.letters).label("letters_down"),
        sum_of(_UP, package.c.size).label("bytes_up"),
        sum_of(_DOWN, package.c.size).label("bytes_down"),
        func.count(package.c.tenant.distinct()).label("devices"),
    ).where(_ARRIVED, to_micros(since) <= _WHEN)
    return query if whose is None else query.where(package.c.tenant.in_(whose))


def _traffic(row: Row[Any]) -> Traffic:
    return Traffic(int(row.letters_up), int(row.letters_down), int(row.bytes_up), int(row.bytes_down), int(row.devices))
