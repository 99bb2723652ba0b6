"""Who did what with a domain, and when: written by the transaction that does it, and kept when everything else of the domain has gone.

Names of those who look after domains and stable words only; nothing of people who live there, nothing of any letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select

from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import domain_act

REGISTERED, CLAIMED, REVOKED, HANDED_OVER, DELETED, DESTROYED = (
    "registered",
    "claimed",
    "keys-taken-back",
    "handed-over",
    "deleted",
    "destroyed",
)


@dataclass(frozen=True, slots=True)
class DomainAct:
    """One thing that was done; ``actor`` is empty when a box or the server itself did it."""

    at: datetime
    actor: str
    act: str
    detail: str


def note_domain(tx: Connection, domain: str, act: str, now: datetime, *, actor: str = "", detail: str = "") -> None:
    """``actor`` does ``act`` with ``domain`` in this transaction."""
    values = {"domain": domain, "at": to_micros(now), "actor": actor[:200], "act": act, "detail": detail[:1000]}
    tx.execute(insert(domain_act).values(**values))


def acts_of(tx: Connection, domain: str) -> list[DomainAct]:
    """All that was done with a domain, the oldest first."""
    query = select(domain_act).where(domain_act.c.domain == domain).order_by(domain_act.c.no)
    return [DomainAct(from_micros(row.at), row.actor, row.act, row.detail) for row in tx.execute(query)]
