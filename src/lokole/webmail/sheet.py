"""The sheet of paper that a letter is written on: what its form carries from one round to the next.

Everything works as plain forms.
Files that came with one round are carried to the next (``form_files.py``).
A form carries a number drawn for it: sent twice, it makes one letter, and kept twice, one draft.
It also carries, signed, whose it is: so what was typed can be kept for them when their session has ended meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

from flask import request
from itsdangerous import BadSignature

from lokole.mail.errors import NotFound, Refused
from lokole.mail.html import html_to_text, make_safe
from lokole.mail.model import Account, EmailNo
from lokole.mailbox import accounts, deleted, lists
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.drafts import StoredDraft, Typed
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import form_files
from lokole.webmail.form_files import signer
from lokole.webmail.forms import LetterForm, submitted
from lokole.webmail.numbers import row_number
from lokole.webmail.parts import parts
from lokole.webmail.photos import SMALL, chosen_size

ACTIONS = ("reply", "reply_all", "forward", "again")
MAX_FILES = 50
_DRAWN = re.compile("[0-9a-f]{32}")
#: how long a form says whose it is
_OWNED = timedelta(days=31)
_LARGEST_VERSION = 2**31


@dataclass(slots=True)
class Sheet:
    """What the form shows and carries besides its fields.

    ``asked`` are addresses that look like mistakes and that the person has been asked about: sent once more, they are as meant.
    ``page`` is the window it is shown in; ``markup`` is the text as the editor of the script had it, where the form shows it plain. ``near`` are offers (field, what was typed, what may be meant); ``problem`` stands above all, ``kept`` says that it is kept.
    ``photo`` is the size that photos of this round get (``photos.py``).
    """

    form: LetterForm
    nonce: str
    page: str
    version: int = 0
    action: str = ""
    answers: StoredEntry | None = None
    quote: bool = True
    format: str = "text"
    files: list[StoredAttachment] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    near: list[tuple[str, str, str]] = field(default_factory=list)
    markup: str = ""
    problem: str = ""
    kept: str = ""
    photo: str = SMALL

    @property
    def file_bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def typed(self) -> Typed:
        """All of it, as a draft keeps it."""
        form = self.form
        return Typed(
            form.to.data or "",
            form.cc.data or "",
            form.bcc.data or "",
            form.subject.data or "",
            form.body.data or "",
            self.format,
            self.action,
            self.answers.letter.no if self.answers is not None else None,
            self.quote,
            tuple(self.files),
        )


def drawn() -> str:
    """A number for a form, or for the window it is shown in."""
    return parts().ports.entropy(16).hex()


def from_form(tx: Connection, person: Account) -> Sheet:
    """The sheet as ``person`` sent it; raises Refused when the form, or a file it names, is not one of ours and theirs.

    The letter that it answers may be deleted meanwhile, and still counts; when it is gone for good, the sheet is an ordinary letter.
    """
    page = request.form.get("page", "")
    sheet = Sheet(submitted(LetterForm), request.form.get("nonce", "")[:64], page if _DRAWN.fullmatch(page) else "")
    if not _DRAWN.fullmatch(sheet.nonce):
        raise Refused("the form has no number", code="nonce")
    sheet.version = min(request.form.get("version", 0, type=row_number), _LARGEST_VERSION)
    sheet.format = "html" if request.form.get("format") == "html" else "text"
    sheet.quote = "quote" in request.form
    sheet.photo = chosen_size(request.form.get("photo", ""))
    sheet.asked = [text[:320] for text in request.form.getlist("asked")[:200]]
    action, no = request.form.get("action", ""), request.form.get("uid", type=row_number)
    if action in ACTIONS and no is not None:
        sheet.answers = lists.get_entry(tx, person, EmailNo(no), deleted_too=True)
        if sheet.answers is None and not deleted.is_gone(tx, person, no):
            raise NotFound("the letter that is answered was never theirs")
        sheet.action = action if sheet.answers is not None else ""
    sheet.files = form_files.named(person, MAX_FILES)
    if sheet.format == "html":
        sheet.form.body.data = make_safe(sheet.form.body.data or "")
    return sheet


def from_draft(tx: Connection, person: Account, draft: StoredDraft) -> Sheet:
    """The sheet as it was kept. The letter that it answers may be gone meanwhile; then it is an ordinary letter."""
    typed, form = draft.typed, LetterForm()
    for name in ("to", "cc", "bcc", "subject", "body"):
        form[name].data = getattr(typed, name)
    sheet = Sheet(form, draft.form, drawn(), draft.version, quote=typed.quote, format=typed.format)
    sheet.files = list(typed.files)
    if typed.format == "html":
        # without scripts nobody is shown tags; the script takes up where it was
        sheet.markup = make_safe(typed.body)
        sheet.format, form.body.data = "text", html_to_text(sheet.markup)
    if typed.action in ACTIONS and typed.answers is not None:
        sheet.answers = lists.get_entry(tx, person, EmailNo(typed.answers), deleted_too=True)
        sheet.action = typed.action if sheet.answers is not None else ""
    return sheet


# --- whose it is ---------------------------------------------------------------------------------


def owner_token(person: Account, nonce: str) -> str:
    """Says, signed, whose form this is and since when."""
    at = to_micros(parts().ports.clock())
    return str(signer("form of a letter").dumps([int(person.tenant), int(person.no), nonce, at]))


def owner(tx: Connection) -> Account | None:
    """Whose the submitted form is, whoever is signed in; None when it does not say so, or was made more than a month ago."""
    try:
        tenant, no, nonce, at = signer("form of a letter").loads(request.form.get("owner", ""))
    except (BadSignature, ValueError, TypeError):
        return None
    if nonce != request.form.get("nonce") or parts().ports.clock() - from_micros(at) > _OWNED:
        return None
    person = accounts.get_account(tx, tenant, no)
    return None if person.suspended else person


# --- its weight -----------------------------------------------------------------------------------


def quoted_bytes(sheet: Sheet) -> int:
    """How large the letter is that stands below the own text."""
    if sheet.answers is None or not sheet.quote or sheet.action == "again":
        return 0
    return len(sheet.answers.letter.email.body.encode("utf-8", "replace"))


def weight(sheet: Sheet) -> int:
    """Bytes of the letter as it is so far: text, what it quotes, and files."""
    return len((sheet.form.body.data or "").encode("utf-8", "replace")) + quoted_bytes(sheet) + sheet.file_bytes
