"""Finding letters by words: newest first, only one's own, without looking at anybody else's.

All words must be there; the last one, when it has at least three letters, may go on ("scho" finds "school").
Whatever a person types is safe: only letters and digits of it reach the engines (``words.py``).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import TextClause, text

from lokole.mail.model import Account, EmailNo
from lokole.mailbox.database import Connection
from lokole.mailbox.fulltext import holder_word
from lokole.mailbox.lists import Page, rows_of
from lokole.mailbox.words import fold, words

#: more hits than this are shown as "more than 100"
TOTAL_CAP = 100
_MAX_WORDS = 12
_MIN_PREFIX_CHARS = 3

# CROSS JOIN fixes the order: the index gives numbers newest first, and the entry is looked up for as many as the page needs
_FTS = (
    "SELECT w.rowid AS no FROM letter_words AS w CROSS JOIN entry AS e"
    " ON e.account = :account AND e.email = w.rowid AND e.deleted = 0"
    " WHERE w.letter_words MATCH :query{0} ORDER BY w.rowid {1} LIMIT :limit"
)
_TS = (
    "SELECT w.email AS no FROM letter_words AS w JOIN entry AS e"
    " ON e.account = :account AND e.email = w.email AND NOT e.deleted"
    " WHERE w.words @@ CAST(:query AS tsquery){0} ORDER BY w.email {1} LIMIT :limit"
)
_PAGES = {
    "sqlite": (
        text(_FTS.format("", "DESC")),
        text(_FTS.format(" AND w.rowid < :before", "DESC")),
        text(_FTS.format(" AND w.rowid > :after", "ASC")),
    ),
    "postgresql": (
        text(_TS.format("", "DESC")),
        text(_TS.format(" AND w.email < :before", "DESC")),
        text(_TS.format(" AND w.email > :after", "ASC")),
    ),
}


def search(
    tx: Connection, person: Account, query: str, *, limit: int = 20, before: int | None = None, after: int | None = None
) -> Page:
    """A page of the person's letters with all words of ``query``, newest first; ``before`` and ``after`` as in ``lists.list_folder``.

    ``total`` is exact up to 100; above, ``more`` is True. Without a word in ``query`` nothing is found. Raises nothing for any text.
    """
    asked = words(query)[:_MAX_WORDS]
    if not asked:
        return Page((), 0, 0, None, None)
    engine = tx.dialect.name
    condition = (_fts_query if engine == "sqlite" else _ts_query)(person.no, asked)
    newest, before_page, after_page = _PAGES[engine]
    parameters: dict[str, Any] = {"account": person.no, "query": condition}
    first = _numbers(tx, newest, parameters | {"limit": max(TOTAL_CAP, limit) + 1})
    if after is not None:
        found = _numbers(tx, after_page, parameters | {"limit": limit + 1, "after": after})
        further, found = len(found) > limit, found[:limit][::-1]
        older = found[-1] if found else None
        newer = found[0] if further else None
    else:
        if before is None:
            found = first[: limit + 1]
        else:
            found = _numbers(tx, before_page, parameters | {"limit": limit + 1, "before": before})
        further, found = len(found) > limit, found[:limit]
        older = found[-1] if further else None
        newer = found[0] if found and before is not None else None
    total = min(len(first), TOTAL_CAP)
    start = first.index(found[0]) + 1 if found and found[0] in first else (None if found else 0)
    return Page(tuple(rows_of(tx, person, found)), total, start, older, newer, more=len(first) > TOTAL_CAP)


def word_candidates(
    tx: Connection, person: Account, query: str, place: int | None, *, upwards: bool, limit: int
) -> list[EmailNo]:
    """Numbers of the person's letters with all words of ``query``: newest first below ``place``, or upwards from above it."""
    asked = words(query)[:_MAX_WORDS]
    if not asked:
        return []
    engine = tx.dialect.name
    condition = (_fts_query if engine == "sqlite" else _ts_query)(person.no, asked)
    newest, before_page, after_page = _PAGES[engine]
    parameters: dict[str, Any] = {"account": person.no, "query": condition, "limit": limit}
    if place is None:
        return _numbers(tx, newest, parameters)
    if upwards:
        return _numbers(tx, after_page, parameters | {"after": place})
    return _numbers(tx, before_page, parameters | {"before": place})


def _numbers(tx: Connection, statement: TextClause, parameters: dict[str, Any]) -> list[EmailNo]:
    return [EmailNo(no) for no in tx.execute(statement, parameters).scalars()]


def _fts_query(account_no: int, asked: list[str]) -> str:
    # the words are letters and digits, the quotes are for FTS5's own words such as AND
    *whole, last = asked
    parts = [f'"{word}"' for word in (holder_word(account_no), *whole)]
    return " ".join([*parts, f'"{last}" *' if len(last) >= _MIN_PREFIX_CHARS else f'"{last}"'])


def _ts_query(account_no: int, asked: list[str]) -> str:
    *whole, last = asked
    parts = [f"'{word}'" for word in (holder_word(account_no), *whole)]
    return " & ".join([*parts, f"'{last}':*" if len(last) >= _MIN_PREFIX_CHARS else f"'{last}'"])


__all__ = ["TOTAL_CAP", "fold", "search", "word_candidates"]
