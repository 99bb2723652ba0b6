"""One deleted letter: reading it, deleting it for good, and emptying the whole folder.

The folder itself is a list (``mailbox.py``), putting back is a button of a list (``marking.py``).
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mailbox import deleted, taking_back
from lokole.mailbox.database import Connection
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.letter import FILES, lines_of
from lokole.webmail.views.mailbox import NAMED, who_has_it

blueprint = Blueprint("thrown_away", __name__)


@blueprint.get("/email/deleted/<int:no>")
def show(no: int) -> str:
    """The letter with its files; it stays unread when it was."""
    with parts().ports.database.read() as tx:
        entry = _deleted(tx, no)
        email, files = entry.letter.email, entry.letter.attachments
        return page(
            "deleted_letter.html",
            tx,
            place="more",
            entry=entry,
            email=email,
            named=NAMED,
            lines=lines_of(email.body),
            files=list(enumerate(files))[:FILES],
            file_total=len(files),
        )


@blueprint.route("/email/deleted/<int:no>/erase", methods=["GET", "POST"])
def erase(no: int) -> str | Response:
    """Asks first; then it is gone for this person, and nobody can bring it back."""
    ports, person = parts().ports, access.account()
    if request.method == "GET":
        with ports.database.read() as tx:
            entry = _deleted(tx, no)
            return page(
                "erase.html",
                tx,
                place="more",
                email=entry.letter.email,
                no=no,
                on_its_way=deleted.is_on_its_way(tx, no),
                in_bag=taking_back.in_bag(tx, person, [no]),
                have_it=who_has_it(entry.deliveries),
            )
    try:
        with ports.database.write() as tx:
            deleted.erase(tx, person, no)
    except Refused:
        flash("on-its-way")
        return redirect(url_for("thrown_away.erase", no=no), 303)
    flash("erased")
    return redirect(url_for("mailbox.thrown_away"), 303)


@blueprint.route("/email/deleted/empty", methods=["GET", "POST"])
def empty() -> str | Response:
    """The same with all of them."""
    ports, person = parts().ports, access.account()
    if request.method == "GET":
        with ports.database.read() as tx:
            found = deleted.list_deleted(tx, person, limit=1)
            return page("empty.html", tx, place="more", total=found.total, more=found.more)
    _gone, kept = deleted.erase_all(ports.database, person)
    flash("erased-some" if kept else "erased-all")
    return redirect(url_for("mailbox.thrown_away"), 303)


def _deleted(tx: Connection, no: int) -> StoredEntry:
    entry = access.own_entry(tx, no, deleted_too=True)
    if not entry.deleted:
        abort(404)
    return entry
