"""That a box was here: from then on the server knows who lives there, as of that moment.

Visits are counted, not dated: a clock that jumps would call a letter older than a visit before it, and its person nobody.
A file that a carrier brings may be old. It says what its box knew when it was made: at least after the newest package
that it acknowledges had been made and handed out, and that first hand-out is the visit which it tells of.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BindParameter, bindparam, exists, or_, select, update

from lokole.mailbox import packages, tenants
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.schema import job, outbound, package
from lokole.sync.records import AckRecord

#: files in carriers' pockets that are remembered: ``[epoch, seq, visit]``, the oldest first
HANDED_OUT_OPTION = "handed_out"
_MOST_HANDED_OUT = 50
_TENANT: BindParameter[int] = bindparam("tenant")
_UNHEARD = select(
    or_(
        exists().where(package.c.tenant == _TENANT, package.c.direction == "up", package.c.state == "held"),
        exists().where(
            outbound.c.tenant == _TENANT,
            outbound.c.direction == "down",
            outbound.c.state.in_(("waiting", "packed")),
            outbound.c.kind == "told",
        ),
    )
)


def hear(tx: Connection, tenant_no: int, now: datetime) -> bool:
    """Nothing that the box told may be left unread; letters that waited for that are looked at again ``now``.

    Does nothing, and returns False, while a package of that box still has to be unpacked, or the box has still to hear
    that something could not be read and to pack it anew: its news are in there. The caller rings the bell.
    """
    if tx.execute(_UNHEARD, {"tenant": tenant_no}).scalar_one():
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


def hand_out(tx: Connection, tenant_no: int, newest: PackageRow) -> None:
    """A carrier takes packages of ours along, the last of them ``newest``, which was made for that and which the box cannot have yet."""
    known = get_option(tx, tenant_no, HANDED_OUT_OPTION, [])
    visit = tenants.begin_visit(tx, tenant_no)
    set_option(tx, tenant_no, HANDED_OUT_OPTION, [*known, [newest.epoch, newest.seq, visit]][-_MOST_HANDED_OUT:])


def hear_of_hand_outs(tx: Connection, tenant_no: int, came: PackageRow, said: AckRecord) -> None:
    """``came`` from the box, and acknowledges ``said``: with it all is here that the box knew when a carrier set out with that.

    Unless one of the packages that it made before is missing here.
    """
    handed_out = get_option(tx, tenant_no, HANDED_OUT_OPTION, [])
    arrived = [
        visit for epoch, seq, visit in handed_out if epoch == said.epoch and (seq <= said.seq or seq in said.beyond)
    ]
    if arrived and came.seq <= packages.highest_contiguous(tx, tenant_no, came.epoch, "up")[0]:
        tenants.tell_visit(tx, tenant_no, max(arrived))
