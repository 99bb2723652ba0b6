"""Who may write to the board from elsewhere; who may here stands with each person."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mailbox import board
from lokole.mailbox.posting import BOARD_NAME
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.words import gettext

_MOST = 200


@blueprint.route("/admin/board", methods=["GET", "POST"])
def senders() -> str | Response | tuple[str, int]:
    """Addresses whose proven letters to the board hang there."""
    person, ports = access.account(), parts().ports
    typed = request.form.get("senders", "")
    problem = ""
    if request.method == "POST":
        wanted = [one.strip() for one in typed.replace(",", "\n").replace(";", "\n").splitlines() if one.strip()]
        try:
            with ports.database.write() as tx:
                kept = board.set_news_senders(tx, person.tenant, wanted[:_MOST])
                note(tx, "senders", detail=", ".join(kept))
        except Refused as error:
            problem = gettext(
                "“%(address)s” is not an address. Write it like name@example.com", address=(error.field or "")[:80]
            )
        else:
            flash("saved")
            return redirect(url_for("admin.senders"), 303)
    with ports.database.read() as tx:
        shown = typed if problem else "\n".join(board.news_senders(tx, person.tenant))
        text = page(
            "admin_board.html",
            tx,
            place="more",
            senders=shown,
            address=f"{BOARD_NAME}@{person.domain}",
            problem=problem,
        )
    return (text, 400) if problem else text
