"""One letter: its page, its body in a frame of its own, its files, a page to print, and deleting it.

The body is somebody else's HTML.
It was made safe when it came and is made safe again here, and it is shown in a frame that may run nothing, load nothing and knows no cookie;
either guard alone would do (``properties`` P15).
Pictures within the text stand in the answer as ``data:`` addresses: the frame has no origin, so it could not fetch them.
A file is always a download, never a page of ours.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mail.html import html_to_text, make_safe, rewrite_cids
from lokole.mail.model import Email, FolderName
from lokole.mailbox import lists
from lokole.mailbox.attachments import open_file, read_file
from lokole.mailbox.letters import StoredAttachment
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.mailbox import folder_values, tonight

blueprint = Blueprint("letter", __name__)

#: what a browser may draw from an attachment; everything else travels as bytes without a meaning.
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
#: what a browser may play from an attachment.
SOUNDS = frozenset(
    [
        "audio/ogg",
        "audio/webm",
        "audio/mpeg",
        "audio/mp4",
        "audio/aac",
        "audio/x-m4a",
        "audio/wav",
        "audio/x-wav",
        "audio/3gpp",
        "audio/amr",
        "audio/opus",
    ]
)
_INLINE_EACH, _INLINE_ALL = 1_000_000, 3_000_000  # bytes of pictures within a text
_CHUNK = 65_536
#: the height of the frame, in lines; it has no script that could tell how much it needs.
_STEPS = (6, 9, 13, 19, 28, 42, 63, 95)


@blueprint.get("/email/<int:no>")
def show(no: int) -> str:
    """The letter, and beside it on a wide screen the list it belongs to. Changes nothing: see ``views/mailbox.py`` for marking."""
    person = access.account()
    with parts().ports.database.read() as tx:
        entry = access.own_entry(tx, no)
        email = entry.letter.email
        values = folder_values(tx, person, _list_of(entry), chosen=no)
        text = html_to_text(email.body)
        return page(
            "letter.html",
            tx,
            place="more" if values["shows_recipients"] else "inbox",
            entry=entry,
            email=email,
            deliveries=entry.deliveries,
            pictures=[
                (n, file)
                for n, file in enumerate(entry.letter.attachments)
                if _is_picture(file) and not _is_inline(entry, file)
            ],
            sounds=[(n, file) for n, file in enumerate(entry.letter.attachments) if _is_sound(file)],
            files=[
                (n, file)
                for n, file in enumerate(entry.letter.attachments)
                if not _is_picture(file) and not _is_sound(file)
            ],
            lines=(frame_height(text, 36), frame_height(text, 76)),
            **values,
            **tonight(tx),
        )


@blueprint.get("/email/<int:no>/body")
def body(no: int) -> Response:
    """The body alone, for the frame."""
    return _shown(no, "letter_body.html")


@blueprint.get("/email/<int:no>/print")
def printed(no: int) -> Response:
    """The letter alone, black on white, for printing."""
    return _shown(no, "letter_print.html")


@blueprint.route("/email/delete/<int:no>", methods=["GET", "POST"])
def delete(no: int) -> str | AnyResponse:
    """Asks first; then this person's copy is gone, and nobody else's."""
    ports, person = parts().ports, access.account()
    if request.method == "GET":
        with ports.database.read() as tx:
            entry = access.own_entry(tx, no)
            return page("delete.html", tx, place="inbox", entry=entry, email=entry.letter.email)
    with ports.database.write() as tx:
        entry = access.own_entry(tx, no)
        lists.set_flag(tx, person, entry.letter.no, "deleted", True, ports.origin)
    flash("deleted")
    return redirect(url_for("mailbox.sent" if _list_of(entry) is FolderName.SENT else "mailbox.inbox"), 303)


@blueprint.get("/attachment/<int:no>/<int:n>")
def attachment(no: int, n: int) -> Response:
    """A file of a letter that this person has, streamed from the store."""
    ports, person = parts().ports, access.account()
    with ports.database.read() as tx:
        access.own_entry(tx, no)
        file = lists.attachment_of(tx, person, no, n)
    if file is None:
        abort(404)
    return download(file, open_file(ports.blobs, person.domain, file.sha256))


def download(file: StoredAttachment, stream: BinaryIO) -> Response:
    """A file as its reader gets it: under its name, never a page of ours."""
    answer = Response(
        _pieces(stream), mimetype=file.type if _is_picture(file) or _is_sound(file) else "application/octet-stream"
    )
    answer.headers["Content-Length"] = str(file.size)
    answer.headers["Content-Disposition"] = _disposition(file.filename)
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer.headers["Cache-Control"] = "private, max-age=600"
    return answer


def _shown(no: int, template: str) -> Response:
    with parts().ports.database.read() as tx:
        entry = access.own_entry(tx, no)
    return framed(entry.letter.email, template, _inline_pictures(entry), entry=entry)


def framed(email: Email, template: str, pictures: dict[str, str] | None = None, **values: object) -> Response:
    """Somebody's text for a frame that may run and load nothing; ``pictures`` are ``data:`` addresses by content id."""
    safe = rewrite_cids(make_safe(email.body), (pictures or {}).get)
    style = _letter_style()
    answer = Response(render_template(template, email=email, body=safe, style=style, **values))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    answer.headers["Content-Security-Policy"] = (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
        f"style-src 'sha256-{digest}'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def _list_of(entry: StoredEntry) -> FolderName:
    return FolderName.SENT if entry.folder == FolderName.SENT else FolderName.INBOX


def _letter_style() -> str:
    content: bytes = current_app.extensions["lokole-assets"]["letter.css"].content
    return content.decode()


def _inline_pictures(entry: StoredEntry) -> dict[str, str]:
    """``data:`` addresses of the pictures that the text shows, by content id."""
    found: dict[str, str] = {}
    left = _INLINE_ALL
    for file in entry.letter.attachments:
        if file.cid and file.size <= min(left, _INLINE_EACH) and _is_picture(file):
            content = read_file(parts().ports.blobs, access.account().domain, file.sha256)
            found[file.cid] = f"data:{file.type};base64,{base64.b64encode(content).decode()}"
            left -= file.size
    return found


def _is_picture(file: StoredAttachment) -> bool:
    return file.type.lower() in PICTURES


def _is_sound(file: StoredAttachment) -> bool:
    return file.type.lower() in SOUNDS


def _is_inline(entry: StoredEntry, file: StoredAttachment) -> bool:
    return bool(file.cid) and f"cid:{file.cid}" in entry.letter.email.body


def frame_height(text: str, per_line: int) -> int:
    """The step of the frame's height that ``text`` needs."""
    lines = sum(1 + len(line) // per_line for line in text.splitlines()) + 2
    return next((step for step in _STEPS if step >= lines), _STEPS[-1])


def _disposition(filename: str) -> str:
    """Download under its name (RFC 6266, RFC 8187)."""
    name = (
        "".join(character if character.isprintable() and character not in '/\\"' else "_" for character in filename)
        or "file"
    )
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_CHUNK):
            yield piece
