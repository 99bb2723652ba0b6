"""The kinds of work, what does each, and how long each is tried again: one table.

A handler is idempotent and takes its ids from the row.
It returns True when it has finished the row itself, in the transaction that holds its results.
:class:`~lokole.mail.errors.Temporary` is tried again with growing gaps until ``give_up`` after the row was made, whatever the clock says at least once after each gap
(or, where each wait is longer, as often as such waits go into that time);
a fault of ours is tried a few times, since it may be the database's; everything else is given up at once.
What is given up stays as a dead row that the operator sees, after ``on_dead`` has told whom it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lokole.mail.errors import LokoleError, Temporary
from lokole.mailbox.jobs import Job
from lokole.server import alarms, answering, devices, lifting, notices, receive, send, strangers, unpack
from lokole.server.ports import ServerPorts

_SECOND, _MINUTE, _HOUR, _DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86400))

#: After a fault of ours: how often, and the gaps between.
MAX_FAULTS = 5

Handler = Callable[[ServerPorts, Job], bool]
OnDead = Callable[[ServerPorts, Job, Exception], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of work; the last of ``gaps`` repeats until ``give_up``."""

    run: Handler
    gaps: tuple[timedelta, ...]
    give_up: timedelta
    on_dead: OnDead | None = None


_SOON = (10 * _SECOND, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR)
# RFC 5321 section 4.5.4.1: at least 30 minutes between attempts after the first ones, four to five days in all
_POST = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 4 * _HOUR, 6 * _HOUR)

KINDS: Mapping[str, Kind] = {
    "prepare": Kind(devices.prepare, _SOON, 2 * _DAY, devices.given_up),
    "remove": Kind(devices.remove, _SOON, 30 * _DAY),
    "receive": Kind(receive.run, _SOON, 14 * _DAY, receive.given_up),
    "stranger": Kind(strangers.run, _SOON, timedelta.max),  # it knows itself when a letter has waited long enough
    "unpack": Kind(unpack.run, _SOON, 14 * _DAY, unpack.given_up),
    "send": Kind(send.run, _POST, 5 * _DAY, send.given_up),
    alarms.KIND: Kind(alarms.run, _POST, 5 * _DAY),
    # a box comes once a night: what works again by then is in time
    answering.KIND: Kind(answering.run, _SOON, 6 * _HOUR, answering.given_up),
    lifting.KIND: Kind(lifting.run, _SOON, 2 * _DAY),
    "notice": Kind(notices.run, _POST, 2 * _DAY),
}


def retry_in(kind: Kind, job: Job, error: BaseException, now: datetime) -> timedelta | None:
    """How long to wait before ``job`` is tried again after ``error``; None when it is given up."""
    gap = kind.gaps[min(job.attempts, len(kind.gaps)) - 1]
    if isinstance(error, Temporary):
        wait = max(gap, timedelta(seconds=min(error.retry_after or 0, 86400)))
        # the age alone would let one jump of the clock expire everything that waits; who is told to wait for days is tried less often
        enough = min(len(kind.gaps), kind.give_up // wait)
        if now - job.created_at >= kind.give_up and job.attempts >= enough:
            return None
        return wait
    if isinstance(error, LokoleError) or job.attempts >= MAX_FAULTS:
        return None
    return gap
