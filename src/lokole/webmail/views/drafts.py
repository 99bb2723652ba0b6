"""Letters kept for later: the list, going on with one, throwing one away."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import NotFound
from lokole.mail.html import preview
from lokole.mailbox import drafts
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts

blueprint = Blueprint("drafts", __name__)


@blueprint.get("/email/drafts")
def kept() -> str:
    """All of them, the newest first."""
    with parts().ports.database.read() as tx:
        found = drafts.list_drafts(tx, access.account())
        rows = [(one, _beginning(one)) for one in found]
        return page("drafts.html", tx, place="write", rows=rows)


@blueprint.route("/email/drafts/<int:no>/delete", methods=["GET", "POST"])
def delete(no: int) -> str | Response:
    """Asks first; then it is gone."""
    ports, person = parts().ports, access.account()
    if request.method == "GET":
        with ports.database.read() as tx:
            found = drafts.get_draft(tx, person, no)
            if found is None:
                raise NotFound("no such draft")
            return page("draft_delete.html", tx, place="write", draft=found)
    with ports.database.write() as tx:
        if not drafts.delete_draft(tx, person, no):
            raise NotFound("no such draft")
    flash("draft-deleted")
    return redirect(url_for("drafts.kept"), 303)


def _beginning(draft: drafts.StoredDraft) -> str:
    return preview(draft.typed.body) if draft.typed.format == "html" else " ".join(draft.typed.body.split())[:120]
