"""How large what waits is, before it is compressed: never less than what travels."""

from __future__ import annotations

from sqlalchemy import func, select

from lokole.mailbox.database import Connection
from lokole.mailbox.schema import attachment, email, waiting


def letter_bytes(tx: Connection, tenant_no: int, no: int) -> int:
    """Text and files of one letter."""
    text = select(func.length(email.c.body)).where(email.c.tenant == tenant_no, email.c.order_no == no)
    files = select(func.coalesce(func.sum(attachment.c.size), 0)).where(
        attachment.c.tenant == tenant_no, attachment.c.email == no
    )
    return int(tx.execute(text).scalar() or 0) + int(tx.execute(files).scalar_one())


def bag_bytes(tx: Connection, tenant_no: int, direction: str) -> int:
    """Text and files of all letters that the other end of ``direction`` has not acknowledged."""
    states = ("waiting", "packed")
    here = (waiting.c.tenant == tenant_no, waiting.c.direction == direction, waiting.c.state.in_(states))
    letters = select(waiting.c.email).where(*here).distinct().subquery()
    texts = select(func.coalesce(func.sum(func.length(email.c.body)), 0)).join(
        letters, letters.c.email == email.c.order_no
    )
    files = select(func.coalesce(func.sum(attachment.c.size), 0)).join(letters, letters.c.email == attachment.c.email)
    return int(tx.execute(texts).scalar_one()) + int(tx.execute(files).scalar_one())
