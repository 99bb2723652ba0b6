"""Who was put off at the first try, by a digest of who sends and for whom (RFC 6647): in the database, so that a restart asks nobody twice."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, delete, or_, select, update

from lokole.mailbox.database import Connection, Database, to_micros
from lokole.mailbox.schema import greylisted, recipient
from lokole.mailbox.upsert import insert_new

#: whoever did not come again within this is forgotten
KEEP_WAITING = timedelta(days=2)
#: whoever came again is known for so long after their last letter; longer than a month, for what is sent monthly
KEEP_PASSED = timedelta(days=36)
#: rows of all tenants together; those that were used longest ago go first
MOST_ROWS = 200_000
_NOTE_AGAIN = timedelta(days=1)

_INSERT = insert_new(greylisted)
_HERE = and_(greylisted.c.tenant == bindparam("of"), greylisted.c.key == bindparam("named"))
_FIND = select(greylisted.c.first_at, greylisted.c.last_at, greylisted.c.passed).where(_HERE)


def may_pass(database: Database, tenant_no: int, key: str, delay: timedelta, now: datetime) -> bool:
    """Whether what ``key`` (a digest) stands for was first seen ``delay`` ago, or has passed before; it is noted either way."""
    values = {"of": tenant_no, "named": key}
    with database.read() as tx:
        row = tx.execute(_FIND, values).first()
    at = to_micros(now)
    if row is not None and row.passed and abs(at - row.last_at) < _micros(_NOTE_AGAIN):
        return True
    with database.write() as tx:
        noted = {"tenant": tenant_no, "key": key, "first_at": at, "last_at": at, "passed": False}
        if row is None and _INSERT.run(tx, noted) == 1:
            return False
        row = tx.execute(_FIND, values).one()
        first = min(row.first_at, at)  # a clock that ran ahead must not keep anybody waiting for years
        passes = bool(row.passed) or at - first >= _micros(delay)
        tx.execute(update(greylisted).where(_HERE).values(first_at=first, last_at=at, passed=passes), values)
    return passes


def is_written_to(tx: Connection, tenant_no: int, address: str, key: str) -> bool:
    """Whether somebody of this tenant wrote to ``address`` (``key`` as it is compared): then it may answer."""
    query = select(recipient.c.email).where(recipient.c.tenant == tenant_no, recipient.c.address.in_({address, key}))
    return tx.execute(query.limit(1)).first() is not None


def forget_old(tx: Connection, now: datetime, *, most: int = MOST_ROWS) -> int:
    """Drop who did not come again, and who has not come for long, of all tenants; returns how many."""
    at = to_micros(now)
    old = or_(
        and_(greylisted.c.passed.is_(False), greylisted.c.last_at < at - _micros(KEEP_WAITING)),
        greylisted.c.last_at < at - _micros(KEEP_PASSED),
    )
    count = tx.execute(delete(greylisted).where(old)).rowcount
    over = select(greylisted.c.last_at).order_by(greylisted.c.last_at.desc()).offset(most).limit(1)
    last = tx.execute(over).scalar()
    if last is not None:
        count += tx.execute(delete(greylisted).where(greylisted.c.last_at <= last)).rowcount
    return count


def _micros(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
