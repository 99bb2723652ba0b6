"""When the retention time of a letter is over: its content goes, what is known of it stays.

The row with its id, the states of its recipients and what was ``seen`` stay for ever, so that a late repeat is still known and doubles nothing.
A letter stays whole while it waits, while the other end has had it for less than the retention time, while it is being sent,
while somebody looks for its recipient, while its raw bytes are kept apart, and for ever for a person with roaming on.

The bytes of its files are the business of ``unnamed.py``, raw messages are their keeper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, exists, or_, select, update

from lokole.mail.model import DeliveryState, EmailNo
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.entries import recount
from lokole.mailbox.fulltext import forget_letters
from lokole.mailbox.schema import (
    account,
    address,
    attachment,
    email,
    entry,
    envelope,
    package,
    post,
    quarantine,
    recipient,
    waiting,
)

#: states of a recipient that the letter has not reached yet
ON_ITS_WAY = (DeliveryState.WAITING.value, DeliveryState.AT_SERVER.value)


@dataclass(frozen=True, slots=True)
class Forgettable:
    """A letter whose time is over; ``raw_ref`` is None when the raw message is kept no more, or for a younger letter too."""

    no: EmailNo
    raw_ref: str | None


def forgettable(tx: Connection, tenant_no: int, before: datetime, *, upto: int, limit: int = 200) -> list[Forgettable]:
    """The oldest letters whose content nothing needs any more, when ``before`` is where the retention time begins; ``upto`` as ``ageing`` says."""
    moment = to_micros(before)
    of_it = waiting.c.email == email.c.order_no
    kept = or_(
        exists().where(of_it, waiting.c.state != "delivered"),
        exists().where(of_it, waiting.c.package == package.c.no, package.c.changed_at >= moment),
        exists().where(recipient.c.email == email.c.order_no, recipient.c.state.in_(ON_ITS_WAY)),
        exists().where(envelope.c.email == email.c.order_no, envelope.c.state == "unknown"),
        exists().where(quarantine.c.raw_ref == email.c.raw_ref, quarantine.c.resolved_at.is_(None)),
        exists().where(
            entry.c.email == email.c.order_no,
            entry.c.account == account.c.no,
            entry.c.deleted.is_(False),
            account.c.roaming.is_(True),
        ),
    )
    whole = or_(email.c.sender_address != "", email.c.subject != "", email.c.body != "", email.c.attachment_count > 0)
    old = and_(
        email.c.tenant == tenant_no,
        email.c.order_no <= upto,
        email.c.received_at < moment,
        or_(whole, email.c.raw_ref.is_not(None)),
    )
    found = tx.execute(
        select(email.c.order_no, email.c.raw_ref).where(old, ~kept).order_by(email.c.order_no).limit(limit)
    )
    letters = [Forgettable(EmailNo(row.order_no), row.raw_ref) for row in found]
    numbers = {one.no for one in letters}
    others = tx.execute(
        select(email.c.order_no, email.c.raw_ref).where(
            email.c.tenant == tenant_no, email.c.raw_ref.in_({one.raw_ref for one in letters if one.raw_ref})
        )
    )
    shared = {row.raw_ref for row in others if row.order_no not in numbers}
    return [Forgettable(one.no, None if one.raw_ref in shared else one.raw_ref) for one in letters]


def forget_content(tx: Connection, tenant_no: int, numbers: Sequence[int], *, keep_entries: bool = False) -> None:
    """Empty these letters: nobody has them any more, and they never wait again. May be repeated.

    What hangs on the board stays, and what somebody is to get who has not appeared yet.
    ``keep_entries`` leaves the rows that say who had them (``deleted.py``).
    """
    hanging = select(post.c.email).where(
        post.c.tenant == tenant_no, post.c.email.in_(numbers), post.c.removed.is_(False)
    )
    for_somebody = select(envelope.c.email).where(
        envelope.c.tenant == tenant_no, envelope.c.email.in_(numbers), envelope.c.state == "unknown"
    )
    staying = {*tx.execute(hanging).scalars(), *tx.execute(for_somebody).scalars()}
    numbers = [no for no in numbers if no not in staying]
    if not numbers:
        return
    forget_letters(tx, numbers)
    for table in (address, attachment, waiting) if keep_entries else (entry, address, attachment, waiting):
        tx.execute(delete(table).where(table.c.tenant == tenant_no, table.c.email.in_(numbers)))
    tx.execute(
        update(email)
        .where(email.c.tenant == tenant_no, email.c.order_no.in_(numbers))
        .values(
            sender_name="",
            sender_address="",
            recipients_line="",
            subject="",
            preview="",
            body="",
            attachment_count=0,
            raw_ref=None,
        )
    )
    if not keep_entries:  # else nothing that is counted has changed: whoever had one of them deleted it
        recount(tx, tenant_no)
