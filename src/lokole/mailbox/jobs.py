"""Work to do, as rows: queued in the transaction that makes it necessary, done at least once.

A worker leases a row for a while and says with its lease token that the row is done, in the transaction that holds the job's results;
when the lease went to somebody else meanwhile, that transaction fails as a whole.
The row is the truth; whatever rings a bell for it is somewhere else.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, case, delete, func, or_, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import TenantNo
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import job
from lokole.mailbox.upsert import insert_new, insert_or_update
from lokole.ports.callables import Entropy

#: nothing is put off for so long: what is due, or leased, beyond that was written by a clock that was wrong
_BEYOND = timedelta(days=2)
#: the moment of work that nothing puts off: rows of one moment are done in the order of their numbers
_AT_ONCE = 0

_COLUMNS = [column.name for column in job.columns if column.name != "no"]
_INSERT = insert_new(job, _COLUMNS)
# a row at work keeps its lease; `asked` then tells finish() that it is not done yet
_AGAIN = insert_or_update(
    job,
    ["kind", "key"],
    "ids = excluded.ids, run_after = excluded.run_after, error = '',"
    " attempts = CASE WHEN job.state = 'ready' THEN job.attempts ELSE 0 END, state = 'ready', asked = job.asked + 1,"
    " rung_at = NULL",
    _COLUMNS,
)

_FREE = or_(
    job.c.lease_until.is_(None), job.c.lease_until <= bindparam("moment"), job.c.lease_until > bindparam("beyond")
)
#: the numbers of the rows that may be leased, oldest first; those that another transaction holds are left out
_DUE: Select[int] = (
    select(job.c.no)
    .where(job.c.state == "ready", or_(job.c.run_after <= bindparam("moment"), job.c.run_after > bindparam("beyond")))
    .where(_FREE)
    .order_by(job.c.run_after, job.c.no)
    .with_for_update(skip_locked=True)
)
_NEXT = _DUE.where(job.c.no.not_in(bindparam("busy", expanding=True))).limit(1)
_TAKE = (
    update(job)
    .where(job.c.no == bindparam("found"))
    .values(lease_token=bindparam("token"), lease_until=bindparam("until"), attempts=job.c.attempts + 1)
    .returning(*job.columns)
)
# what was queued again while it was at work is due once more
_FINISH = (
    update(job)
    .where(job.c.no == bindparam("no_"), job.c.lease_token == bindparam("token"))
    .values(
        lease_token=None,
        lease_until=None,
        rung_at=None,
        state=case((job.c.asked == bindparam("asked_"), "done"), else_="ready"),
        error="",
    )
)


@dataclass(frozen=True, slots=True)
class Job:
    """A leased row: ``ids`` say what to work on, ``attempts`` counts this one, ``lease_token`` proves whose it is."""

    no: int
    tenant: TenantNo | None
    kind: str
    key: str
    ids: dict[str, Any]
    attempts: int
    asked: int
    lease_token: str
    lease_until: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that was given up, with the type and place of its last failure."""

    no: int
    tenant: TenantNo | None
    kind: str
    key: str
    attempts: int
    error: str


class LeaseLost(Refused):
    """The lease ran out and the row went to somebody else: undo everything."""

    def __init__(self) -> None:
        super().__init__("the lease went to another worker", code="lease-lost")


def enqueue(
    tx: Connection,
    kind: str,
    key: str,
    ids: Mapping[str, Any],
    *,
    tenant: int | None,
    now: datetime,
    run_after: datetime | None = None,
    again: bool = False,
) -> bool:
    """Queue work in the caller's transaction; ``ids`` is small JSON, ids only, never content.

    (``kind``, ``key``) is one row for ever: a repeat changes nothing and gives False. With ``again`` a row that is there
    is made ready once more (for work that recurs under one name), also when a worker has it just now.
    Without ``run_after`` it is due at once, after all that was queued before, whatever the clock did in between.
    """
    values = {
        "tenant": tenant,
        "kind": kind,
        "key": key,
        "ids": _ids_text(ids),
        "run_after": _AT_ONCE if run_after is None else to_micros(run_after),
        "attempts": 0,
        "asked": 1,
        "lease_token": None,
        "lease_until": None,
        "rung_at": None,
        "state": "ready",
        "error": "",
        "created_at": to_micros(now),
    }
    return (_AGAIN if again else _INSERT).run(tx, values) == 1


def lease(
    tx: Connection,
    *,
    now: datetime,
    lease_seconds: float,
    entropy: Entropy,
    kinds: Sequence[str] | None = None,
    no: int | None = None,
    busy: Collection[int] = (),
) -> Job | None:
    """Take the row that is due for longest (of ``kinds``; or just the row ``no``), or None when nothing is.

    A row whose lease ran out is due, and one whose times lie days ahead: the clock was wrong when they were written.
    Never one of ``busy``, which the caller knows to be at work, whatever the clock makes of their leases.
    Commit at once, so that others see the lease.
    """
    moment = to_micros(now)
    values = {"moment": moment, "beyond": to_micros(now + _BEYOND), "busy": list(busy)}
    due = _NEXT
    if kinds is not None:
        due = due.where(job.c.kind.in_(list(kinds)))
    if no is not None:
        due = due.where(job.c.no == no)
    found = tx.execute(due, values).scalar()
    if found is None:
        return None
    until = moment + round(lease_seconds * 1_000_000)
    return _job_of(tx.execute(_TAKE, {"found": found, "token": entropy(16).hex(), "until": until}).one())


def take_unrung(tx: Connection, *, now: datetime, again_after: timedelta, limit: int = 100) -> list[int]:
    """The numbers of rows that are due, leased by nobody, and of which no broker was told since ``again_after``; oldest first.

    They count as told from here on, so that no other process tells of them too; see :func:`unring`.
    """
    moment = to_micros(now)
    # a time in the future was written by a clock that was wrong
    untold = or_(
        job.c.rung_at.is_(None), job.c.rung_at <= to_micros(now - again_after), job.c.rung_at > to_micros(now + _BEYOND)
    )
    values = {"moment": moment, "beyond": to_micros(now + _BEYOND)}
    due = list(tx.execute(_DUE.where(untold).limit(limit), values).scalars())
    if due:
        tx.execute(update(job).where(job.c.no.in_(due)).values(rung_at=moment))
    return due


def unring(tx: Connection, numbers: Collection[int]) -> None:
    """The broker was not reached: these rows are told of as soon as it is."""
    tx.execute(update(job).where(job.c.no.in_(list(numbers))).values(rung_at=None))


def unring_all(tx: Connection) -> None:
    """The broker has forgotten everything: every row that is ready is told of anew."""
    tx.execute(update(job).where(job.c.state == "ready", job.c.rung_at.is_not(None)).values(rung_at=None))


def renew(tx: Connection, mine: Job, *, now: datetime, lease_seconds: float) -> None:
    """Keep the lease for ``lease_seconds`` from ``now``; raises :class:`LeaseLost`."""
    until = to_micros(now) + round(lease_seconds * 1_000_000)
    _mine(tx, mine, lease_until=until)


def finish(tx: Connection, mine: Job) -> None:
    """The job is done; call it in the transaction that holds its results. Raises :class:`LeaseLost` when it is not mine any more."""
    values = {"no_": mine.no, "token": mine.lease_token, "asked_": mine.asked}
    if tx.execute(_FINISH, values).rowcount != 1:
        raise LeaseLost


def fail(tx: Connection, mine: Job, *, now: datetime, retry_in: timedelta | None, error: str) -> None:
    """The job failed: due again after ``retry_in``, or dead when None. ``error`` is the type and place of the failure, never content.

    Raises :class:`LeaseLost` when it is not mine any more.
    """
    if retry_in is None:
        _mine(tx, mine, lease_token=None, lease_until=None, state="dead", error=error[:500])
    else:
        due = to_micros(now + retry_in)
        _mine(tx, mine, lease_token=None, lease_until=None, rung_at=None, run_after=due, error=error[:500])


def revive(tx: Connection, no: int, now: datetime) -> None:
    """Try a dead job again (an operator asked for it); raises NotFound when there is no such dead job."""
    if not _revive(tx, now, job.c.no == no, job.c.state == "dead"):
        raise NotFound("no work of this number was given up")


def revive_all(tx: Connection, now: datetime) -> int:
    """Try every dead job again; returns how many."""
    return _revive(tx, now, job.c.state == "dead")


def repeat(tx: Connection, tenant: int | None, kind: str, named: str, now: datetime) -> int:
    """Do work of this kind once more whose ids name ``named``, also when it was done; returns how many rows there were."""
    return _revive(
        tx, now, job.c.tenant == tenant, job.c.kind == kind, job.c.ids.contains(named), job.c.state != "ready"
    )


def _revive(tx: Connection, now: datetime, *which: ColumnElement[bool]) -> int:
    # `asked` tells the work that somebody asked for it once more
    values = {"state": "ready", "attempts": 0, "asked": job.c.asked + 1, "rung_at": None, "run_after": to_micros(now)}
    return tx.execute(update(job).where(*which).values(values)).rowcount


def next_due(
    tx: Connection, now: datetime, kinds: Sequence[str] | None = None, busy: Collection[int] = ()
) -> datetime | None:
    """When the next row but those of ``busy`` is due, which may be in the past; None when nothing is queued.

    Leased rows are due when their lease ends.
    """
    due: ColumnElement[int] = func.coalesce(job.c.lease_until, job.c.run_after)
    due = case((due > to_micros(now + _BEYOND), to_micros(now)), else_=due)  # as lease() sees it
    query = select(func.min(due)).where(job.c.state == "ready")
    if busy:
        query = query.where(job.c.no.not_in(list(busy)))
    if kinds is not None:
        query = query.where(job.c.kind.in_(list(kinds)))
    found = tx.execute(query).scalar()
    return None if found is None else from_micros(found)


def count_jobs(tx: Connection, state: str, kind: str | None = None) -> int:
    """How many rows are ``ready``, ``done`` or ``dead``."""
    query = select(func.count()).select_from(job).where(job.c.state == state)
    if kind is not None:
        query = query.where(job.c.kind == kind)
    return int(tx.execute(query).scalar_one())


def due_since() -> ColumnElement[int]:
    """Since when a row has been due, or will be: work that nothing puts off has been since it was queued."""
    return case((job.c.run_after > job.c.created_at, job.c.run_after), else_=job.c.created_at)


def is_dead(tx: Connection, kind: str, key: str) -> bool:
    """Whether that work was given up."""
    query = select(job.c.no).where(job.c.kind == kind, job.c.key == key, job.c.state == "dead")
    return tx.execute(query).first() is not None


def dead_keys(tx: Connection, kind: str) -> set[str]:
    """What of that kind of work was given up."""
    return set(tx.execute(select(job.c.key).where(job.c.kind == kind, job.c.state == "dead")).scalars())


def dead_jobs(tx: Connection, limit: int = 100) -> list[DeadJob]:
    """What was given up, newest first."""
    rows = tx.execute(select(job).where(job.c.state == "dead").order_by(job.c.no.desc()).limit(limit))
    return [DeadJob(row.no, row.tenant, row.kind, row.key, row.attempts, row.error) for row in rows]


def count_kinds(tx: Connection) -> dict[tuple[str, str], int]:
    """How many rows of each (kind, state) there are."""
    query = select(job.c.kind, job.c.state, func.count()).group_by(job.c.kind, job.c.state)
    return {(kind, state): count for kind, state, count in tx.execute(query.order_by(job.c.kind, job.c.state))}


def forget_done(tx: Connection, before: datetime) -> int:
    """Drop what is done and was queued before a moment; returns how many. Its keys may then be queued anew."""
    statement = delete(job).where(job.c.state == "done", job.c.created_at < to_micros(before))
    return tx.execute(statement).rowcount


def _ids_text(ids: Mapping[str, Any]) -> str:
    return json.dumps(dict(ids), separators=(",", ":"), sort_keys=True)


def _mine(tx: Connection, mine: Job, **values: Any) -> None:
    statement = update(job).where(job.c.no == mine.no, job.c.lease_token == mine.lease_token)
    if tx.execute(statement.values(**values)).rowcount != 1:
        raise LeaseLost


def _job_of(row: Row[Any]) -> Job:
    return Job(
        no=row.no,
        tenant=None if row.tenant is None else TenantNo(row.tenant),
        kind=row.kind,
        key=row.key,
        ids=json.loads(row.ids),
        attempts=row.attempts,
        asked=row.asked,
        lease_token=row.lease_token,
        lease_until=from_micros(row.lease_until),
        created_at=from_micros(row.created_at),
    )
