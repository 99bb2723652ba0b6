"""Letters that belong together: lists with one line per conversation, and the letters around one.

A line of such a list is the newest letter that the list holds of a conversation; it costs one look into an index for each letter that is passed over.
What is counted is what the person has of the conversation in whatever folder, without what they deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, exists, false, func, or_, select, true

from lokole.mail.model import Account, EmailNo, FolderName
from lokole.mailbox.database import Connection
from lokole.mailbox.lists import COLUMNS, ROWS, LetterRow, Page, letter_row, paged, turn
from lokole.mailbox.options import forget_option, get_option, set_option
from lokole.mailbox.schema import email, entry

_later_email, _later = email.alias("later_email"), entry.alias("later")


@dataclass(frozen=True, slots=True)
class Around:
    """The letters of a conversation around one of them, oldest first, and how many there are beyond these.

    ``chars`` is how long the body of each is, by its number.
    """

    before: tuple[LetterRow, ...]
    after: tuple[LetterRow, ...]
    more_before: int
    more_after: int
    chars: dict[int, int]


def _newest_only(folder: ColumnElement[bool], folder_of_later: ColumnElement[bool]) -> Select[Any]:
    # "+ 0" and "|| ''" keep SQLite from walking all that a person has for what the conversation's index has at once
    later_in_it = exists().where(
        _later_email.c.tenant == email.c.tenant,
        _later_email.c.conversation == email.c.conversation,
        _later_email.c.order_no > email.c.order_no,
        _later.c.account + 0 == bindparam("account"),
        _later.c.email == _later_email.c.order_no,
        _later.c.deleted == false(),
        folder_of_later,
    )
    return ROWS.where(folder, ~later_in_it)


def _among_sent(table: Any) -> ColumnElement[bool]:
    return or_(*(table.c.folder.concat("") == name.value for name in (FolderName.SENT, FolderName.INBOX)))


_FOLDER_PAGES = paged(
    _newest_only(entry.c.folder == bindparam("folder"), _later.c.folder.concat("") == bindparam("folder"))
)
_WRITTEN_PAGES = paged(
    _newest_only((entry.c.written == true()) & _among_sent(entry), (_later.c.written == true()) & _among_sent(_later))
)
_COUNTS: Select[Any] = (
    select(
        email.c.conversation,
        func.count().label("letters"),
        func.sum(case((entry.c.read == false(), 1), else_=0)).label("unread"),
    )
    .select_from(email)
    .join(entry, (entry.c.account == bindparam("account")) & (entry.c.email == email.c.order_no))
    .where(
        email.c.tenant == bindparam("tenant"),
        email.c.conversation.in_(bindparam("conversations", expanding=True)),
        entry.c.deleted == false(),
    )
    .group_by(email.c.conversation)
)
_OF_IT: Select[Any] = (
    select(*COLUMNS, func.length(email.c.body).label("chars"))
    .select_from(email)
    .join(entry, (entry.c.account == bindparam("account")) & (entry.c.email == email.c.order_no))
    .where(
        email.c.tenant == bindparam("tenant"),
        email.c.conversation == bindparam("conversation"),
        entry.c.deleted == false(),
    )
    .limit(bindparam("limit"))
)
_BEFORE = _OF_IT.where(email.c.order_no < bindparam("email")).order_by(email.c.order_no.desc())
_AFTER = _OF_IT.where(email.c.order_no > bindparam("email")).order_by(email.c.order_no)
_NUMBERS: Select[Any] = (
    select(email.c.order_no, entry.c.read)
    .select_from(email)
    .join(entry, (entry.c.account == bindparam("account")) & (entry.c.email == email.c.order_no))
    .where(
        email.c.tenant == bindparam("tenant"),
        email.c.conversation == bindparam("conversation"),
        entry.c.deleted == false(),
    )
    .order_by(email.c.order_no.desc())
)


def wants_conversations(tx: Connection, person: Account) -> bool:
    """Whether this person's lists show one line per conversation."""
    return bool(get_option(tx, person.tenant, _option(person), False))


def set_conversations(tx: Connection, person: Account, wanted: bool) -> None:
    """The person chooses; nothing of it travels."""
    if wanted:
        set_option(tx, person.tenant, _option(person), True)
    else:
        forget_option(tx, person.tenant, _option(person))


def list_conversations(
    tx: Connection,
    person: Account,
    folder: str,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = 20,
) -> Page:
    """As ``lists.list_folder`` with one line per conversation, which is unread while one of its letters is.

    How many conversations there are is not known: ``total`` is 0 and ``start`` None.
    """
    sent = folder == FolderName.SENT
    asked: dict[str, Any] = {"account": person.no, "limit": limit + 1}
    if not sent:
        asked["folder"] = str(folder)
    found, older, newer = turn(tx, _WRITTEN_PAGES if sent else _FOLDER_PAGES, asked, before, after, limit)
    rows = [letter_row(row) for row in found]
    if rows:
        asked = {"tenant": person.tenant, "account": person.no, "conversations": [one.conversation for one in rows]}
        counted = {row.conversation: row for row in tx.execute(_COUNTS, asked)}
        rows = [
            replace(one, count=int(counted[one.conversation].letters), read=not counted[one.conversation].unread)
            for one in rows
        ]
    return Page(tuple(rows), 0, None if rows else 0, older, newer)


def letters_around(tx: Connection, person: Account, conversation: str, email_no: int, *, each: int = 10) -> Around:
    """What the person has of ``conversation`` besides ``email_no``: at most ``each`` letters on either side."""
    asked = {"tenant": person.tenant, "account": person.no, "conversation": conversation, "email": email_no}
    before = tx.execute(_BEFORE, asked | {"limit": each + 1}).all()
    after = tx.execute(_AFTER, asked | {"limit": each + 1}).all()
    more_before = more_after = 0
    if len(before) > each or len(after) > each:
        numbers = [no for no, _read in _letters(tx, person, conversation)]
        more_before = sum(no < email_no for no in numbers) - len(before[:each])
        more_after = sum(no > email_no for no in numbers) - len(after[:each])
    shown = [*before[:each], *after[:each]]
    return Around(
        tuple(letter_row(row) for row in before[:each][::-1]),
        tuple(letter_row(row) for row in after[:each]),
        more_before,
        more_after,
        {row.order_no: int(row.chars) for row in shown},
    )


def letters_of(
    tx: Connection, person: Account, email_no: int, *, unread: bool = False, limit: int = 500
) -> list[EmailNo]:
    """The letters that the person has of the conversation of ``email_no``, newest first; with ``unread`` only those not read yet."""
    conversation = tx.execute(
        select(email.c.conversation)
        .join(entry, entry.c.email == email.c.order_no)
        .where(
            email.c.tenant == person.tenant,
            email.c.order_no == email_no,
            entry.c.account == person.no,
            entry.c.deleted == false(),
        )
    ).scalar()
    if conversation is None:
        return []
    found = _letters(tx, person, conversation)
    return [EmailNo(no) for no, read in found if not (unread and read)][:limit]


def _letters(tx: Connection, person: Account, conversation: str) -> list[tuple[int, bool]]:
    asked = {"tenant": person.tenant, "account": person.no, "conversation": conversation}
    return [(row.order_no, row.read) for row in tx.execute(_NUMBERS, asked)]


def _option(person: Account) -> str:
    return f"conversations-{person.no}"
