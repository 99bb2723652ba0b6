"""What the pages show of somebody's letters: lists, one letter, numbers.

Every function takes the person who asks and sees only that person's entries; Bcc and delivery states are shown to the letter's writer only.
A page costs the same whether a list holds fifty letters or fifty thousand: it is an index range
(account, deleted, folder, email) from a letter's number on, and the totals are kept, not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, false, func, literal, or_, select, true, union_all

from lokole.mail.model import Account, Contact, Delivery, DeliveryState, EmailId, EmailNo, FolderName
from lokole.mailbox.attachments import StoredAttachment, attachments_of
from lokole.mailbox.database import Connection, from_micros
from lokole.mailbox.letters import StoredEmail, read_email
from lokole.mailbox.recipients import written_recipients
from lokole.mailbox.roaming import set_flag
from lokole.mailbox.schema import email, entry, folder_count, recipient

#: lists longer than this are shown as "more than"
OUTBOX_CAP = 1000


@dataclass(frozen=True, slots=True)
class LetterRow:
    """One line of a list. ``state`` stands in lists of written letters only: that of the recipient who is worst off.

    ``count`` is more than 1 where the line stands for a whole conversation (``conversations.py``).
    """

    no: EmailNo
    id: EmailId
    folder: str
    sender_name: str
    sender_address: str
    recipients_line: str
    subject: str
    preview: str
    received_at: datetime
    sent_at: datetime | None
    sent_at_doubtful: bool
    read: bool
    starred: bool
    attachment_count: int
    conversation: str
    state: DeliveryState | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, newest first.

    ``start`` is the place of the first row in the whole list, counted from 1 (None when it is not known, 0 without rows); ``total`` the length of the list,
    ``more`` whether it is longer than that. ``older`` and ``newer`` are what to pass as ``before`` and ``after`` for the pages beside it, or None.
    """

    rows: tuple[LetterRow, ...]
    total: int
    start: int | None
    older: EmailNo | None
    newer: EmailNo | None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers beside the folders' names; ``waiting`` is the outbox, at most :data:`OUTBOX_CAP`."""

    unread: int
    waiting: int
    inbox_total: int
    totals: dict[str, int]


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A letter as its holder sees it. ``deliveries`` is filled, and ``letter.email.bcc`` with it, only when the holder wrote it."""

    letter: StoredEmail
    folder: str
    written: bool
    read: bool
    starred: bool
    deliveries: tuple[Delivery, ...]
    deleted: bool = False


COLUMNS = (
    email.c.order_no,
    email.c.id,
    entry.c.folder,
    email.c.sender_name,
    email.c.sender_address,
    email.c.recipients_line,
    email.c.subject,
    email.c.preview,
    email.c.received_at,
    email.c.sent_at,
    email.c.sent_at_doubtful,
    entry.c.read,
    entry.c.starred,
    email.c.attachment_count,
    email.c.conversation,
)
ROWS: Select[Any] = (
    select(*COLUMNS)
    .select_from(entry)
    .join(email, email.c.order_no == entry.c.email)
    .where(entry.c.account == bindparam("account"), entry.c.deleted == false())
)
_SOME = ROWS.where(entry.c.email.in_(bindparam("emails", expanding=True))).order_by(entry.c.email.desc())
_IN_FOLDER = ROWS.where(entry.c.folder == bindparam("folder"))
# "folder || ''" keeps SQLite from walking the whole inbox for it: the index of written letters is the short one
AMONG_SENT = and_(
    entry.c.written == true(),
    or_(*(entry.c.folder.concat("") == name.value for name in (FolderName.SENT, FolderName.INBOX))),
)
_WRITTEN = ROWS.where(AMONG_SENT)
# the next columns of the same index, so that no row is looked at
_NEWER: Select[Any] = (
    select(func.count())
    .select_from(entry)
    .where(entry.c.account == bindparam("account"), entry.c.deleted == false(), entry.c.email > bindparam("first"))
)
_NEWER_IN_FOLDER = _NEWER.where(entry.c.folder == bindparam("folder"))
_NEWER_WRITTEN = _NEWER.where(AMONG_SENT)
_TOTAL = select(folder_count.c.total).where(
    folder_count.c.account == bindparam("account"), folder_count.c.folder == bindparam("folder")
)
_IN_STATE: Select[Any] = (
    select(recipient.c.email)
    .join(entry, (entry.c.account == recipient.c.account) & (entry.c.email == recipient.c.email))
    .where(
        recipient.c.account == bindparam("account"),
        recipient.c.state == bindparam("state"),
        entry.c.deleted == false(),
    )
    .distinct()
)
_WAITING_OF = _IN_STATE.params(state=DeliveryState.WAITING.value)
_WAITING_COUNT = _WAITING_OF.limit(OUTBOX_CAP).subquery()
_COUNTS = union_all(
    select(folder_count.c.folder, folder_count.c.total, folder_count.c.unread).where(
        folder_count.c.account == bindparam("account")
    ),
    select(literal("outbox"), func.count(), literal(0)).select_from(_WAITING_COUNT),
)
_STATES = (
    select(recipient.c.email, recipient.c.state)
    .where(recipient.c.account == bindparam("account"), recipient.c.email.in_(bindparam("emails", expanding=True)))
    .distinct()
)
_ENTRY = select(entry.c.folder, entry.c.written, entry.c.read, entry.c.starred, entry.c.deleted).where(
    entry.c.tenant == bindparam("tenant"),
    entry.c.account == bindparam("account"),
    entry.c.email == bindparam("email"),
    entry.c.folder > "",  # what is emptied (deleted.py) is nobody's
)
_WORST_FIRST = (
    DeliveryState.REFUSED,
    DeliveryState.WAITING,
    DeliveryState.AT_SERVER,
    DeliveryState.ACCEPTED,
    DeliveryState.LOCAL,
)


def paged(query: Select[Any]) -> tuple[Select[Any], Select[Any], Select[Any]]:
    """``query`` as :func:`turn` wants it: newest first, below ``before``, above ``after``."""
    newest_first = query.order_by(entry.c.email.desc()).limit(bindparam("limit"))
    before = query.where(entry.c.email < bindparam("before")).order_by(entry.c.email.desc()).limit(bindparam("limit"))
    after = query.where(entry.c.email > bindparam("after")).order_by(entry.c.email).limit(bindparam("limit"))
    return newest_first, before, after


_FOLDER_PAGES = paged(_IN_FOLDER)
_WRITTEN_PAGES = paged(_WRITTEN)
_OUTBOX_PAGES = tuple(
    query.limit(bindparam("limit"))
    for query in (
        _WAITING_OF.order_by(recipient.c.email.desc()),
        _WAITING_OF.where(recipient.c.email < bindparam("before")).order_by(recipient.c.email.desc()),
        _WAITING_OF.where(recipient.c.email > bindparam("after")).order_by(recipient.c.email),
    )
)


def list_folder(
    tx: Connection,
    person: Account,
    folder: str,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = 20,
) -> Page:
    """A page of a folder: the newest letters, or those just below ``before``, or just above ``after``.

    ``sent`` shows all that the person wrote; see ``entries.lists_of``.
    """
    sent = folder == FolderName.SENT
    asked: dict[str, Any] = {"account": person.no, "limit": limit + 1}
    if not sent:
        asked["folder"] = str(folder)
    found, older, newer = turn(tx, _WRITTEN_PAGES if sent else _FOLDER_PAGES, asked, before, after, limit)
    total = tx.execute(_TOTAL, {"account": person.no, "folder": str(folder)}).scalar() or 0
    rows = [letter_row(row) for row in found]
    start = _start(tx, rows, newer, _NEWER_WRITTEN if sent else _NEWER_IN_FOLDER, person, folder)
    if sent:
        rows = _with_states(tx, person, rows)
    return Page(tuple(rows), total, start, older, newer)


def list_outbox(
    tx: Connection, person: Account, *, before: int | None = None, after: int | None = None, limit: int = 20
) -> Page:
    """The person's letters that have not left the box for at least one recipient."""
    found, older, newer = turn(tx, _OUTBOX_PAGES, {"account": person.no, "limit": limit + 1}, before, after, limit)
    rows = _with_states(tx, person, rows_of(tx, person, [row.email for row in found]))
    total = counts(tx, person).waiting
    start = None if newer is not None else (1 if rows else 0)
    return Page(tuple(rows), total, start, older, newer, more=total >= OUTBOX_CAP)


def list_in_state(tx: Connection, person: Account, state: DeliveryState, *, limit: int = 20) -> list[LetterRow]:
    """The person's newest letters with a recipient for whom they are in ``state``, however long ago they were written."""
    query = _IN_STATE.order_by(recipient.c.email.desc()).limit(limit)
    found = [row.email for row in tx.execute(query, {"account": person.no, "state": state.value})]
    return _with_states(tx, person, rows_of(tx, person, found))


def counts(tx: Connection, person: Account) -> Counts:
    """The numbers that every page shows, in one query."""
    totals: dict[str, int] = {}
    unread = 0
    for name, total, not_read in tx.execute(_COUNTS, {"account": person.no}):
        totals[name] = total
        if name == FolderName.INBOX:
            unread = not_read
    waiting = totals.pop("outbox", 0)
    return Counts(unread=unread, waiting=waiting, inbox_total=totals.get("inbox", 0), totals=totals)


def get_entry(tx: Connection, person: Account, email_no: int, *, deleted_too: bool = False) -> StoredEntry | None:
    """The letter when the person has it and has not deleted it, else None; ``deleted_too`` as long as it can be put back."""
    row = tx.execute(_ENTRY, {"tenant": person.tenant, "account": person.no, "email": email_no}).first()
    if row is None or (row.deleted and not deleted_too):
        return None
    letter = read_email(tx, person.tenant, email_no)
    deliveries: tuple[Delivery, ...] = ()
    if row.written:
        written = written_recipients(tx, person.tenant, email_no)
        deliveries = tuple(one.delivery for one in written)
        bcc = tuple(Contact(one.delivery.address, one.name) for one in written if one.delivery.role == "bcc")
        letter = replace(letter, email=replace(letter.email, bcc=bcc))
    return StoredEntry(letter, row.folder, row.written, row.read, row.starred, deliveries, bool(row.deleted))


def attachment_of(tx: Connection, person: Account, email_no: int, n: int) -> StoredAttachment | None:
    """File ``n`` (from 0) of a letter that the person has, among the deleted ones too, else None."""
    row = tx.execute(_ENTRY, {"tenant": person.tenant, "account": person.no, "email": email_no}).first()
    if row is None:
        return None
    files = attachments_of(tx, person.tenant, email_no)
    return files[n] if 0 <= n < len(files) else None


def rows_of(tx: Connection, person: Account, emails: Sequence[int]) -> list[LetterRow]:
    """The lines of these letters, as far as the person has them, newest first."""
    if not emails:
        return []
    return [letter_row(row) for row in tx.execute(_SOME, {"account": person.no, "emails": list(emails)})]


def turn(
    tx: Connection,
    pages: Sequence[Select[Any]],
    asked: dict[str, Any],
    before: int | None,
    after: int | None,
    limit: int,
) -> tuple[list[Row[Any]], EmailNo | None, EmailNo | None]:
    """The rows of a page, and what its neighbours are asked by; one row too many tells that there is a neighbour."""
    if after is not None:
        found = list(tx.execute(pages[2], asked | {"after": after}))
        further = len(found) > limit
        found = found[:limit][::-1]
        older = EmailNo(found[-1][0]) if found else None
        return found, older, EmailNo(found[0][0]) if further else None
    if before is not None:
        found = list(tx.execute(pages[1], asked | {"before": before}))
    else:
        found = list(tx.execute(pages[0], asked))
    further = len(found) > limit
    found = found[:limit]
    newer = EmailNo(found[0][0]) if before is not None and found else None
    return found, EmailNo(found[-1][0]) if further else None, newer


def neighbours(tx: Connection, person: Account, folder: str, no: int) -> tuple[LetterRow | None, LetterRow | None]:
    """The letters just newer and just older than ``no`` in a list."""
    pages = _WRITTEN_PAGES if folder == FolderName.SENT else _FOLDER_PAGES
    asked: dict[str, Any] = {"account": person.no, "limit": 1}
    if folder != FolderName.SENT:
        asked["folder"] = str(folder)
    newer = tx.execute(pages[2], asked | {"after": no}).first()
    older = tx.execute(pages[1], asked | {"before": no}).first()
    return letter_row(newer) if newer else None, letter_row(older) if older else None


def _start(
    tx: Connection, rows: list[LetterRow], newer: EmailNo | None, query: Select[Any], person: Account, folder: str
) -> int:
    if not rows:
        return 0
    if newer is None:
        return 1
    asked: dict[str, Any] = {"account": person.no, "first": rows[0].no}
    if query is _NEWER_IN_FOLDER:
        asked["folder"] = str(folder)
    return int(tx.execute(query, asked).scalar_one()) + 1


def _with_states(tx: Connection, person: Account, rows: list[LetterRow]) -> list[LetterRow]:
    if not rows:
        return rows
    states: dict[int, set[str]] = {}
    for row in tx.execute(_STATES, {"account": person.no, "emails": [one.no for one in rows]}):
        states.setdefault(row.email, set()).add(row.state)
    return [
        replace(one, state=next((state for state in _WORST_FIRST if state in states.get(one.no, ())), None))
        for one in rows
    ]


def letter_row(row: Row[Any]) -> LetterRow:
    return LetterRow(
        no=EmailNo(row.order_no),
        id=EmailId(bytes(row.id)),
        folder=row.folder,
        sender_name=row.sender_name,
        sender_address=row.sender_address,
        recipients_line=row.recipients_line,
        subject=row.subject,
        preview=row.preview,
        received_at=from_micros(row.received_at),
        sent_at=None if row.sent_at is None else from_micros(row.sent_at),
        sent_at_doubtful=row.sent_at_doubtful,
        read=row.read,
        starred=row.starred,
        attachment_count=row.attachment_count,
        conversation=row.conversation,
    )


__all__ = [
    "AMONG_SENT",
    "COLUMNS",
    "OUTBOX_CAP",
    "ROWS",
    "Counts",
    "LetterRow",
    "Page",
    "StoredEntry",
    "attachment_of",
    "counts",
    "get_entry",
    "letter_row",
    "list_folder",
    "list_in_state",
    "list_outbox",
    "neighbours",
    "paged",
    "rows_of",
    "set_flag",
    "turn",
]
