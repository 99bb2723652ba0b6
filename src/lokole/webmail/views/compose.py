"""Writing: a new letter, an answer, a letter passed on; files in several rounds; sending it once.

Everything works as plain forms.
Files that came with one round are stored at once and named in the form by a signed token, so that the next round need not send them again;
a token counts for the person it was made for.
A form carries a number drawn for it: sent twice, it makes one letter.
The letter that is answered or passed on is quoted when it is sent, from the mailbox; the form carries only its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, flash, redirect, request, session, url_for
from itsdangerous import BadSignature, URLSafeSerializer
from markupsafe import escape
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused, Temporary
from lokole.mail.filenames import safe_filename
from lokole.mail.html import html_to_text, make_safe, rewrite_cids, text_to_html
from lokole.mail.model import Account, Address, Attachment, Contact, Email, FolderName
from lokole.mail.slim import slim_email
from lokole.mailbox import identity, letters, lists, recipients, seen
from lokole.mailbox.database import Connection
from lokole.mailbox.letters import StoredAttachment
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import access, language, limits
from lokole.webmail.forms import LetterForm, submitted
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.refusals import why_not_sent
from lokole.webmail.views.mailbox import tonight
from lokole.webmail.words import gettext

blueprint = Blueprint("compose", __name__)

ACTIONS = ("reply", "reply_all", "forward", "again")
_SPLIT = re.compile(r"[,;\n]+")
_NAMED = re.compile(r"\s*\"?(.*?)\"?\s*<([^<>]*)>\s*")
_MAX_FILES = 50


@dataclass(slots=True)
class Draft:
    """What the form shows and carries besides its fields."""

    form: LetterForm
    nonce: str
    action: str = ""
    answers: StoredEntry | None = None
    quote: bool = True
    format: str = "text"
    files: list[StoredAttachment] = field(default_factory=list)
    problem: str = ""
    cleaned: bool = False

    @property
    def file_bytes(self) -> int:
        return sum(file.size for file in self.files)


@blueprint.before_request
def only_where_letters_leave() -> tuple[str, int] | None:
    """A letter written where nothing takes it on would wait for ever."""
    if parts().settings.writing:
        return None
    title, sentence = gettext("Not here yet"), gettext("Letters are written at the box; here they can be read.")
    return page("failure.html", title=title, sentence=sentence, picture="bag", login=False), 405


@blueprint.get("/email/new")
def new() -> str:
    """An empty letter, or one that answers (``action`` reply, reply_all), passes on (forward) or repeats (again) letter ``uid``."""
    person = access.account()
    with parts().ports.database.read() as tx:
        draft = Draft(LetterForm(), parts().ports.entropy(16).hex())
        action, no = request.args.get("action", ""), request.args.get("uid", type=row_number)
        if action in ACTIONS and no is not None:
            _begin(draft, person, action, access.own_entry(tx, no))
        elif request.args.get("to"):
            draft.form.to.data = request.args["to"][:1000]
        return _page(tx, draft)


@blueprint.post("/email/new")
def send() -> str | Response | tuple[str, int]:
    """One of the form's buttons: ``send``, ``attach`` (another round), ``add:ADDRESS``, ``check``."""
    ports, settings, person = parts().ports, parts().settings, access.account()
    with ports.database.read() as tx:
        draft = _submitted(tx, person)
    pressed = request.form.get("do", "check")
    new_files, too_large = _read_files(draft)
    try:
        draft.files += _store(person, new_files)
    except Temporary:
        return _again(draft, gettext("Lokole could not keep the files: its memory is full. Your text is kept."), 503)
    if too_large:
        limit = language.size(settings.max_upload_bytes)
        return _again(
            draft,
            gettext(
                "Too large together: a letter carries up to %(limit)s. Your text is kept; take fewer files.",
                limit=limit,
            ),
            413,
        )
    if pressed.startswith("add:"):
        draft.form.to.data = ", ".join(
            part for part in ((draft.form.to.data or "").strip().rstrip(","), pressed[4:][:320]) if part
        )
    if pressed != "send":
        return _again(draft, "", 200)
    email = _checked(draft, person)
    if email is None:
        return _again(draft, gettext("The letter is not in the bag yet: look at the marked lines."), 400)
    try:
        limits.count(settings.letters, "letter", person.no)
    except limits.TooOften:
        return _again(
            draft, gettext("You have written many letters in this hour. Your text is kept: wait a little."), 429
        )
    try:
        with ports.database.write() as tx:
            now = ports.clock()
            if not seen.remember(tx, person.tenant, "form", f"{person.no}:{draft.nonce}", now):
                return redirect(url_for("mailbox.outbox"), 303)
            id_ = identity.next_email_id(tx, ports.origin)
            no = letters.write_letter(tx, person.tenant, person, email, id=id_, now=now, attachments=draft.files)
            ways = {one.state for one in recipients.deliveries(tx, person.tenant, no)}
            if ports.written is not None:
                ports.written(tx, person.tenant, no)
    except Refused as error:
        return _again(draft, _refusal(draft, error), 400)
    except Temporary:
        return _again(draft, gettext("That did not work. Your text is kept. Try again in a minute."), 503)
    outside = any(state.value == "waiting" for state in ways)
    here = any(state.value == "local" for state in ways)
    flash("bag-and-here" if outside and here else "in-bag" if outside else "arrived-here")
    return redirect(url_for("mailbox.outbox") if outside else url_for("letter.show", no=no), 303)


@blueprint.after_request
def keep_for_going_back(response: Response) -> Response:
    """A browser may keep the form, so that going back after a failure finds what was typed; not on a shared telephone."""
    if "shared" not in session:
        response.headers["Cache-Control"] = "private, no-cache"
    return response


def unrecognised() -> tuple[str, int] | None:
    """The form once more with what was typed, for somebody who has signed in anew since it was shown; sends and keeps nothing.

    None when nobody is signed in or the form is none of ours.
    """
    person = access.signed_in()
    if person is None or "nonce" not in request.form:
        return None
    with parts().ports.database.read() as tx:
        draft = _submitted(tx, person)
    return _again(
        draft, gettext("Lokole did not recognise this form. Your text is kept: press the button once more."), 400
    )


# --- beginning -----------------------------------------------------------------------------------


def _begin(draft: Draft, person: Account, action: str, entry: StoredEntry) -> None:
    """Fill the form from the letter that is answered, passed on or repeated."""
    email, form = entry.letter.email, draft.form
    draft.action, draft.answers = action, entry
    if action == "again":
        draft.quote = False
        form.to.data, form.cc.data, form.bcc.data = _line(email.to), _line(email.cc), _line(email.bcc)
        form.subject.data, form.body.data = email.subject, html_to_text(email.body)
        draft.files = list(entry.letter.attachments)
    elif action == "forward":
        form.subject.data = _prefixed("Fwd:", ("fwd:", "fw:", "tr:"), email.subject)
        draft.files = list(entry.letter.attachments)
    else:
        mine = person.address.key
        back = email.reply_to or (email.sender,)
        if email.sender.address.casefold() == mine:
            back = email.to  # an answer to a letter of one's own goes where that went
        form.to.data = _line(back)
        form.subject.data = _prefixed("Re:", ("re:", "aw:", "sv:"), email.subject)
        if action == "reply_all":
            known = {mine} | {contact.address.casefold() for contact in back}
            form.cc.data = _line(
                contact for contact in (*email.to, *email.cc) if contact.address.casefold() not in known
            )


def _prefixed(prefix: str, known: tuple[str, ...], subject: str) -> str:
    return subject if subject.lower().startswith(known) else f"{prefix} {subject}".strip()


def _line(contacts: Iterable[Contact]) -> str:
    return ", ".join(dict.fromkeys(contact.address for contact in contacts if contact.address))


# --- what the form brings ------------------------------------------------------------------------


def _submitted(tx: Connection, person: Account) -> Draft:
    draft = Draft(submitted(LetterForm), nonce=request.form.get("nonce", "")[:64])
    if not re.fullmatch("[0-9a-f]{32}", draft.nonce):
        raise Refused("the form has no number", code="nonce")
    draft.format = "html" if request.form.get("format") == "html" else "text"
    draft.quote = "quote" in request.form
    action, no = request.form.get("action", ""), request.form.get("uid", type=row_number)
    if action in ACTIONS and no is not None:
        draft.action, draft.answers = action, access.own_entry(tx, no)
    for token in request.form.getlist("file")[:_MAX_FILES]:
        try:
            owner, filename, type_, cid, sha256, size = _tokens().loads(token)
        except (BadSignature, ValueError, TypeError) as error:
            raise Refused("a file of the form is not ours", code="file") from error
        if owner != person.no:
            raise Refused("a file of the form is not yours", code="file")
        draft.files.append(StoredAttachment(filename=filename, type=type_, cid=cid, sha256=sha256, size=size))
    if draft.format == "html":
        draft.form.body.data = make_safe(draft.form.body.data or "")
    return draft


def _tokens() -> URLSafeSerializer:
    return URLSafeSerializer(parts().settings.session_key, salt="file of a letter")


def _token(file: StoredAttachment) -> str:
    return str(_tokens().dumps([access.account().no, file.filename, file.type, file.cid, file.sha256, file.size]))


def _read_files(draft: Draft) -> tuple[list[Attachment], bool]:
    """The files of this round; True when all together are more than a letter may carry (then none is taken)."""
    found: list[Attachment] = []
    left = parts().settings.max_upload_bytes - draft.file_bytes - len((draft.form.body.data or "").encode())
    for upload in request.files.getlist("files"):
        if not upload.filename:
            continue
        content = upload.stream.read(left + 1)
        left -= len(content)
        if left < 0 or len(found) + len(draft.files) >= _MAX_FILES:
            return [], True
        found.append(Attachment(safe_filename(upload.filename), content, _type(upload)))
    return found, left < 0


def _type(upload: FileStorage) -> str:
    kind = (upload.mimetype or "").lower()
    return kind if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", kind) else "application/octet-stream"


def _store(person: Account, files: list[Attachment]) -> list[StoredAttachment]:
    """Make pictures smaller and keep all files; what cannot be opened is kept as it is."""
    if not files:
        return []
    ports, limit = parts().ports, parts().settings.pictures
    slim = slim_email(Email(Contact(""), attachments=tuple(files)), ports.shrink, limit)
    return letters.put_attachments(ports.blobs, person.domain, slim.attachments)


# --- checking and putting together ---------------------------------------------------------------


def _checked(draft: Draft, person: Account) -> Email | None:
    """The letter, or None with the errors beside their fields."""
    form = draft.form
    form.validate()
    to, cc, bcc = (_people(line, person) for line in (form.to, form.cc, form.bcc))
    if not (to or cc or bcc or form.to.errors or form.cc.errors or form.bcc.errors):
        form.to.errors = [gettext("Whom is the letter for?")]
    most = parts().settings.max_recipients
    if len(to) + len(cc) + len(bcc) > most:
        form.to.errors = [gettext("A letter goes to at most %(n)s people.", n=most)]
    if form.errors or form.to.errors or form.cc.errors or form.bcc.errors:
        return None
    typed = form.body.data or ""
    answers = draft.answers.letter.email if draft.answers is not None else None
    email = Email(
        sender=Contact(str(person.address)),
        to=to,
        cc=cc,
        bcc=bcc,
        subject=" ".join((form.subject.data or "").split()),
        body=(make_safe(typed) if draft.format == "html" else text_to_html(typed)) + _quote(draft),
    )
    if answers is not None and draft.action in ("reply", "reply_all") and answers.message_id:
        chain = tuple(dict.fromkeys((*answers.references, answers.message_id)))
        email = replace(email, in_reply_to=answers.message_id, references=chain[:1] + chain[1:][-20:])
    return email


def _people(line: Any, person: Account) -> tuple[Contact, ...]:
    """The addresses of one field; a bare name is somebody of this box. What is wrong is named."""
    found: dict[str, Contact] = {}
    wrong = []
    for part in _SPLIT.split(line.data or ""):
        if not part.strip():
            continue
        named = _NAMED.fullmatch(part)
        name, text = (named[1].strip(), named[2].strip()) if named else ("", part.strip())
        try:
            address = Address.parse(text if "@" in text else f"{text}@{person.domain}")
        except Refused:
            wrong.append(text[:80])
            continue
        found.setdefault(address.key, Contact(str(address), name[:100]))
    if wrong:
        line.errors = [*line.errors, *(_what_is_wrong(text) for text in wrong)]
    return tuple(found.values())


def _what_is_wrong(text: str) -> str:
    _local, at, domain = text.rpartition("@")
    if at and domain and "." not in domain:
        return gettext("“%(address)s” lacks its end, for example .com", address=text)
    return gettext("“%(address)s” is not an address. Write it like name@example.com", address=text)


def _refusal(draft: Draft, error: Refused) -> str:
    if error.code == "unknown-person":
        wanted = (error.field or "").casefold()
        sentence = gettext(
            "Nobody here is called “%(name)s”. Look at the list of people.", name=wanted.partition("@")[0]
        )
        for line in (draft.form.to, draft.form.cc, draft.form.bcc):
            if wanted.partition("@")[0] in (line.data or "").casefold():
                line.errors = [sentence]
                return gettext("The letter is not in the bag yet: look at the marked lines.")
        return sentence
    return why_not_sent(error) or gettext("The letter is not in the bag yet: something in it was not right.")


def _quote(draft: Draft) -> str:
    """The letter that is answered or passed on, below the own text."""
    if draft.answers is None or not draft.quote or draft.action == "again":
        return ""
    email = draft.answers.letter.email
    pictures = {file.cid for file in draft.files if file.cid} if draft.action == "forward" else set()
    text = rewrite_cids(make_safe(email.body), lambda cid: f"cid:{cid}" if cid in pictures else None)
    when = language.long_when(email.sent_at or draft.answers.letter.received_at)
    if draft.action == "forward":
        lines = [
            (gettext("From"), str(email.sender)),
            (gettext("Date"), when),
            (gettext("Subject"), email.subject),
            (gettext("To"), ", ".join(str(contact) for contact in email.to)),
        ]
        if email.cc:
            lines.append((gettext("Copy to"), ", ".join(str(contact) for contact in email.cc)))
        head = "<br>".join(f"<b>{escape(gettext('%(word)s:', word=word))}</b> {escape(value)}" for word, value in lines)
        return f"<hr><p>{head}</p>{text}"
    head = gettext("On %(when)s, %(who)s wrote:", when=when, who=email.sender.name or email.sender.address)
    return f"<p>{escape(head)}</p><blockquote>{text}</blockquote>"


# --- showing -------------------------------------------------------------------------------------


def _again(draft: Draft, problem: str, status: int) -> tuple[str, int]:
    """The form once more, with everything that was typed."""
    draft.problem = problem
    with parts().ports.database.read() as tx:
        return _page(tx, draft), status


def _page(tx: Connection, draft: Draft) -> str:
    settings, person = parts().settings, access.account()
    used = draft.file_bytes + len((draft.form.body.data or "").encode())
    answers = draft.answers.letter.email if draft.answers is not None else None
    return page(
        "write.html",
        tx,
        place="write",
        draft=draft,
        form=draft.form,
        files=[(_token(file), file) for file in draft.files],
        used=used,
        limit=settings.max_upload_bytes,
        nearly_full=used > settings.max_upload_bytes * 0.7,
        quoted=html_to_text(answers.body)[:600] if answers is not None and draft.action != "again" else "",
        suggestions=_suggestions(tx, person, draft.form.to.data or ""),
        **tonight(tx),
    )


def _suggestions(tx: Connection, person: Account, typed: str) -> list[tuple[str, str]]:
    """Three people who wrote last, as (name, address), without those already there."""
    if typed.strip():
        return []
    recent = lists.list_folder(tx, person, FolderName.INBOX, limit=20).rows
    found = {row.sender_address.casefold(): (row.sender_name, row.sender_address) for row in reversed(recent)}
    skip = {person.address.key, parts().settings.welcome_from.casefold(), ""}
    return [pair for key, pair in reversed(found.items()) if key not in skip][:3]
