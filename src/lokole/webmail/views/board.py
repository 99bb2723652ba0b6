"""The board: what the organisation and people whom it trusts hang up for all. ``/news`` is what everybody near the box may read.

What hangs is somebody's text, so it is shown as letters are: made safe once more, in a frame that may run and load nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from flask import Blueprint, Response, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mail.errors import Refused, Temporary
from lokole.mail.html import html_to_text, text_to_html
from lokole.mail.model import Contact, Email
from lokole.mailbox import audit, board, identity, seen
from lokole.mailbox.attachments import StoredAttachment, open_file
from lokole.mailbox.board import Post
from lokole.mailbox.database import Connection
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.posting import may_post
from lokole.webmail import access, form_files, language
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.refusals import why_not_sent
from lokole.webmail.views import letter as letter_views
from lokole.webmail.words import gettext

blueprint = Blueprint("board", __name__)

#: how long something may hang, in days; 0 is until somebody takes it down
DAYS = (7, 30, 90, 0)
_MAX_TITLE, _MAX_FILES = 200, 10


@blueprint.get("/news")
@blueprint.get("/news/<int:number>")
def news(number: int = 1) -> str:
    """What everybody may read, page ``number`` of it."""
    return _list("board.news", number, only_public=True)


@blueprint.get("/board")
@blueprint.get("/board/<int:number>")
def show(number: int = 1) -> str:
    """All of it, for the people of the box."""
    return _list("board.show", number, only_public=False)


@blueprint.get("/board/post/<int:no>")
def post(no: int) -> str:
    """One post."""
    with parts().ports.database.read() as tx:
        found, stored = _post(tx, no)
        text = html_to_text(stored.email.body)
        some = list(enumerate(stored.attachments))
        shown = [(n, file) for n, file in some if letter_views.is_shown_small(file)]
        person = access.signed_in()
        return page(
            "post.html",
            tx,
            place="more",
            post=found,
            email=stored.email,
            pictures=shown,
            files=[one for one in some if one not in shown],
            lines=(letter_views.frame_height(text, 36), letter_views.frame_height(text, 76)),
            may_take_down=person is not None and (person.is_admin or found.account == person.no),
        )


@blueprint.get("/board/post/<int:no>/body")
def body(no: int) -> Response:
    """Its text alone, for the frame."""
    with parts().ports.database.read() as tx:
        _found, stored = _post(tx, no)
    return letter_views.framed("letter_body.html", email=stored.email, **letter_views.safe_body(stored.email))


@blueprint.get("/board/post/<int:no>/<int:n>")
def file(no: int, n: int) -> Response:
    """A file of it, always as a download."""
    with parts().ports.database.read() as tx:
        _found, stored = _post(tx, no)
    if n >= len(stored.attachments):
        abort(404)
    domain = parts().tenants.domain or access.account().domain
    wanted = stored.attachments[n]
    return letter_views.download(wanted, open_file(parts().ports.blobs, domain, wanted.sha256))


@blueprint.route("/board/new", methods=["GET", "POST"])
def new() -> str | AnyResponse | tuple[str, int]:
    """Something new, for who may."""
    person, ports, settings = access.account(), parts().ports, parts().settings
    with ports.database.read() as tx:
        if not may_post(tx, person):
            abort(403)
        if request.method == "GET":
            return _form(tx)
    form = request.form
    title, text = " ".join(form.get("title", "").split())[:_MAX_TITLE], form.get("text", "")
    files: list[StoredAttachment] = []
    problems, status = {}, 400
    try:
        files = form_files.named(person, _MAX_FILES)
        brought = form_files.brought(files, len(text.encode()), _MAX_FILES)
        if brought.too_many:
            problems["files"], status = gettext("Up to %(n)s files hang at a time. Take fewer.", n=_MAX_FILES), 413
        elif brought.too_large:
            limit = language.size(settings.max_upload_bytes)
            sentence = gettext("Too large together: up to %(limit)s. Take fewer or smaller files.", limit=limit)
            problems["files"], status = sentence, 413
        else:
            files += form_files.store(person, brought.found)
        if not title:
            problems["title"] = gettext("Give it a title.")
        if not text.strip() and not files:
            problems.setdefault("text", gettext("Write something, or choose a file."))
        if not problems:
            no = _hang_up(title, text, files, form.get("nonce", "")[:64])
            flash("posted")
            return redirect(url_for("board.post", no=no) if no is not None else url_for("board.show"), 303)
    except Refused as error:
        problems[""] = why_not_sent(error) or gettext("That did not work. Your text is kept.")
    except Temporary:
        problems[""], status = gettext("That did not work. Your text is kept. Try again in a minute."), 503
    with ports.database.read() as tx:
        return _form(tx, files, problems), status


@blueprint.route("/board/post/<int:no>/delete", methods=["GET", "POST"])
def take_down(no: int) -> str | AnyResponse:
    """Asks first; then it hangs no more."""
    person, ports = access.account(), parts().ports
    if request.method == "GET":
        with ports.database.read() as tx:
            found, _stored = _post(tx, no)
            if not person.is_admin and found.account != person.no:
                abort(403)
            return page("post_delete.html", tx, place="more", post=found)
    with ports.database.write() as tx:
        found, _stored = _post(tx, no)
        board.take_down(tx, person, no)
        if person.is_admin:
            audit.note_act(tx, person, "taken-down", ports.clock(), subject=found.subject[:80])
    flash("taken-down")
    return redirect(url_for("board.show"), 303)


def _list(endpoint: str, number: int, *, only_public: bool) -> str:
    tenant = parts().tenants.here
    person = access.signed_in()
    if tenant is None:
        if person is None:
            abort(404)
        tenant = person.tenant
    size = parts().settings.rows_per_page
    start = (max(1, number) - 1) * size
    with parts().ports.database.read() as tx:
        found, total = board.posts(tx, tenant, parts().ports.clock(), only_public=only_public, offset=start, limit=size)
        return page(
            "board.html",
            tx,
            place="more",
            posts=found,
            may_post=person is not None and parts().settings.writing and may_post(tx, person),
            only_public=only_public,
            range_line=gettext(
                "%(first)s–%(last)s of %(total)s", first=start + 1, last=start + len(found), total=total
            ),
            newer=url_for(endpoint, number=number - 1) if number > 1 else None,
            older=url_for(endpoint, number=number + 1) if start + size < total else None,
        )


def _post(tx: Connection, no: int) -> tuple[Post, StoredEmail]:
    """A post that the one who asks may read; 404 for any other number."""
    person, tenant = access.signed_in(), parts().tenants.here
    if person is not None:
        tenant = person.tenant
    if tenant is None:
        abort(404)
    return board.get_post(tx, tenant, no, parts().ports.clock(), only_public=person is None)


def _form(tx: Connection, files: Sequence[StoredAttachment] = (), problems: Mapping[str, str] | None = None) -> str:
    """``problems`` by the name of their field; what is about none stands above all."""
    typed, person = request.form, access.account()
    days = typed.get("days", "30")
    return page(
        "post_new.html",
        tx,
        place="more",
        nonce=parts().ports.entropy(16).hex() if not typed else typed.get("nonce", "")[:64],
        title_typed=typed.get("title", ""),
        text_typed=typed.get("text", ""),
        public="public" in typed,
        pinned="pinned" in typed,
        days=days if days.isdecimal() else "30",
        choices=DAYS,
        files=[(form_files.token(file, person), file) for file in files],
        problems=problems or {},
    )


def _hang_up(title: str, text: str, files: list[StoredAttachment], nonce: str) -> int | None:
    """The number of the new post; None when this form was sent before."""
    ports, person = parts().ports, access.account()
    now = ports.clock()
    days = request.form.get("days", type=row_number) or 0
    with ports.database.write() as tx:
        if not seen.remember(tx, person.tenant, "form", f"{person.no}:{nonce}", now):
            return None
        return board.hang_up(
            tx,
            person,
            Email(Contact(""), subject=title, body=text_to_html(text)),
            id=identity.next_email_id(tx, ports.origin),
            now=now,
            attachments=files,
            public="public" in request.form,
            pinned="pinned" in request.form and person.is_admin,
            expires_at=now + timedelta(days=days) if days in DAYS and days else None,
        )
