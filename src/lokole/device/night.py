"""What leaves tonight when the bag holds more than a night may cost (``allowances.BoxLimits.night_bytes``).

The letter that waits longest goes first whatever its size, so that none waits for ever; then short ones, as long as there is room.
The others wait for the next night. Sizes are those of texts and files before they are compressed: never less than what travels.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from lokole.mail.model import EmailNo
from lokole.mailbox import schema
from lokole.mailbox.allowances import box_limits
from lokole.mailbox.bag import letter_bytes
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.schema import package

#: what left within this time belongs to the same night
ONE_NIGHT = timedelta(hours=18)


def for_tonight(tx: Connection, tenant_no: int, waiting: Sequence[EmailNo], now: datetime) -> list[EmailNo]:
    """Those of ``waiting`` (oldest first) that may leave now, in the order in which they wait; all of them without a limit."""
    bound = box_limits(tx, tenant_no).night_bytes
    if bound is None or not waiting:
        return list(waiting)
    gone = _left_already(tx, tenant_no, now)
    left = bound - gone
    sizes = {no: letter_bytes(tx, tenant_no, no) for no in waiting}
    chosen = set()
    if not gone:
        chosen.add(waiting[0])
        left -= sizes[waiting[0]]
    for no in sorted(set(waiting) - chosen, key=lambda one: (sizes[one], one)):
        if sizes[no] > left:
            break
        chosen.add(no)
        left -= sizes[no]
    return [no for no in waiting if no in chosen]


def _left_already(tx: Connection, tenant_no: int, now: datetime) -> int:
    since = to_micros(now - ONE_NIGHT)
    gone = (
        select(schema.waiting.c.email)
        .join(package, package.c.no == schema.waiting.c.package)
        .where(
            package.c.tenant == tenant_no,
            package.c.direction == "up",
            package.c.state != "withdrawn",
            package.c.created_at > since,
            package.c.created_at <= to_micros(now),  # else the clock was ahead then: which night that was nobody knows
        )
    )
    return sum(letter_bytes(tx, tenant_no, no) for no in tx.execute(gone).scalars().all())
