"""The meetings of device and server, as this end saw them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import insert, select, update

from lokole.mail.errors import NotFound
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.schema import visit

#: when something new came by a carrier, in microseconds since 1970
CARRIER_OPTION = "carried_at"


class End(StrEnum):
    """How a meeting ended, or why there was none: a stable word for the pages, for those who script, and for the operator.

    Where the server refuses with a word of its own that is none of these, that word stands instead.
    """

    RUNNING = "running"  # not yet
    OK = "ok"
    BROKEN = "broken"  # by a power cut
    NO_CONNECTION = "no-connection"
    BAD_PACKAGE = "bad-package"
    NOT_FOUND = "not-found"
    FAILED = "failed"
    FAULT = "fault"  # of our own
    # the server does not, or no longer, know this box; the first three are its words (protocol 4.2)
    AUTHORIZATION = "authorization"
    SIGNATURE = "signature"
    REVOKED = "revoked"
    REFUSED = "refused"
    STORAGE = "storage"  # this end could not write down what it had to
    # not even begun
    UNREGISTERED = "unregistered"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Visit:
    """One meeting; bytes are on the wire. ``result`` is an :class:`End`, or the server's own word for why it refused."""

    no: int
    started_at: datetime
    ended_at: datetime | None
    letters_up: int
    letters_down: int
    bytes_up: int
    bytes_down: int
    quarantined: int
    result: str


def start_visit(tx: Connection, tenant_no: int, now: datetime) -> int:
    """A meeting begins; returns its number for :func:`end_visit`."""
    values = {
        "tenant": tenant_no,
        "started_at": to_micros(now),
        "letters_up": 0,
        "letters_down": 0,
        "bytes_up": 0,
        "bytes_down": 0,
        "quarantined": 0,
        "result": End.RUNNING.value,
    }
    return int(tx.execute(insert(visit).values(**values).returning(visit.c.no)).scalar_one())


def end_visit(
    tx: Connection,
    tenant_no: int,
    no: int,
    now: datetime,
    *,
    result: str,
    letters_up: int = 0,
    letters_down: int = 0,
    bytes_up: int = 0,
    bytes_down: int = 0,
    quarantined: int = 0,
) -> None:
    """The meeting is over, well or not; raises NotFound."""
    statement = (
        update(visit)
        .where(visit.c.tenant == tenant_no, visit.c.no == no)
        .values(
            ended_at=to_micros(now),
            result=str(result),
            letters_up=letters_up,
            letters_down=letters_down,
            bytes_up=bytes_up,
            bytes_down=bytes_down,
            quarantined=quarantined,
        )
    )
    if tx.execute(statement).rowcount != 1:
        raise NotFound("no such meeting")


def close_broken_visits(tx: Connection, tenant_no: int, now: datetime) -> int:
    """Meetings that a power cut ended get the result :attr:`End.BROKEN`; call it at start. Returns how many."""
    statement = update(visit).where(visit.c.tenant == tenant_no, visit.c.ended_at.is_(None))
    return tx.execute(statement.values(ended_at=to_micros(now), result=End.BROKEN.value)).rowcount


def last_visits(tx: Connection, tenant_no: int, limit: int = 10) -> list[Visit]:
    """The newest meetings, newest first."""
    rows = tx.execute(select(visit).where(visit.c.tenant == tenant_no).order_by(visit.c.no.desc()).limit(limit))
    return [
        Visit(
            no=row.no,
            started_at=from_micros(row.started_at),
            ended_at=None if row.ended_at is None else from_micros(row.ended_at),
            letters_up=row.letters_up,
            letters_down=row.letters_down,
            bytes_up=row.bytes_up,
            bytes_down=row.bytes_down,
            quarantined=row.quarantined,
            result=row.result,
        )
        for row in rows
    ]


def note_carrier(tx: Connection, tenant_no: int, now: datetime) -> None:
    """Something new came by a carrier: the other end was reached without a meeting."""
    set_option(tx, tenant_no, CARRIER_OPTION, to_micros(now))


def last_carrier(tx: Connection, tenant_no: int) -> datetime | None:
    """When that was last; None when it never was."""
    found = get_option(tx, tenant_no, CARRIER_OPTION, None)
    return from_micros(found) if isinstance(found, int) else None
