"""That a box was here: from then on the server knows who lives there, as of that moment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, select, update

from lokole.mailbox import tenants
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.schema import job, package


def note_visit(tx: Connection, tenant_no: int, at: datetime, now: datetime) -> bool:
    """The box told us at ``at`` all that it knew; letters that waited for that are looked at again ``now``.

    Does nothing while a package of that box still has to be unpacked: its news are in there. The caller rings the bell.
    """
    unread = exists().where(package.c.tenant == tenant_no, package.c.direction == "up", package.c.state == "held")
    if tx.execute(select(unread)).scalar_one():
        return False
    tenants.visited(tx, tenant_no, at)
    tx.execute(
        update(job)
        .where(job.c.tenant == tenant_no, job.c.kind == "stranger", job.c.state == "ready")
        .values(run_after=to_micros(now))
    )
    return True
