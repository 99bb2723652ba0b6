"""Letters that a filter takes for junk: kept apart with their envelope, not carried over an expensive line, and let through by hand.

They stay as long as other letters do (retention); then their bytes go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from lokole.mail.errors import NotFound
from lokole.mailbox import jobs
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.jobs import Job
from lokole.mailbox.quarantine import get_quarantined, quarantine
from lokole.mailbox.schema import email, job
from lokole.mailbox.schema import quarantine as table
from lokole.mailbox.tenants import TenantRow
from lokole.server.judgement import Judgement
from lokole.server.ports import ServerPorts

KIND = "junk"


def is_junk(ports: ServerPorts, judgement: Judgement) -> bool:
    """Whether a letter of which this was found out stands apart."""
    most, score = ports.settings.junk_score, judgement.score
    return judgement.junk or (most is not None and score is not None and score >= most)


def set_apart(
    ports: ServerPorts, work: Job, row: TenantRow, digest: str, ids: dict[str, Any], score: float | None
) -> None:
    """Keep the envelope beside the raw message, and show it to the operator; ends the job. ``ids`` are those of a job that takes it in."""
    envelope = f"{row.domain}/junk/{digest}-{work.no}"
    ports.blobs.put(envelope, json.dumps(ids).encode())
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=row.no,
            kind=KIND,
            source=str(ids["source"]),
            reason="a filter calls it junk" if score is None else f"a filter gave it {score:g} points",
            raw_ref=envelope,
            key=f"junk:{row.no}:{work.no}",
            now=ports.clock(),
        )
        jobs.finish(tx, work)


@dataclass(frozen=True, slots=True)
class Junk:
    """One letter that stands apart: its number, who sent it as the envelope says, why and since when."""

    no: int
    sender: str
    reason: str
    at: datetime


def list_junk(ports: ServerPorts, row: TenantRow, *, limit: int = 200) -> list[Junk]:
    """What stands apart for a domain, newest first."""
    query = select(table).where(table.c.tenant == row.no, table.c.kind == KIND, table.c.resolved_at.is_(None))
    with ports.database.read() as tx:
        rows = tx.execute(query.order_by(table.c.no.desc()).limit(limit)).all()
    return [Junk(one.no, _ids(ports, one.raw_ref).get("sender", ""), one.reason, from_micros(one.at)) for one in rows]


def let_through(ports: ServerPorts, row: TenantRow, no: int) -> None:
    """Take a letter of this domain in that stands apart as junk; may be repeated. Raises NotFound."""
    with ports.database.read() as tx:
        found = get_quarantined(tx, row.no, no)
    if found.kind != KIND or found.raw_ref is None:
        raise NotFound("no such letter stands apart")
    ids = json.loads(ports.blobs.read(found.raw_ref))
    now = ports.clock()
    with ports.database.write() as tx:
        jobs.enqueue(tx, "receive", f"let-through:{no}", ids | {"let_through": True}, tenant=row.no, now=now)
        tx.execute(update(table).where(table.c.no == no).values(resolved_at=to_micros(now)))
    ports.bell.ring()


def _ids(ports: ServerPorts, ref: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(ports.blobs.read(ref))
    except NotFound:
        return {}
    return found


def sweep(ports: ServerPorts, row: TenantRow, before: datetime) -> int:
    """Junk that nobody wanted goes after the retention; returns how many blobs."""
    old = select(table.c.no, table.c.raw_ref).where(
        table.c.tenant == row.no,
        table.c.kind == KIND,
        table.c.at < to_micros(before),
        table.c.raw_ref.is_not(None),
    )
    count = 0
    with ports.database.read() as tx:
        found = tx.execute(old.limit(1000)).all()
    for one in found:
        raw = _ids(ports, one.raw_ref).get("raw")
        with ports.database.write() as tx:
            settled = update(table).where(table.c.no == one.no)
            tx.execute(settled.values(raw_ref=None, resolved_at=to_micros(ports.clock())))
            kept = raw is not None and _is_named(tx, row, str(raw))
        ports.blobs.delete(one.raw_ref)
        if raw is not None and not kept:
            ports.blobs.delete(f"{row.domain}/raw/{raw}")
        count += 1
    return count


def _is_named(tx: Connection, row: TenantRow, digest: str) -> bool:
    """Whether a letter, something else that stands apart or a piece of work still needs the raw message."""
    key = f"{row.domain}/raw/{digest}"
    questions = (
        select(email.c.order_no).where(email.c.tenant == row.no, email.c.raw_ref == key),
        select(table.c.no).where(table.c.tenant == row.no, table.c.raw_ref == key),
        select(job.c.no).where(
            job.c.tenant == row.no, job.c.kind == "receive", job.c.state != "done", job.c.ids.contains(digest)
        ),
    )
    return any(tx.execute(question.limit(1)).first() is not None for question in questions)
