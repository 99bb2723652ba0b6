"""The board: letters that hang where everybody of the box can read them, some of them for everybody who comes near it.

What hangs is a letter as any other (its text made safe, its files in the store); a row of ``post`` makes it a post.
Only who is proven may post: people here whom an administrator has allowed, and senders elsewhere whom the administrator has listed
*and* whom the server has marked as proven. What a letter says of its own sender counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account, Address, Contact, Email, EmailId, EmailNo
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.entries import holders
from lokole.mailbox.forgetting import forget_content
from lokole.mailbox.letters import StoredEmail, read_email, store_email
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.posting import BOARD_NAME, make_post, may_post
from lokole.mailbox.schema import email, post, waiting

SENDERS_OPTION = "news_senders"


@dataclass(frozen=True, slots=True)
class Post:
    """What hangs on the board; ``account`` is None when the organisation or somebody elsewhere wrote it."""

    no: EmailNo
    account: int | None
    public: bool
    pinned: bool
    posted_at: datetime
    expires_at: datetime | None
    sender_name: str
    sender_address: str
    subject: str
    preview: str
    files: int


def hang_up(
    tx: Connection,
    person: Account,
    letter: Email,
    *,
    id: EmailId,
    now: datetime,
    attachments: Sequence[StoredAttachment] = (),
    public: bool = False,
    pinned: bool = False,
    expires_at: datetime | None = None,
) -> EmailNo:
    """``person`` posts ``letter`` (its ``body`` is safe HTML); its sender is the person whatever it says.

    Raises Refused, code ``no-post``, when nobody has allowed it.
    """
    if not may_post(tx, person):
        raise Refused("this person may not post", code="no-post")
    whole = Email(
        sender=Contact(str(person.address), person.display_name),
        to=(Contact(f"{BOARD_NAME}@{person.domain}"),),
        subject=letter.subject,
        body=letter.body,
        sent_at=now,
        message_id=f"<{id.hex()}@{person.domain}>",
    )
    no, _new = store_email(tx, person.tenant, whole, id=id, received_at=now, attachments=attachments)
    make_post(tx, person.tenant, no, now, account=person.no, public=public, pinned=pinned, expires_at=expires_at)
    return no


def posts(
    tx: Connection, tenant_no: int, now: datetime, *, only_public: bool, offset: int = 0, limit: int = 20
) -> tuple[list[Post], int]:
    """What hangs now, pinned first, then newest first: ``limit`` from ``offset`` on, and how many there are."""
    query = _hanging(tenant_no, now, only_public)
    total = int(tx.execute(select(func.count()).select_from(query.subquery())).scalar_one())
    rows = tx.execute(query.order_by(post.c.pinned.desc(), post.c.email.desc()).offset(offset).limit(limit))
    return [_post(row) for row in rows], total


def get_post(tx: Connection, tenant_no: int, no: int, now: datetime, *, only_public: bool) -> tuple[Post, StoredEmail]:
    """One post and its letter; raises NotFound when it does not hang, or not for everybody."""
    row = tx.execute(_hanging(tenant_no, now, only_public).where(post.c.email == no)).first()
    if row is None:
        raise NotFound("no such post")
    return _post(row), read_email(tx, tenant_no, no)


def take_down(tx: Connection, person: Account, no: int) -> None:
    """Administrators take down anything, others what they have put up; its content goes unless somebody has the letter. Raises NotFound."""
    here = [post.c.tenant == person.tenant, post.c.email == no, post.c.removed.is_(False)]
    if not person.is_admin:
        here.append(post.c.account == person.no)
    if tx.execute(update(post).where(*here).values(removed=True)).rowcount != 1:
        raise NotFound("no such post")
    leaves = select(waiting.c.email).where(waiting.c.email == no, waiting.c.state != "delivered")
    if (
        not holders(tx, person.tenant, no)
        and tx.execute(leaves.where(waiting.c.tenant == person.tenant)).first() is None
    ):
        forget_content(tx, person.tenant, [no])


def news_senders(tx: Connection, tenant_no: int) -> list[str]:
    """Addresses elsewhere whose proven letters to the board hang there."""
    found = get_option(tx, tenant_no, SENDERS_OPTION, [])
    return [str(one) for one in found] if isinstance(found, list) else []


def set_news_senders(tx: Connection, tenant_no: int, addresses: Iterable[str]) -> list[str]:
    """Keep them in their normal form; raises Refused, code ``address``, field: the text, for one that is none."""
    wanted: dict[str, None] = {}
    for text in addresses:
        try:
            wanted[Address.parse(text).key] = None
        except Refused as error:
            raise Refused(str(error), code="address", field=text) from error
    set_option(tx, tenant_no, SENDERS_OPTION, list(wanted))
    return list(wanted)


def is_news(tx: Connection, tenant_no: int, sender: str, *, proven: bool) -> bool:
    """Whether a letter to the board that came from elsewhere hangs there: the server has proven its sender, who is listed here.

    Everything else is an ordinary letter to a name that nobody has.
    """
    if not proven:
        return False
    try:
        return Address.parse(sender).key in news_senders(tx, tenant_no)
    except Refused:
        return False


def _hanging(tenant_no: int, now: datetime, only_public: bool) -> Select[Any]:
    query = (
        select(
            post,
            email.c.sender_name,
            email.c.sender_address,
            email.c.subject,
            email.c.preview,
            email.c.attachment_count,
        )
        .join(email, email.c.order_no == post.c.email)
        .where(
            post.c.tenant == tenant_no,
            post.c.removed.is_(False),
            or_(post.c.expires_at.is_(None), post.c.expires_at > to_micros(now)),
        )
    )
    return query.where(post.c.public.is_(True)) if only_public else query


def _post(row: Any) -> Post:
    return Post(
        no=EmailNo(row.email),
        account=row.account,
        public=row.public,
        pinned=row.pinned,
        posted_at=from_micros(row.posted_at),
        expires_at=None if row.expires_at is None else from_micros(row.expires_at),
        sender_name=row.sender_name,
        sender_address=row.sender_address,
        subject=row.subject,
        preview=row.preview,
        files=row.attachment_count,
    )
