"""Somebody leaves for good: what is theirs goes, what others have stays, and the other end is told.

The row of the account stays without anything in it but its name, so that nobody gets the letters of the one before:
the name is free again after :data:`accounts.NAME_RESTS_DAYS` days of the box.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select

from lokole.mail.model import Account, DeliveryState
from lokole.mailbox.account_records import upsert_from_device
from lokole.mailbox.accounts import mark_removed
from lokole.mailbox.database import Connection
from lokole.mailbox.days import today
from lokole.mailbox.forgetting import forget_content
from lokole.mailbox.fulltext import remove_holder
from lokole.mailbox.merging import forget_names_before
from lokole.mailbox.schema import (
    answered,
    contact,
    contact_group,
    draft,
    draft_file,
    email,
    entry,
    folder,
    folder_count,
    letter_option,
    recipient,
    rule,
    session,
    waiting,
    way_in,
)
from lokole.mailbox.standing import forget_standing
from lokole.mailbox.tenants import lock
from lokole.sync.records import AccountRecord

_AT_ONCE = 400
#: what is one person's alone, whole rows of it
_THEIRS = (entry, folder_count, folder, session, way_in, draft, contact, contact_group, letter_option, answered, rule)


def remove_account(tx: Connection, person: Account) -> None:
    """On the box: letters that only this person had go, those in the bag still leave, everybody else keeps theirs.

    Their names from before, when they became one with somebody, go with them.
    """
    mark_removed(tx, person, today(tx, person.tenant))
    forget_standing(tx, person)
    forget_names_before(tx, person)
    _erase(tx, person.tenant, person.no, sending=False)


def take_account(tx: Connection, tenant_no: int, record: AccountRecord, now: datetime) -> None:
    """On the server: what a box says of one of its people, their leaving included; raises as ``upsert_from_device``."""
    lock(tx, tenant_no)  # a letter that is nobody's now could be somebody else's a moment later
    person, _new = upsert_from_device(tx, tenant_no, record, now)
    if person.removed:
        _erase(tx, tenant_no, person.no, sending=True)


def _erase(tx: Connection, tenant_no: int, no: int, *, sending: bool) -> None:
    mine = select(entry.c.email).where(entry.c.tenant == tenant_no, entry.c.account == no)
    for some in _in_groups([int(number) for number in tx.execute(mine).scalars()]):
        forget_content(tx, tenant_no, _nobody_elses(tx, tenant_no, no, some, sending=sending))
    for number in tx.execute(mine.where(entry.c.deleted.is_(False))).scalars().all():
        remove_holder(tx, int(number), no)
    drafts = select(draft.c.no).where(draft.c.tenant == tenant_no, draft.c.account == no)
    tx.execute(delete(draft_file).where(draft_file.c.tenant == tenant_no, draft_file.c.draft.in_(drafts)))
    for table in _THEIRS:
        tx.execute(delete(table).where(table.c.tenant == tenant_no, table.c.account == no))


def _nobody_elses(tx: Connection, tenant_no: int, no: int, numbers: Sequence[int], *, sending: bool) -> list[int]:
    """Those letters that nobody but account ``no`` has and that are not on their way; where letters are sent from, a recipient may still wait."""
    on_its_way = [DeliveryState.WAITING.value] + ([DeliveryState.AT_SERVER.value] if sending else [])
    query = select(email.c.order_no).where(
        email.c.tenant == tenant_no,
        email.c.order_no.in_(numbers),
        ~exists().where(entry.c.email == email.c.order_no, entry.c.account != no),
        ~exists().where(waiting.c.email == email.c.order_no, waiting.c.state != "delivered"),
        ~exists().where(recipient.c.email == email.c.order_no, recipient.c.state.in_(on_its_way)),
    )
    return [int(number) for number in tx.execute(query).scalars()]


def _in_groups(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(numbers), _AT_ONCE):
        yield numbers[at : at + _AT_ONCE]
