"""Letters being written: kept as typed, mistakes and all, until they are sent or thrown away.

A draft is known by the number of its form. Its version rises with each change, so that what an older window brings does not overwrite a newer one.
Its files are named here (``draft_file``), so that the sweep of unnamed files leaves their bytes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import draft, draft_file
from lokole.mailbox.seen import was_seen
from lokole.mailbox.words import storable

#: how many drafts one person keeps
MAX_DRAFTS = 100


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody has typed so far; ``answers`` is the number of the letter that ``action`` is about."""

    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    body: str = ""
    format: str = "text"
    action: str = ""
    answers: int | None = None
    quote: bool = True
    files: tuple[StoredAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """A draft as it is kept; in a list ``typed`` lacks its files."""

    no: int
    form: str
    version: int
    changed_at: datetime
    typed: Typed
    file_count: int = 0


def form_key(person: Account, form: str) -> str:
    """Under which key ``seen`` knows that this form was sent."""
    return f"{person.no}:{form}"


def save_draft(
    tx: Connection, person: Account, form: str, version: int, typed: Typed, now: datetime, *, page: str = ""
) -> int:
    """Keep what was typed in form number ``form``; ``version`` is what the form was shown with, 0 for a new one. Returns the new version.

    ``page`` names the window it was shown in, which may overwrite what it kept itself.

    Raises Refused, nothing changed: ``sent`` when this form was sent already, ``newer`` when another window has changed it since,
    ``too-many`` when the person has :data:`MAX_DRAFTS`. A draft that was thrown away meanwhile is there again.
    """
    if was_seen(tx, person.tenant, "form", form_key(person, form)):
        raise Refused("this letter was sent already", code="sent")
    known = tx.execute(
        select(draft.c.no, draft.c.version, draft.c.page).where(*_is(person, form)).with_for_update()
    ).first()
    values: dict[str, Any] = {
        name: storable(getattr(typed, name)) for name in ("to", "cc", "bcc", "subject", "body", "format", "action")
    } | {"answers": typed.answers, "quote": typed.quote, "changed_at": to_micros(now), "page": page}
    if known is None:
        if count_drafts(tx, person) >= MAX_DRAFTS:
            raise Refused("too many drafts", code="too-many")
        new = max(version, 0) + 1
        values |= {"tenant": person.tenant, "account": person.no, "form": form, "version": new}
        made = tx.execute(insert(draft).values(**values)).inserted_primary_key
        assert made is not None
        no = int(made[0])
    else:
        if known.version != version and not (page and known.page == page):
            raise Refused("another window has changed it", code="newer")
        no, new = int(known.no), int(known.version) + 1
        tx.execute(update(draft).where(draft.c.tenant == person.tenant, draft.c.no == no).values(version=new, **values))
        tx.execute(delete(draft_file).where(draft_file.c.tenant == person.tenant, draft_file.c.draft == no))
    if typed.files:
        tx.execute(insert(draft_file), [_file_values(person, no, n, one) for n, one in enumerate(typed.files)])
    return new


def list_drafts(tx: Connection, person: Account) -> list[StoredDraft]:
    """All drafts of a person, the newest first; their bodies are cut to what a list shows."""
    files = (
        select(func.count())
        .where(draft_file.c.tenant == draft.c.tenant, draft_file.c.draft == draft.c.no)
        .scalar_subquery()
    )
    query = (
        select(draft, func.substr(draft.c.body, 1, 400).label("beginning"), files.label("file_count"))
        .where(draft.c.tenant == person.tenant, draft.c.account == person.no)
        .order_by(draft.c.no.desc())
    )
    return [_stored(row, (), row.beginning, row.file_count) for row in tx.execute(query)]


def count_drafts(tx: Connection, person: Account) -> int:
    """How many drafts a person has."""
    mine = draft.c.tenant == person.tenant, draft.c.account == person.no
    return int(tx.execute(select(func.count()).select_from(draft).where(*mine)).scalar_one())


def get_draft(tx: Connection, person: Account, no: int) -> StoredDraft | None:
    """The person's draft number ``no`` with its files, or None."""
    mine = draft.c.tenant == person.tenant, draft.c.account == person.no, draft.c.no == no
    row = tx.execute(select(draft).where(*mine)).first()
    if row is None:
        return None
    of_it = draft_file.c.tenant == person.tenant, draft_file.c.draft == no
    files = tuple(
        StoredAttachment(one.filename, one.type, one.cid, one.sha256, one.size)
        for one in tx.execute(select(draft_file).where(*of_it).order_by(draft_file.c.n))
    )
    return _stored(row, files, row.body, len(files))


def find_draft(tx: Connection, person: Account, form: str) -> int | None:
    """The number of the draft that form number ``form`` was kept as, or None."""
    no: int | None = tx.execute(select(draft.c.no).where(*_is(person, form))).scalar()
    return no


def delete_draft(tx: Connection, person: Account, no: int | None) -> bool:
    """Throw one away; False when it is not there (any more)."""
    mine = draft.c.tenant == person.tenant, draft.c.account == person.no, draft.c.no == no
    if no is None or tx.execute(select(draft.c.no).where(*mine)).first() is None:
        return False
    tx.execute(delete(draft_file).where(draft_file.c.tenant == person.tenant, draft_file.c.draft == no))
    tx.execute(delete(draft).where(*mine))
    return True


def _is(person: Account, form: str) -> tuple[Any, ...]:
    return draft.c.tenant == person.tenant, draft.c.account == person.no, draft.c.form == form


def _stored(row: Any, files: tuple[StoredAttachment, ...], body: str, file_count: int) -> StoredDraft:
    words = row._mapping
    typed = Typed(
        **{name: words[name] for name in ("to", "cc", "bcc", "subject", "format", "action", "answers")},
        body=body,
        quote=bool(row.quote),
        files=files,
    )
    return StoredDraft(int(row.no), row.form, int(row.version), from_micros(row.changed_at), typed, int(file_count))


def _file_values(person: Account, no: int, n: int, one: StoredAttachment) -> dict[str, Any]:
    return {
        "tenant": person.tenant,
        "draft": no,
        "n": n,
        "filename": storable(one.filename),
        "type": storable(one.type),
        "cid": None if one.cid is None else storable(one.cid),
        "sha256": one.sha256,
        "size": one.size,
    }
