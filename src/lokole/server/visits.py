"""That a box was here: from then on the server knows who lives there, as of that moment.

Visits are counted, not dated: a clock that jumps would call a letter older than a visit before it, and its person nobody.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, select, update

from lokole.mailbox import tenants
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.schema import job, package


def hear(tx: Connection, tenant_no: int, now: datetime) -> bool:
    """Nothing that the box told may be left unread; letters that waited for that are looked at again ``now``.

    Does nothing, and returns False, while a package of that box still has to be unpacked: its news are in there. The caller rings the bell.
    """
    unread = exists().where(package.c.tenant == tenant_no, package.c.direction == "up", package.c.state == "held")
    if tx.execute(select(unread)).scalar_one():
        return False
    tenants.hear_visits(tx, tenant_no, now)
    tx.execute(
        update(job)
        .where(job.c.tenant == tenant_no, job.c.kind == "stranger", job.c.state == "ready")
        .values(run_after=to_micros(now))
    )
    return True


def note_visit(tx: Connection, tenant_no: int, now: datetime) -> bool:
    """The box was here and has told us, in what is held now, all that it knew; returns as ``hear``."""
    tenants.count_visit(tx, tenant_no)
    return hear(tx, tenant_no, now)
