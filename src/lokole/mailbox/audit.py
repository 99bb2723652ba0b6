"""Who of the people who look after a box did what, and when: written by the transaction that does it, so that neither is without the other.

Names and stable words only, never a password or a word of a letter. The newest :data:`KEPT` of each tenant are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from lokole.mail.model import Account
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import audit
from lokole.mailbox.words import storable

KEPT = 2000
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Act:
    """One line of the log; ``act`` is a stable word, ``subject`` whom or what it was about."""

    no: int
    at: datetime
    actor: str
    act: str
    subject: str
    detail: str


def note_act(
    tx: Connection, actor: Account, act: str, now: datetime, *, subject: str = "", detail: str = "", kept: int = KEPT
) -> None:
    """``actor`` does ``act`` in this transaction."""
    values = {
        "tenant": actor.tenant,
        "at": to_micros(now),
        "actor": actor.name,
        "act": act,
        "subject": storable(subject)[:_MAX_TEXT],
        "detail": storable(detail)[:_MAX_TEXT],
    }
    tx.execute(insert(audit).values(**values))
    oldest = select(audit.c.no).where(audit.c.tenant == actor.tenant).order_by(audit.c.no.desc()).offset(kept).limit(1)
    last = tx.execute(oldest).scalar()
    if last is not None:
        tx.execute(delete(audit).where(audit.c.tenant == actor.tenant, audit.c.no <= last))


def last_acts(tx: Connection, tenant_no: int, *, before: int | None = None, limit: int = 50) -> list[Act]:
    """The newest acts, newest first, numbers below ``before``."""
    query = select(audit).where(audit.c.tenant == tenant_no).order_by(audit.c.no.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.no < before)
    return [Act(row.no, from_micros(row.at), row.actor, row.act, row.subject, row.detail) for row in tx.execute(query)]
