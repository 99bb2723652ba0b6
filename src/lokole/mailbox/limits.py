"""Counters that slow down guessing, in the database: a power cut does not reset them and workers share them.

A window that ends later than one that begins now was begun by a clock that ran ahead: it is over, or a jump would keep people out for years.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, select

from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import limit_count
from lokole.mailbox.upsert import insert_or_update

_ADD = insert_or_update(
    limit_count,
    ["key"],
    "count = CASE WHEN limit_count.expires_at <= :now OR limit_count.expires_at > excluded.expires_at"
    " THEN excluded.count ELSE limit_count.count + excluded.count END,"
    " expires_at = CASE WHEN limit_count.expires_at <= :now OR limit_count.expires_at > excluded.expires_at"
    " THEN excluded.expires_at ELSE limit_count.expires_at END",
    returning="count",
)
_FIND = select(limit_count.c.count, limit_count.c.expires_at).where(limit_count.c.key == bindparam("key"))
_TAKEN = select(limit_count.c.key, limit_count.c.expires_at).where(
    limit_count.c.key.in_(bindparam("keys", expanding=True)),
    limit_count.c.expires_at > bindparam("now"),
    limit_count.c.expires_at <= bindparam("latest"),
)
#: longer than any window
_AGES = timedelta(days=100)
_MAX_KEY = 200


def add_count(tx: Connection, key: str, window: timedelta, now: datetime, amount: int = 1) -> int:
    """Count ``amount`` under ``key``; the window begins with the first count and the sum so far is returned."""
    values = {"key": _short(key), "count": amount, "expires_at": to_micros(now + window), "now": to_micros(now)}
    return int(_ADD.first(tx, values))


def take_place(tx: Connection, key: str, places: int, window: timedelta, now: datetime) -> int | None:
    """Take one of ``places`` under ``key`` (printable, at most 190 characters), each free again ``window`` after it was taken; None when all are taken, else how many are left.

    Unlike a counter with a fixed window it lets no more than ``places`` through in any stretch of time as long as ``window``.
    """
    names = [f"{key}/{n}" for n in range(places)]
    taken = set(tx.execute(_TAKEN, {"keys": names, "now": to_micros(now), "latest": to_micros(now + window)}).scalars())
    free = [name for name in names if name not in taken]
    if not free:
        return None
    add_count(tx, free[0], window, now)
    return len(free) - 1


def give_place(tx: Connection, key: str, places: int, window: timedelta, now: datetime) -> None:
    """Give back the place under ``key`` that was taken last; does nothing when none is taken."""
    asked = {"keys": [f"{key}/{n}" for n in range(places)], "now": to_micros(now), "latest": to_micros(now + window)}
    taken = sorted(tx.execute(_TAKEN, asked), key=lambda row: row.expires_at)
    if taken:
        clear_count(tx, taken[-1].key)


def get_count(tx: Connection, key: str, now: datetime) -> int:
    """The sum in the running window, 0 without one."""
    row = tx.execute(_FIND, {"key": _short(key)}).first()
    return int(row[0]) if row is not None and _runs(row.expires_at, now) else 0


def get_expiry(tx: Connection, key: str, now: datetime) -> datetime:
    """When the running window ends; ``now`` without one."""
    row = tx.execute(_FIND, {"key": _short(key)}).first()
    return from_micros(row.expires_at) if row is not None and _runs(row.expires_at, now) else now


def clear_count(tx: Connection, key: str) -> None:
    """Forget one counter."""
    tx.execute(delete(limit_count).where(limit_count.c.key == _short(key)))


def reset_counts(tx: Connection) -> int:
    """Forget all counters; returns how many."""
    return tx.execute(delete(limit_count)).rowcount


def forget_expired(tx: Connection, now: datetime) -> int:
    """Drop counters whose window is over; returns how many."""
    return tx.execute(delete(limit_count).where(limit_count.c.expires_at <= to_micros(now))).rowcount


def _runs(expires_at: int, now: datetime) -> bool:
    return to_micros(now) < expires_at <= to_micros(now + _AGES)


def _short(key: str) -> str:
    if len(key) <= _MAX_KEY and key.isprintable():
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
