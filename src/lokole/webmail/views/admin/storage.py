"""What takes the room on the disk, and what can be let go."""

from __future__ import annotations

from flask import abort, flash, redirect, url_for
from werkzeug.wrappers import Response

from lokole.mailbox import accounts, letters, packages
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note


@blueprint.get("/admin/storage")
def storage() -> str:
    """The disk, the database, the files, the letters."""
    ports, person = parts().ports, access.account()
    if ports.room is None:
        abort(404)
    with ports.database.read() as tx:
        return page(
            "admin_storage.html",
            tx,
            place="more",
            room=ports.room(True),
            letters=letters.count_letters(tx, person.tenant),
            people_count=accounts.count_accounts(tx, person.tenant),
            in_bag=packages.count_waiting(tx, person.tenant, "up"),
            may_tidy=ports.tidy is not None,
        )


@blueprint.post("/admin/storage/tidy")
def tidy() -> Response:
    """Let go of files that no letter has named for weeks; it happens by itself once a day."""
    ports = parts().ports
    if ports.tidy is None:
        abort(404)
    gone = ports.tidy()
    with ports.database.write() as tx:
        note(tx, "tidied", detail=str(gone))
    flash("tidied")
    return redirect(url_for("admin.storage"), 303)
