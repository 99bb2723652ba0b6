"""A letter in the bag comes back to its writer, as long as no package carries it.

What its writer wrote becomes a draft again; nobody but people of the same box has the letter by then, and those keep it.
Taking back and packing decide in one transaction each, both behind the lock of the tenant: ``device/packing.py`` closes a package
only while every letter in it is still in the bag as it was read, and builds it anew otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account, Address, Contact, DeliveryState
from lokole.mailbox import entries
from lokole.mailbox.accounts import any_roaming
from lokole.mailbox.allowances import uncount_letter
from lokole.mailbox.database import Connection
from lokole.mailbox.drafts import Typed, find_draft, save_draft
from lokole.mailbox.forgetting import forget_content
from lokole.mailbox.letters import StoredEmail, read_email
from lokole.mailbox.packages import OFFERED
from lokole.mailbox.recipients import Written, written_recipients
from lokole.mailbox.schema import address, email, entry, recipient, seen, waiting
from lokole.mailbox.tenants import lock

#: what stands between addresses, or around one, in the fields of a form
_MARKS = re.compile(r"[,;<>\"\r\n]")
_LINE_CHARS = 200
_MINE: Any = (
    select(entry.c.email)
    .where(
        entry.c.tenant == bindparam("tenant"),
        entry.c.account == bindparam("account"),
        entry.c.email.in_(bindparam("emails", expanding=True)),
        entry.c.written.is_(True),
        entry.c.folder > "",
    )
    .distinct()
)
_ROWS = select(waiting.c.email, waiting.c.state).where(
    waiting.c.tenant == bindparam("tenant"),
    waiting.c.email.in_(bindparam("emails", expanding=True)),
    waiting.c.direction == "up",
)
_STATES = select(recipient.c.email, recipient.c.state).where(
    recipient.c.tenant == bindparam("tenant"), recipient.c.email.in_(bindparam("emails", expanding=True))
)
_OFFERED = select(seen.c.key).where(
    seen.c.tenant == bindparam("tenant"), seen.c.kind == OFFERED, seen.c.key.in_(bindparam("keys", expanding=True))
)


@dataclass(frozen=True, slots=True)
class InBag:
    """Letters of a writer that have not left: ``free`` can be taken back, ``packed`` no longer."""

    free: frozenset[int] = frozenset()
    packed: frozenset[int] = frozenset()


def in_bag(tx: Connection, writer: Account, numbers: Sequence[int]) -> InBag:
    """Which of these letters of ``writer`` wait for somebody who is not served here, and how far they are."""
    if not numbers:
        return InBag()
    asked: dict[str, Any] = {"tenant": writer.tenant, "emails": list(numbers)}
    mine = set(tx.execute(_MINE, asked | {"account": writer.no}).scalars())
    rows: dict[int, set[str]] = {}
    for row in tx.execute(_ROWS, asked):
        rows.setdefault(row.email, set()).add(row.state)
    states: dict[int, set[str]] = {}
    for row in tx.execute(_STATES, asked):
        states.setdefault(row.email, set()).add(row.state)
    offered = {int(key) for key in tx.execute(_OFFERED, asked | {"keys": [str(no) for no in numbers]}).scalars()}
    inside = {no for no in mine & rows.keys() if DeliveryState.WAITING.value in states.get(no, ())}
    # a recipient who is further on has it, or the other end does: then it is no letter that never left
    here = {DeliveryState.WAITING.value, DeliveryState.LOCAL.value}
    free = {no for no in inside if rows[no] == {"waiting"} and states[no] <= here and no not in offered}
    return InBag(frozenset(free), frozenset(inside - free))


def check_wrote(tx: Connection, writer: Account, email_no: int) -> None:
    """Raises NotFound unless ``writer`` wrote letter ``email_no``, whatever became of it."""
    mine = (entry.c.tenant == writer.tenant, entry.c.account == writer.no, entry.c.email == email_no)
    if tx.execute(select(entry.c.email).where(*mine, entry.c.written.is_(True))).first() is None:
        raise NotFound("no such letter")


def take_back(
    tx: Connection, writer: Account, email_no: int, *, new_form: Callable[[], str], origin: str, now: datetime
) -> int:
    """Take letter ``email_no`` out of the bag; returns the number of the draft that it becomes, under the form number that ``new_form`` makes.

    The draft is for those it would have left for. People of this box who have it keep it, without the others among its recipients.
    Raises NotFound when ``writer`` never wrote it, Refused with code ``packed`` when a package carries it, ``left`` when nothing of it waits (any more),
    or ``too-many`` when the writer keeps as many drafts as fit; nothing has changed then. Needs a writing transaction.
    """
    lock(tx, writer.tenant)
    check_wrote(tx, writer, email_no)
    known = in_bag(tx, writer, [email_no])
    if email_no in known.packed:
        raise Refused("a package carries it", code="packed")
    if email_no not in known.free:
        raise Refused("it is not in the bag", code="left")
    stored = read_email(tx, writer.tenant, email_no, private=True)
    everybody = written_recipients(tx, writer.tenant, email_no)
    outside = [one for one in everybody if one.delivery.state is DeliveryState.WAITING]
    form = new_form()
    save_draft(tx, writer, form, 0, _typed(tx, writer, stored, outside), now)
    tx.execute(
        delete(recipient).where(
            recipient.c.tenant == writer.tenant,
            recipient.c.email == email_no,
            recipient.c.state == DeliveryState.WAITING.value,
        )
    )
    if len(outside) < len(everybody):
        _leave_to_those_here(tx, writer, stored, outside)
    else:
        entries.set_flag(tx, writer, email_no, "deleted", True, origin)
        tx.execute(
            update(entry).where(entry.c.tenant == writer.tenant, entry.c.email == email_no).values(folder="")
        )  # as what is emptied: nothing brings it back
        forget_content(tx, writer.tenant, [email_no], keep_entries=True)
    uncount_letter(tx, writer, stored.received_at, now)
    made = find_draft(tx, writer, form)
    assert made is not None
    return made


def _leave_to_those_here(tx: Connection, writer: Account, stored: StoredEmail, outside: Sequence[Written]) -> None:
    """The letter is one that was written to people of this box only."""
    gone = {one.delivery.address for one in outside}
    rows = tx.execute(
        select(address.c.n, address.c.role, address.c.name, address.c.address)
        .where(address.c.tenant == writer.tenant, address.c.email == stored.no, address.c.role.in_(("to", "cc")))
        .order_by(address.c.n)
    ).all()
    # the other end would bring it to whom it names, when somebody here reads it in town
    taken = [row.n for row in rows if _key(row.address) in gone]
    left = [row.name or row.address for row in rows if row.n not in taken]
    tx.execute(
        delete(address).where(address.c.tenant == writer.tenant, address.c.email == stored.no, address.c.n.in_(taken))
    )
    tx.execute(
        update(email)
        .where(email.c.tenant == writer.tenant, email.c.order_no == stored.no)
        .values(recipients_line=", ".join(left[:20])[:_LINE_CHARS])
    )
    # who reads their mail in town reads it there, as any letter among neighbours
    if not any_roaming(tx, writer.tenant, entries.holders(tx, writer.tenant, stored.no)):
        tx.execute(delete(waiting).where(waiting.c.tenant == writer.tenant, waiting.c.email == stored.no))


def _typed(tx: Connection, writer: Account, stored: StoredEmail, outside: Iterable[Written]) -> Typed:
    fields: dict[str, list[str]] = {"to": [], "cc": [], "bcc": []}
    for one in outside:
        fields[one.delivery.role].append(_line(Contact(one.delivery.address, one.name)))
    answers = _answered(tx, writer, stored)
    return Typed(
        **{name: ", ".join(some) for name, some in fields.items()},
        subject=stored.email.subject,
        body=stored.email.body,
        format="html",
        action="reply" if answers is not None else "",
        answers=answers,
        quote=False,  # what is quoted is in the text already
        files=stored.attachments,
    )


def _answered(tx: Connection, writer: Account, stored: StoredEmail) -> int | None:
    """The letter that this one answers, when its writer has it."""
    if not stored.email.in_reply_to:
        return None
    query = (
        select(email.c.order_no)
        .join(entry, entry.c.email == email.c.order_no)
        .where(
            email.c.tenant == writer.tenant,
            email.c.conversation == stored.conversation,
            email.c.message_id == stored.email.in_reply_to,
            entry.c.account == writer.no,
            entry.c.deleted.is_(False),
        )
    )
    found: int | None = tx.execute(query.limit(1)).scalar()
    return found


def _line(contact: Contact) -> str:
    if not contact.name or _MARKS.search(contact.name):
        return contact.address
    return f"{contact.name} <{contact.address}>"


def _key(text: str) -> str:
    try:
        return Address.parse(text).key
    except Refused:
        return text
