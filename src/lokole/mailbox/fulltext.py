"""The full text index: which words a letter has, and who holds it.

Layout, the same idea on both engines, in the table ``letter_words`` of the first migration: one row per letter, numbered
by ``email.order_no``; its words (see ``words.py``) and one word ``@7`` for each account that holds it and has not deleted it.
No text, no positions: about a tenth of the letters' size.
A search asks for ``@7`` and its words at once, newest first, and stops at the first page: it never walks the letters of others.

On SQLite it is a contentless FTS5 table (``detail=none``): adding or removing a holder inserts or deletes that one word
of the row, the others stay. On PostgreSQL it is a ``tsvector`` made of the same words, with a GIN index.
Looking things up is ``search.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select, text

from lokole.mailbox.database import Connection
from lokole.mailbox.schema import address, attachment, email, entry
from lokole.mailbox.upsert import Statement
from lokole.mailbox.words import plain_text, words

_FTS_ADD = Statement("INSERT INTO letter_words (rowid, words) VALUES (:email, :words)")
_FTS_TAKE = Statement("INSERT INTO letter_words (letter_words, rowid, words) VALUES ('delete', :email, :words)")
_TS_ADD = Statement(
    "INSERT INTO letter_words (email, words) VALUES (:email, array_to_tsvector(CAST(:words AS text[])))"
    " ON CONFLICT (email) DO UPDATE SET words = letter_words.words || excluded.words"
)
_TS_TAKE = Statement("UPDATE letter_words SET words = ts_delete(words, CAST(:words AS text[])) WHERE email = :email")
_TS_FORGET = Statement("DELETE FROM letter_words WHERE email = ANY(CAST(:emails AS bigint[]))")


def holder_word(account_no: int) -> str:
    """The word that says who holds a letter; no text folds to it."""
    return f"@{account_no}"


def letter_text(*, subject: str, people: Iterable[str], filenames: Iterable[str], readable: str) -> str:
    """All that a search may find of a letter; ``people`` are names and addresses, without Bcc, ``readable`` is the body's text."""
    return " ".join([subject, *people, *filenames, readable])


def index_letter(tx: Connection, email_no: int, content: str, holders: Iterable[int]) -> None:
    """Make ``content`` findable for the accounts ``holders``; once per letter."""
    _add(tx, email_no, [*words(content), *(holder_word(no) for no in holders)])


def add_words(tx: Connection, email_no: int, content: str) -> None:
    """Words that came later, such as the name of a file; those that are there already do no harm to results."""
    _add(tx, email_no, words(content))


def add_holder(tx: Connection, email_no: int, account_no: int) -> None:
    """From now on ``account_no`` finds the letter; must not be called for one who holds it already."""
    _add(tx, email_no, [holder_word(account_no)])


def remove_holder(tx: Connection, email_no: int, account_no: int) -> None:
    """From now on ``account_no`` does not find the letter; must not be called for one who does not hold it."""
    _take(tx, email_no, [holder_word(account_no)])
    if tx.dialect.name == "sqlite":
        # FTS5 counts one row less with every "delete" and calls the table damaged below none: the letter is still there
        _FTS_ADD.run(tx, {"email": email_no, "words": ""})


def forget_letters(tx: Connection, email_nos: Sequence[int]) -> None:
    """Take letters out of the index; call it while their rows are still there."""
    if tx.dialect.name != "sqlite":
        _TS_FORGET.run(tx, {"emails": list(email_nos)})
        return
    for email_no in email_nos:
        row = tx.execute(select(email.c.subject, email.c.body).where(email.c.order_no == email_no)).first()
        if row is not None:
            known = words(_text_of(tx, email_no, row.subject, row.body))
            _take(tx, email_no, [*known, *(holder_word(no) for no in _holders(tx, email_no))])


def forget_all(tx: Connection) -> None:
    """Take every letter of every device out of the index."""
    if tx.dialect.name == "sqlite":
        tx.execute(text("INSERT INTO letter_words (letter_words) VALUES ('delete-all')"))
    else:
        tx.execute(text("DELETE FROM letter_words"))


def rebuild(tx: Connection) -> int:
    """Make the whole index anew from the letters (after a change of folding, or when it is damaged). Returns how many."""
    forget_all(tx)
    count = 0
    numbers = tx.execute(select(email.c.order_no).order_by(email.c.order_no)).scalars().all()
    for email_no in numbers:
        row = tx.execute(select(email.c.subject, email.c.body).where(email.c.order_no == email_no)).one()
        index_letter(tx, email_no, _text_of(tx, email_no, row.subject, row.body), _holders(tx, email_no))
        count += 1
    return count


def _holders(tx: Connection, email_no: int) -> list[int]:
    query = select(entry.c.account).where(entry.c.email == email_no, entry.c.deleted.is_(False))
    return [int(no) for no in tx.execute(query).scalars()]


def _text_of(tx: Connection, email_no: int, subject: str, body: str) -> str:
    people = tx.execute(select(address.c.name, address.c.address).where(address.c.email == email_no)).all()
    filenames = tx.execute(select(attachment.c.filename).where(attachment.c.email == email_no)).scalars().all()
    return letter_text(
        subject=subject,
        people=[part for person in people for part in (person.name, person.address)],
        filenames=filenames,
        readable=plain_text(body),
    )


def _add(tx: Connection, email_no: int, new: list[str]) -> None:
    if tx.dialect.name == "sqlite":
        _FTS_ADD.run(tx, {"email": email_no, "words": " ".join(new)})
    else:
        _TS_ADD.run(tx, {"email": email_no, "words": new})


def _take(tx: Connection, email_no: int, gone: list[str]) -> None:
    if tx.dialect.name == "sqlite":
        _FTS_TAKE.run(tx, {"email": email_no, "words": " ".join(gone)})
    else:
        _TS_TAKE.run(tx, {"email": email_no, "words": gone})
