"""Addresses in the world that letters of one domain no longer go to: they do not exist, or their holder complained.

Who writes on to such addresses is taken for a sender of unwanted mail, and then nobody's letters arrive.
One row an address, made by what came back; only an operator takes it away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Address
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import suppression
from lokole.mailbox.upsert import insert_new
from lokole.mailbox.words import storable

BOUNCE, COMPLAINT, UNSUBSCRIBED = "bounce", "complaint", "unsubscribed"
_INSERT = insert_new(suppression)
_MAX_SAID = 300
# RFC 3463 section 3.2: no such mailbox, no such system, moved, and null MX (RFC 7505); a full mailbox or a policy may change tomorrow
_HARD = re.compile(r"(?<![\d.])5\.1\.(?:1|2|6|10)(?![\d.])")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One address, and why."""

    address: str
    cause: str
    said: str
    at: datetime


def is_hard(said: str) -> bool:
    """Whether an answer of a mail server, or a status of RFC 3463, says that the address will never work."""
    return _HARD.search(said) is not None


def hold_back(tx: Connection, tenant_no: int, address: str, cause: str, said: str, now: datetime) -> bool:
    """Let no letter go to ``address`` any more; False when it is so already, or it is no address."""
    try:
        key = Address.parse(address).key
    except Refused:
        return False
    values = {
        "tenant": tenant_no,
        "address": key,
        "cause": cause,
        "said": storable(said)[:_MAX_SAID],
        "at": to_micros(now),
    }
    return _INSERT.run(tx, values) == 1


def is_suppressed(tx: Connection, tenant_no: int, address: str) -> bool:
    """Whether no letter of this tenant goes to ``address``."""
    try:
        key = Address.parse(address).key
    except Refused:
        return False
    query = select(suppression.c.at).where(suppression.c.tenant == tenant_no, suppression.c.address == key)
    return tx.execute(query).first() is not None


def list_suppressed(tx: Connection, tenant_no: int, *, limit: int = 1000) -> list[Suppressed]:
    """The newest first."""
    query = select(suppression).where(suppression.c.tenant == tenant_no)
    rows = tx.execute(query.order_by(suppression.c.at.desc(), suppression.c.address).limit(limit))
    return [Suppressed(row.address, row.cause, row.said, from_micros(row.at)) for row in rows]


def lift(tx: Connection, tenant_no: int, address: str) -> Suppressed:
    """Let letters go there again; returns what held them back. Raises NotFound."""
    try:
        key = Address.parse(address).key
    except Refused as error:
        raise NotFound("no such address is held back") from error
    here = (suppression.c.tenant == tenant_no, suppression.c.address == key)
    row = tx.execute(select(suppression).where(*here)).first()
    if row is None or tx.execute(delete(suppression).where(*here)).rowcount != 1:
        raise NotFound("no such address is held back")
    return Suppressed(row.address, row.cause, row.said, from_micros(row.at))
