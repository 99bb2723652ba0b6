"""Letters on paper: one of them, or all that nobody has read yet as sheets to fold and carry to their reader.

Black on white, made here, no script needed. The answer is sandboxed as the frame of a letter is: it holds somebody else's markup.
"""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from lokole.mail.model import FolderName
from lokole.mailbox import filters
from lokole.webmail import access
from lokole.webmail.parts import parts
from lokole.webmail.views import here
from lokole.webmail.views.letter import body_values, framed

blueprint = Blueprint("printing", __name__)

#: sheets at once, and characters of a letter on one
SHEETS, _SHEET_CHARS = 30, 60_000


@blueprint.get("/email/<int:no>/print")
def letter(no: int) -> Response:
    """The letter alone, for printing."""
    with parts().ports.database.read() as tx:
        entry = access.own_entry(tx, no)
    return _left_alone(framed("letter_print.html", email=entry.letter.email, entry=entry, **body_values(entry)))


@blueprint.get("/email/print")
def post() -> Response:
    """The unread letters of the inbox, oldest first, each on a sheet of its own that is folded in three; prints, and marks nothing."""
    person = access.account()
    wanted = filters.Filters(folder=FolderName.INBOX.value, unread=True)
    with parts().ports.database.read() as tx:
        found = filters.find(tx, person, "", wanted, limit=SHEETS)
        entries = [access.own_entry(tx, row.no) for row in found.rows[::-1]]
    sheets = [{"entry": entry, "email": entry.letter.email, **body_values(entry, _SHEET_CHARS)} for entry in entries]
    return _left_alone(framed("post_print.html", sheets=sheets, more=found.older is not None))


def _left_alone(answer: Response) -> Response:
    """The page, which runs no script, goes by itself when nobody has touched a shared telephone for long."""
    seconds = access.seconds_left()
    if seconds is not None:
        answer.headers["Refresh"] = f"{seconds + here.LATER};url={url_for('here.away')}"
    return answer
