"""What the buttons of lists and letters do: open, read, unread, star, archive, move, delete, put back; for one letter or for many.

Every one is a form, and the page after it is the one it was sent from.
A letter that was deleted in another window meanwhile is passed over; when none is left there is nothing here (404).
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import NotFound, Temporary
from lokole.mail.model import Account, EmailNo, FolderName
from lokole.mailbox import conversations, deleted, folders, lists
from lokole.mailbox.database import Connection
from lokole.webmail import access
from lokole.webmail.numbers import row_number
from lokole.webmail.parts import parts
from lokole.webmail.views.mailbox import place_of

blueprint = Blueprint("marking", __name__)

#: as many letters at once; a page shows fewer, but a line may be a conversation
_MOST = 500
#: so many of them the next page can put back with one button
_UNDO = 100
_ONE = {"open": ("read", True), "star": ("starred", True), "unstar": ("starred", False)}
_MANY = {
    "read": ("read", True),
    "unread": ("read", False),
    "star": ("starred", True),
    "unstar": ("starred", False),
    "delete": ("deleted", True),
}


@blueprint.post("/email/mark")
def mark() -> Response:
    """A button of a list: of one letter (``open``, ``star``, ``unstar`` with its number), or ``act`` for all that are ticked (``n``)."""
    for word, (flag, value) in _ONE.items():
        no = request.form.get(word, type=row_number)
        if no is not None:
            return _one(no, word, flag, value)
    act = request.form.get("act", "")
    if act == "restore":
        return _restore()
    if act not in _MANY and act not in ("archive", "move"):
        abort(400)
    return _many(act)


@blueprint.post("/email/read/<int:no>")
def mark_read(no: int) -> Response:
    """For a letter that was opened by its address: from now on it is read."""
    with parts().ports.database.write() as tx:
        access.own_entry(tx, no)
        _set(tx, no, "read", True)
    return redirect(url_for("letter.show", no=no), 303)


def _one(no: int, word: str, flag: str, value: bool) -> Response:
    try:
        with parts().ports.database.write() as tx:
            access.own_entry(tx, no)
            _set(tx, no, flag, value)
            if word == "open" and request.form.get("together"):
                for other in conversations.letters_of(tx, access.account(), no, unread=True):
                    _set(tx, other, flag, value)
    except Temporary:
        if word != "open":
            raise
        # reading needs no room: the letter stays unread, and is shown
    if word == "open":
        return redirect(url_for("letter.show", no=no), 303)
    return redirect(_back() or url_for("letter.show", no=no), 303)


def _many(act: str) -> Response:
    person, target = access.account(), FolderName.ARCHIVE.value if act == "archive" else request.form.get("to", "")
    numbers = _ticked()
    home = _back() or url_for("mailbox.inbox")
    if not numbers:
        flash("none-ticked")
        return redirect(home, 303)
    with parts().ports.database.write() as tx:
        if act in ("archive", "move") and not folders.is_folder(tx, person, target):
            raise NotFound("no such folder")
        if request.form.get("together"):
            numbers = [one for no in numbers for one in conversations.letters_of(tx, person, no)][:_MOST]
        rows = lists.rows_of(tx, person, numbers)
        if not rows:
            abort(404)
        for row in rows:
            if act in _MANY:
                _set(tx, row.no, *_MANY[act])
            else:
                _set(tx, row.no, "folder", _target(person, row, target))
    if act == "delete":
        flash_deleted([row.no for row in rows])
    elif act in ("archive", "move"):
        flash("archived" if target == FolderName.ARCHIVE else "moved")
    return redirect(home, 303)


def _restore() -> Response:
    person, numbers = access.account(), _ticked()
    if not numbers:
        flash("none-ticked")
        return redirect(url_for("mailbox.thrown_away"), 303)
    with parts().ports.database.write() as tx:
        for no in numbers:
            deleted.put_back(tx, person, no, parts().ports.origin)
        row = lists.rows_of(tx, person, numbers)[0]
    flash("put-back")
    endpoint, values = place_of(row.folder)
    return redirect(_back() or url_for(endpoint, **values), 303)


def flash_deleted(numbers: list[EmailNo]) -> None:
    """The next page says that these letters are deleted, and offers to put them back."""
    some = numbers if len(numbers) <= _UNDO else []
    flash(("deleted:" if len(numbers) == 1 else "deleted-many:") + ",".join(str(no) for no in some))


def _target(person: Account, row: lists.LetterRow, target: str) -> str:
    # what one wrote oneself goes back among the sent letters, not into the inbox
    mine = row.sender_address == str(person.address)
    return FolderName.SENT.value if mine and target == FolderName.INBOX else target


def _ticked() -> list[EmailNo]:
    found = request.form.getlist("n", type=row_number)
    return [EmailNo(no) for no in dict.fromkeys(found)][:_MOST]


def _back() -> str | None:
    return access.own_path(request.form.get("back"))


def _set(tx: Connection, no: int, flag: str, value: bool | str) -> None:
    lists.set_flag(tx, access.account(), EmailNo(no), flag, value, parts().ports.origin)
