"""The sheet of paper that a letter is written on: what its form carries from one round to the next.

Everything works as plain forms.
Files that came with one round are stored at once and named in the form by a signed token, so that the next round need not send them again;
a token counts for the person it was made for.
A form carries a number drawn for it: sent twice, it makes one letter, and kept twice, one draft.
It also carries, signed, whose it is: so what was typed can be kept for them when their session has ended meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta

from flask import request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.datastructures import FileStorage

from lokole.mail.errors import NotFound, Refused
from lokole.mail.filenames import safe_filename
from lokole.mail.html import html_to_text, make_safe
from lokole.mail.model import Account, Attachment, Contact, Email, EmailNo
from lokole.mail.slim import slim_email
from lokole.mailbox import accounts, letters, lists
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.drafts import StoredDraft, Typed
from lokole.mailbox.letters import StoredAttachment
from lokole.mailbox.lists import StoredEntry
from lokole.webmail.forms import LetterForm, submitted
from lokole.webmail.numbers import row_number
from lokole.webmail.parts import parts
from lokole.webmail.photos import SMALL, chosen_size, limits_of

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


@dataclass(frozen=True, slots=True)
class NewFiles:
    """The files of one round; when ``too_large`` or ``too_many`` of all rounds together, none is taken."""

    found: tuple[Attachment, ...] = ()
    too_large: bool = False
    too_many: bool = False


def drawn() -> str:
    """A number for a form, or for the window it is shown in."""
    return parts().ports.entropy(16).hex()


def from_form(tx: Connection, person: Account) -> Sheet:
    """The sheet as ``person`` sent it; raises Refused when the form, or a file it names, is not one of ours and theirs."""
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
        sheet.answers = lists.get_entry(tx, person, EmailNo(no))
        if sheet.answers is None:
            raise NotFound("the letter that is answered is not there")
        sheet.action = action
    for token in request.form.getlist("file")[:MAX_FILES]:
        sheet.files.append(_file_of(token, person))
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
        sheet.answers = lists.get_entry(tx, person, EmailNo(typed.answers))
        sheet.action = typed.action if sheet.answers is not None else ""
    return sheet


# --- whose it is ---------------------------------------------------------------------------------


def owner_token(person: Account, nonce: str) -> str:
    """Says, signed, whose form this is and since when."""
    at = to_micros(parts().ports.clock())
    return str(_signer("form of a letter").dumps([int(person.tenant), int(person.no), nonce, at]))


def owner(tx: Connection) -> Account | None:
    """Whose the submitted form is, whoever is signed in; None when it does not say so, or was made more than a month ago."""
    try:
        tenant, no, nonce, at = _signer("form of a letter").loads(request.form.get("owner", ""))
    except (BadSignature, ValueError, TypeError):
        return None
    if nonce != request.form.get("nonce") or parts().ports.clock() - from_micros(at) > _OWNED:
        return None
    person = accounts.get_account(tx, tenant, no)
    return None if person.suspended else person


# --- files ---------------------------------------------------------------------------------------


def file_token(file: StoredAttachment, person: Account) -> str:
    """Names a stored file in a form of ``person``."""
    signer = _signer("file of a letter")
    return str(signer.dumps([int(person.no), file.filename, file.type, file.cid, file.sha256, file.size]))


def _file_of(token: str, person: Account) -> StoredAttachment:
    try:
        owner_no, filename, type_, cid, sha256, size = _signer("file of a letter").loads(token)
    except (BadSignature, ValueError, TypeError) as error:
        raise Refused("a file of the form is not ours", code="file") from error
    if owner_no != person.no:
        raise Refused("a file of the form is not yours", code="file")
    return StoredAttachment(filename=filename, type=type_, cid=cid, sha256=sha256, size=size)


def new_files(sheet: Sheet) -> NewFiles:
    """What this round brought."""
    found: list[Attachment] = []
    left = parts().settings.max_upload_bytes - sheet.file_bytes - len((sheet.form.body.data or "").encode())
    for upload in request.files.getlist("files"):
        if not upload.filename:
            continue
        if len(found) + len(sheet.files) >= MAX_FILES:
            return NewFiles(too_many=True)
        content = upload.stream.read(max(left, 0) + 1)
        left -= len(content)
        if left < 0:
            return NewFiles(too_large=True)
        found.append(Attachment(safe_filename(upload.filename), content, _type(upload)))
    return NewFiles(tuple(found), too_large=left < 0)


def quoted_bytes(sheet: Sheet) -> int:
    """How large the letter is that stands below the own text."""
    if sheet.answers is None or not sheet.quote or sheet.action == "again":
        return 0
    return len(sheet.answers.letter.email.body.encode("utf-8", "replace"))


def weight(sheet: Sheet) -> int:
    """Bytes of the letter as it is so far: text, what it quotes, and files."""
    return len((sheet.form.body.data or "").encode("utf-8", "replace")) + quoted_bytes(sheet) + sheet.file_bytes


def store_files(person: Account, files: tuple[Attachment, ...], photo: str = SMALL) -> list[StoredAttachment]:
    """Make pictures as small as ``photo`` says and keep all files; what cannot be opened is kept as it is. Raises Temporary when there is no room."""
    if not files:
        return []
    ports, limits = parts().ports, limits_of(photo, parts().settings.pictures)
    if limits is not None:
        files = slim_email(Email(Contact(""), attachments=files), ports.shrink, limits).attachments
    return letters.put_attachments(ports.blobs, person.domain, files)


def _type(upload: FileStorage) -> str:
    kind = (upload.mimetype or "").lower()
    return kind if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", kind) else "application/octet-stream"


def _signer(salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(parts().settings.session_key, salt=salt)
