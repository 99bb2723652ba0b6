"""Finding letters by more than words: from whom, to whom, with files, between two moments, in a folder, unread, starred.

Candidates come newest first, from the full text index where there are words and from the person's own index where there are none;
what the columns of a letter tell is asked of the database, names and addresses are compared folded as the words are.
A page looks at no more than :data:`MAX_LOOKED_AT` candidates, so that a filter that fits nothing costs no more than one that fits;
the next page goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, false, func, select, true

from lokole.mail.model import Account, EmailNo, FolderName
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.lists import Page, rows_of
from lokole.mailbox.schema import address, email, entry, recipient
from lokole.mailbox.search import search, word_candidates
from lokole.mailbox.words import fold, words

MAX_LOOKED_AT = 5_000
_AT_ONCE = 500

# without a word about "deleted", which would have SQLite sort the index that begins with it; _fitting asks for it
_OWN = select(entry.c.email).where(entry.c.account == bindparam("account"))


@dataclass(frozen=True, slots=True)
class Filters:
    """What else must hold of a letter; a filter that is empty, None or False asks nothing.

    ``sender`` and ``to`` are the beginning of words of a name or an address; ``since`` counts itself in, ``until`` does not.
    """

    sender: str = ""
    to: str = ""
    since: datetime | None = None
    until: datetime | None = None
    folder: str = ""
    attachment: bool = False
    unread: bool = False
    starred: bool = False


NONE = Filters()


def find(
    tx: Connection,
    person: Account,
    query: str,
    filters: Filters = NONE,
    *,
    limit: int = 20,
    before: int | None = None,
    after: int | None = None,
) -> Page:
    """A page of the person's letters that have all words of ``query`` and fit ``filters``, newest first.

    Without filters it is :func:`lokole.mailbox.search.search`. With some, ``total`` is 0 and ``start`` None: they are not counted;
    the page may be empty and still have an ``older`` one, where nothing fitted among those looked at.
    """
    if filters == NONE:
        return search(tx, person, query, limit=limit, before=before, after=after)
    if query.strip() and not words(query):
        return Page((), 0, 0, None, None)
    upwards = after is not None
    place, found, looked_at, all_seen = after if upwards else before, list[EmailNo](), 0, False
    while len(found) <= limit and looked_at < MAX_LOOKED_AT and not all_seen:
        candidates = _candidates(tx, person, query, place, upwards)
        all_seen = len(candidates) < _AT_ONCE
        looked_at += len(candidates)
        if candidates:
            place = candidates[-1]
            fitting = _fitting(tx, person, candidates, filters)
            found += [no for no in candidates if no in fitting]
    more, shown = len(found) > limit, found[:limit]
    # where to go on: behind the last one shown, or behind the last one looked at
    further = shown[-1] if more else (None if all_seen or place is None else EmailNo(place))
    if upwards:
        shown = shown[::-1]
        older = EmailNo(shown[-1]) if shown else (None if after is None else EmailNo(after))
        return Page(tuple(rows_of(tx, person, shown)), 0, None, older, further)
    newer = None if before is None else (shown[0] if shown else EmailNo(before))
    return Page(tuple(rows_of(tx, person, shown)), 0, None if shown else 0, further, newer)


def _candidates(tx: Connection, person: Account, query: str, place: int | None, upwards: bool) -> Sequence[EmailNo]:
    if query.strip():
        return word_candidates(tx, person, query, place, upwards=upwards, limit=_AT_ONCE)
    statement = _OWN.limit(_AT_ONCE)
    if place is not None:
        statement = statement.where(entry.c.email > place if upwards else entry.c.email < place)
    order = entry.c.email if upwards else entry.c.email.desc()
    return [EmailNo(no) for no in tx.execute(statement.order_by(order), {"account": person.no}).scalars()]


def _fitting(tx: Connection, person: Account, numbers: Sequence[EmailNo], filters: Filters) -> set[int]:
    statement = (
        select(email.c.order_no, email.c.sender_name, email.c.sender_address, entry.c.written)
        .select_from(email)
        .join(entry, (entry.c.account == person.no) & (entry.c.email == email.c.order_no))
        .where(email.c.tenant == person.tenant, email.c.order_no.in_(numbers), *_conditions(filters))
    )
    rows: Sequence[Any] = tx.execute(statement).all()
    if filters.sender:
        rows = [row for row in rows if _names(filters.sender, f"{row.sender_name} {row.sender_address}")]
    if filters.to and rows:
        people = _recipients(tx, person, [row.order_no for row in rows])
        rows = [row for row in rows if _names(filters.to, people.get(row.order_no, ""))]
    return {row.order_no for row in rows}


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [entry.c.deleted == false()]
    moment = func.coalesce(email.c.sent_at, email.c.received_at)
    if filters.since is not None:
        found.append(moment >= to_micros(filters.since))
    if filters.until is not None:
        found.append(moment < to_micros(filters.until))
    if filters.folder == FolderName.SENT:
        found += [entry.c.written == true(), entry.c.folder.in_([FolderName.SENT.value, FolderName.INBOX.value])]
    elif filters.folder:
        found.append(entry.c.folder == filters.folder)
    if filters.attachment:
        found.append(email.c.attachment_count > 0)
    if filters.unread:
        found.append(entry.c.read == false())
    if filters.starred:
        found.append(entry.c.starred == true())
    return found


def _recipients(tx: Connection, person: Account, numbers: Sequence[int]) -> dict[int, str]:
    """Names and addresses a letter went to; Bcc where the person wrote it."""
    found: dict[int, str] = {}
    public = select(address.c.email, address.c.name, address.c.address).where(
        address.c.tenant == person.tenant, address.c.email.in_(numbers), address.c.role.in_(["to", "cc"])
    )
    written = select(recipient.c.email, recipient.c.name, recipient.c.address).where(
        recipient.c.tenant == person.tenant,
        recipient.c.email.in_(numbers),
        recipient.c.account == person.no,
    )
    for statement in (public, written):
        for row in tx.execute(statement):
            found[row.email] = f"{found.get(row.email, '')} {row.name} {row.address}"
    return found


def _names(asked: str, text: str) -> bool:
    """Whether every word of ``asked`` begins a word of ``text``, accents and case not counting."""
    there = words(text) if text else []
    wanted = words(asked) or [fold(asked)]
    return all(any(word.startswith(one) for word in there) for one in wanted)
