"""What a provider wants the operator to do, such as a key that was taken back: a row apart a day, seen in ``/api/email/metrics/trouble``, and an alarm.

Letters wait meanwhile and are tried again, so a row that is not repeated for two days is settled by itself.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import select, update

from lokole.mail.errors import LokoleError, Refused, Temporary
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.schema import quarantine as table
from lokole.server.ports import ServerPorts

KIND = "provider"
#: the source of what waits for the operator, and is lost when nothing is done
URGENT = "provider"
_SETTLED_AFTER = timedelta(days=2)


def tell_operator(ports: ServerPorts, sentence: str, *, is_urgent: bool = True) -> None:
    """Note ``sentence``, once a day; it names no person and nothing of a letter. What is urgent raises the alarm too (``alarms.py``)."""
    now = ports.clock()
    digest = hashlib.sha256(sentence.encode()).hexdigest()[:32]
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=None,
            kind=KIND,
            source=URGENT if is_urgent else "edge",
            reason=sentence,
            raw_ref=None,
            key=f"provider:{now.date()}:{digest}",
            now=now,
        )


def tell_of_post(ports: ServerPorts, error: LokoleError) -> None:
    """Note that a post with the right secret path was not taken because of ``error``; it is counted, and told once a day for each reason."""
    if isinstance(error, Temporary) and error.operator is not None:
        tell_operator(ports, error.operator)
    elif isinstance(error, Refused):
        tell_operator(
            ports, f"A post of mail was not understood: {error}. It comes again for three days, and is lost after that."
        )
    else:
        return
    ports.events.count("post_put_off")


def urgent(tx: Connection) -> list[str]:
    """The sentences about what waits for the operator now, each once."""
    waits = (table.c.kind == KIND, table.c.source == URGENT, table.c.resolved_at.is_(None))
    return list(tx.execute(select(table.c.reason).where(*waits).distinct().order_by(table.c.reason)).scalars())


def forget_trouble(tx: Connection, now: datetime) -> None:
    """Settle what was not said again."""
    old = (table.c.kind == KIND, table.c.resolved_at.is_(None), table.c.at < to_micros(now - _SETTLED_AFTER))
    tx.execute(update(table).where(*old).values(resolved_at=to_micros(now)))
