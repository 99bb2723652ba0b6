"""Who of the people who look after the box did what, and when."""

from __future__ import annotations

from flask import request, url_for

from lokole.mailbox import audit
from lokole.webmail import access, acts
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint

_ON_A_PAGE = 50


@blueprint.get("/admin/log")
def log() -> str:
    """The newest first."""
    person, before = access.account(), request.args.get("before", type=row_number)
    with parts().ports.database.read() as tx:
        found = audit.last_acts(tx, person.tenant, before=before, limit=_ON_A_PAGE)
        older = url_for("admin.log", before=found[-1].no) if len(found) == _ON_A_PAGE else None
        return page(
            "admin_log.html", tx, place="more", lines=[acts.line(one) for one in found], older=older, kept=audit.KEPT
        )
