"""A package that the other end could not read to its end: what it carried is packed anew, half as many letters at a time.

So a letter that keeps others back is alone in the end, and only there is it given up, where its writer or the operator sees it.
What the other end had read of the package before is known there by its name, and taken once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lokole.mailbox import packages
from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.packages import PackageRow, Waiting
from lokole.mailbox.seen import remember

#: so many packages a day without a letter are packed anew; then something else is wrong
MOST_WITHDRAWN = 3
_A_DAY = timedelta(days=1)
#: kind in ``seen`` of a letter that travelled alone and was not read: once more, because the line may have been to blame
_ALONE = "alone"
_MOST_RANGES = 100


def pack_anew(tx: Connection, package: PackageRow, now: datetime) -> list[Waiting]:
    """Withdraw a package of ours that the other end could not read as a whole; its letters wait again, to be packed in fewer.

    Returns the letter that was alone in it for the second time: it waits no longer, and the caller makes that seen.
    """
    rows = packages.emails_of(tx, package.no)
    if not rows:
        # not what a clock that was ahead has dated
        lately = {"since": now - _A_DAY, "until": now}
        if packages.count_packages(tx, package.tenant, package.direction, "withdrawn", **lately) < MOST_WITHDRAWN:
            packages.withdraw_package(tx, package.no, now)
        return []
    packages.withdraw_package(tx, package.no, now)
    first = rows[0]
    if package.letters <= 1 and not remember(
        tx, package.tenant, _ALONE, f"{package.direction}:{first.email}:{first.recipient}", now
    ):
        packages.wait_no_longer(tx, package.tenant, package.direction, rows)
        return rows
    known = get_option(tx, package.tenant, _option(package.direction), [])
    range_ = [rows[0].email, rows[-1].email, max(1, package.letters // 2)]
    set_option(tx, package.tenant, _option(package.direction), [*known, range_][-_MOST_RANGES:])
    return []


def letters_at_once(tx: Connection, tenant_no: int, direction: str, first: int) -> int | None:
    """How many letters a package may carry that begins with the letter ``first``; None when it was in none that could not be read."""
    known = get_option(tx, tenant_no, _option(direction), [])
    return min((letters for begin, end, letters in known if begin <= first <= end), default=None)


def _option(direction: str) -> str:
    return f"fewer_{direction}"
