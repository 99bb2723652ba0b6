"""The list of people: whoever said yes to it, with a way to write to each."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mailbox import accounts
from lokole.mailbox import standing as standings
from lokole.webmail import access
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext

blueprint = Blueprint("directory", __name__)


@blueprint.get("/users")
def people() -> str:
    """Everybody who wants to be found, by name."""
    person, settings = access.account(), parts().settings
    start = max(0, request.args.get("start", type=row_number) or 0)
    size = settings.rows_per_page
    with parts().ports.database.read() as tx:
        found, total = accounts.some_accounts(tx, person.tenant, only_listed=True, offset=start, limit=size)
        return page(
            "people.html",
            tx,
            place="more",
            people=found,
            listed=standings.get_standing(tx, person).listed,
            alone=[one.no for one in found] == [person.no] and total == 1,
            range_line=gettext(
                "%(first)s–%(last)s of %(total)s", first=start + 1, last=start + len(found), total=total
            ),
            before=url_for("directory.people", start=max(0, start - size)) if start else None,
            after=url_for("directory.people", start=start + size) if start + size < total else None,
        )


@blueprint.post("/users/listed")
def list_me() -> Response:
    """The one who asks is found here from now on, or no longer."""
    person, wanted = access.account(), request.form.get("listed") == "yes"
    with parts().ports.database.write() as tx:
        standings.set_listed(tx, person, wanted)
    flash("listed" if wanted else "unlisted")
    return redirect(url_for("directory.people"), 303)
