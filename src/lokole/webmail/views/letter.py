"""One letter: its page, its body in a frame of its own, its files, and deleting it.

The body is somebody else's HTML.
It was made safe when it came and is made safe again here, and it is shown in a frame that may run nothing, load nothing and knows no cookie;
either guard alone would do (``properties`` P15).
Pictures within the text stand in the answer as ``data:`` addresses: the frame has no origin, so it could not fetch them.
A file is always a download, never a page of ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mail.html import html_to_text, make_safe, rewrite_cids
from lokole.mail.model import DeliveryState, Email, FolderName
from lokole.mailbox import conversations, lists, recipients, taking_back
from lokole.mailbox.attachments import StoredAttachment, open_file, read_file
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import access, cost
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.mailbox import NAMED, folder_values, place_of, targets, tonight, ways, who_has_it
from lokole.webmail.views.marking import flash_deleted
from lokole.webmail.words import gettext

blueprint = Blueprint("letter", __name__)

#: what a browser may draw from an attachment; everything else travels as bytes without a meaning.
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
#: files, people and characters of a text on one page; the others are counted, or a page away.
FILES, FEW, SHOWN_CHARS = 50, 5, 2_000_000
_SHOWN_PICTURE = 300_000  # bytes of a picture that is shown below the text
_MEASURED = 20_000  # characters of a body that the height of its frame is taken from
_CID = re.compile(r'"cid:([^"]+)"')
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
    """The letter with its conversation, and beside it on a wide screen the list it belongs to. Changes nothing: see ``marking.py``.

    However large a letter is, its page is not: files come fifty at a time, people and a conversation's letters some, the others counted.
    """
    person, first = access.account(), request.args.get("files", 0, type=row_number)
    with parts().ports.database.read() as tx:
        entry = access.own_entry(tx, no)
        email, files = entry.letter.email, entry.letter.attachments
        values = folder_values(tx, person, entry.folder, chosen=no)
        newer, older = lists.neighbours(tx, person, entry.folder, no)
        around = conversations.letters_around(tx, person, entry.letter.conversation, no)
        some = list(enumerate(files))[first : first + FILES]
        shown = {n for n, file in some if is_shown_small(file)}
        inline = _cids(email.body)
        waits = entry.written and any(one.state is DeliveryState.WAITING for one in entry.deliveries)
        copies = ((gettext("Copy to"), email.cc), (gettext("Hidden copy to"), email.bcc))
        return page(
            "letter.html",
            tx,
            place="inbox" if entry.folder == FolderName.INBOX else "more",
            entry=entry,
            email=email,
            people=[
                (gettext("To"), email.to),
                *((word, some) for word, some in copies if some),
            ],
            few=FEW,
            named=NAMED,
            ways=ways([one for one in entry.deliveries if one.state is not DeliveryState.LOCAL]),
            in_bag=taking_back.in_bag(tx, person, [no] if entry.written else []),
            have_it=who_has_it(entry.deliveries),
            left_at=recipients.left_at(tx, person.tenant, no) if entry.written else None,
            pictures=[(n, file) for n, file in some if n in shown and file.cid not in inline],
            sounds=[(n, file) for n, file in some if _is_sound(file)],
            files=[(n, file) for n, file in some if n not in shown and not _is_sound(file)],
            file_total=len(files),
            price=cost.price(tx, person.tenant) if waits else None,
            weight=len(email.body.encode("utf-8", "replace")) + sum(file.size for file in files) + cost.LETTER_BYTES,
            file_from=first,
            file_next=first + FILES if len(files) > first + FILES else None,
            file_before=max(0, first - FILES) if first else None,
            newer_letter=newer,
            older_letter=older,
            around=around,
            fold_lines={number: _lines(chars) for number, chars in around.chars.items()},
            lines=lines_of(email.body),
            blank=_is_blank(email.body),
            move_to=targets(tx, person, entry.folder),
            **values,
            **tonight(tx),
        )


@blueprint.get("/email/<int:no>/body")
def body(no: int) -> Response:
    """The body alone, for the frame."""
    with parts().ports.database.read() as tx:
        entry = access.own_entry(tx, no, deleted_too=True)
    return framed("letter_body.html", email=entry.letter.email, entry=entry, **body_values(entry))


def body_values(entry: StoredEntry, most: int = SHOWN_CHARS) -> dict[str, Any]:
    """What a template shows of a letter's body, the pictures within it too."""
    return safe_body(entry.letter.email, _inline_pictures(entry), most)


def safe_body(email: Email, pictures: dict[str, str] | None = None, most: int = SHOWN_CHARS) -> dict[str, Any]:
    """Markup that is safe, and whether it is cut off; ``pictures`` are ``data:`` addresses by content id."""
    written = email.body
    safe = rewrite_cids(make_safe(written[:most]), (pictures or {}).get)
    return {"body": safe, "is_cut": len(written) > most}


def framed(template: str, **values: Any) -> Response:
    """A page that holds somebody else's markup: it may run nothing, load nothing and knows no cookie."""
    style = _letter_style()
    answer = Response(render_template(template, style=style, **values))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    answer.headers["Content-Security-Policy"] = (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
        f"style-src 'sha256-{digest}'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


@blueprint.get("/email/<int:no>/whole")
def whole(no: int) -> Response:
    """The text of a letter that is too long for a page, as a file to keep."""
    with parts().ports.database.read() as tx:
        entry = access.own_entry(tx, no, deleted_too=True)
    answer = Response(make_safe(entry.letter.email.body), mimetype="application/octet-stream")
    answer.headers["Content-Disposition"] = disposition(f"{entry.letter.email.subject[:60] or no}.html")
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer


@blueprint.route("/email/delete/<int:no>", methods=["GET", "POST"])
def delete(no: int) -> str | AnyResponse:
    """Asks first; then this person's copy is gone, and nobody else's."""
    ports, person = parts().ports, access.account()
    if request.method == "GET":
        with ports.database.read() as tx:
            entry = access.own_entry(tx, no)
            shown: dict[str, Any] = {
                "leaves": any(one.state is DeliveryState.WAITING for one in entry.deliveries),
                "in_bag": taking_back.in_bag(tx, person, [no]),
                "have_it": who_has_it(entry.deliveries),
            }
            return page("delete.html", tx, place="inbox", entry=entry, email=entry.letter.email, **shown)
    with ports.database.write() as tx:
        entry = access.own_entry(tx, no, deleted_too=True)  # the button may have been pressed twice
        lists.set_flag(tx, person, entry.letter.no, "deleted", True, ports.origin)
    flash_deleted([entry.letter.no])
    endpoint, values = place_of(entry.folder)
    return redirect(url_for(endpoint, **values), 303)


@blueprint.get("/attachment/<int:no>/<int:n>")
def attachment(no: int, n: int) -> Response:
    """A file of a letter that this person has, streamed from the store."""
    ports, person = parts().ports, access.account()
    with ports.database.read() as tx:
        access.own_entry(tx, no, deleted_too=True)
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
    answer.headers["Content-Disposition"] = disposition(file.filename)
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer.headers["Cache-Control"] = "private, max-age=600"
    return answer


def _letter_style() -> str:
    content: bytes = current_app.extensions["lokole-assets"]["letter.css"].content
    return content.decode()


def _inline_pictures(entry: StoredEntry) -> dict[str, str]:
    """``data:`` addresses of the pictures that the text shows, by content id."""
    found: dict[str, str] = {}
    left, shown = _INLINE_ALL, _cids(entry.letter.email.body)
    for file in entry.letter.attachments:
        if file.cid in shown and file.size <= min(left, _INLINE_EACH) and _is_picture(file):
            content = read_file(parts().ports.blobs, access.account().domain, file.sha256)
            found[file.cid] = f"data:{file.type};base64,{base64.b64encode(content).decode()}"
            left -= file.size
    return found


def _is_picture(file: StoredAttachment) -> bool:
    return file.type.lower() in PICTURES


def _is_sound(file: StoredAttachment) -> bool:
    return file.type.lower() in SOUNDS


def is_shown_small(file: StoredAttachment) -> bool:
    """Whether the page shows it: pictures are small when they come (640 px), and a large one would be heavy for a telephone."""
    return _is_picture(file) and file.size <= _SHOWN_PICTURE


def _cids(body: str) -> set[str]:
    return set(_CID.findall(body[:SHOWN_CHARS]))


def _is_blank(body: str) -> bool:
    """Whether a body shows nothing at all, as that of a spoken message may."""
    return len(body) <= _MEASURED and "<img" not in body and not html_to_text(body).strip()


def lines_of(body: str) -> tuple[int, int]:
    """How high the frame of a body is, on a narrow screen and on a wide one."""
    text = html_to_text(body[:_MEASURED])
    return frame_height(text, 36), frame_height(text, 76)


def _lines(chars: int) -> tuple[int, int]:
    """The same, guessed from the length of the markup alone."""
    text = "x" * min(chars, _MEASURED)
    return frame_height(text, 36), frame_height(text, 76)


def frame_height(text: str, per_line: int) -> int:
    """The step of the frame's height that ``text`` needs."""
    lines = sum(1 + len(line) // per_line for line in text.splitlines()) + 2
    return next((step for step in _STEPS if step >= lines), _STEPS[-1])


def disposition(filename: str) -> str:
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
