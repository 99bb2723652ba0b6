"""A new version of the program, now."""

from __future__ import annotations

from flask import abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole import __version__
from lokole.mail.errors import Refused, Temporary
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.words import gettext

_MAX_VERSION = 40


@blueprint.get("/admin/update")
@blueprint.get("/admin/update/<version>")
def update(version: str = "") -> str:
    """The version that is here, and how the last update went; an address with a version fills it in."""
    return _update_page(version)


@blueprint.post("/admin/update")
@blueprint.post("/admin/update/<version>")
def begin_update(version: str = "") -> Response | tuple[str, int]:
    """Begin one; the form's version counts more than the address's."""
    ports = parts().ports
    if ports.updater is None or not ports.updater.is_ready():
        return _update_page(version), 409
    wanted = request.form.get("version", version).strip()[:_MAX_VERSION]
    try:
        begun = ports.updater.start(wanted)
    except Refused:
        return _update_page(wanted, gettext("A version is numbers with dots between, such as 2.1.")), 400
    except Temporary:
        return _update_page(wanted, gettext("The update could not begin. Look whether the disk is full.")), 503
    if begun == "started":
        with ports.database.write() as tx:
            note(tx, "update", detail=wanted)
    flash("update-started" if begun == "started" else "update-busy")
    return redirect(url_for("admin.update"), 303)


def _update_page(version: str, problem: str = "") -> str:
    access.account()
    if parts().settings.in_town:
        abort(404)  # a server gets its new version from whoever looks after the machine
    updater = parts().ports.updater
    with parts().ports.database.read() as tx:
        return page(
            "admin_update.html",
            tx,
            place="more",
            current=__version__,
            is_set=updater is not None,
            ready=updater is not None and updater.is_ready(),
            last=updater.last() if updater is not None else None,
            wanted=version[:_MAX_VERSION],
            problem=problem,
        )
