"""Who of the people who look after the box did what, and when."""

from __future__ import annotations

from flask import request, url_for

from lokole.mailbox import audit
from lokole.webmail import access
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint
from lokole.webmail.words import gettext

_ON_A_PAGE = 50


@blueprint.get("/admin/log")
def log() -> str:
    """The newest first."""
    person, before = access.account(), request.args.get("before", type=row_number)
    with parts().ports.database.read() as tx:
        acts = audit.last_acts(tx, person.tenant, before=before, limit=_ON_A_PAGE)
        older = url_for("admin.log", before=acts[-1].no) if len(acts) == _ON_A_PAGE else None
        return page("admin_log.html", tx, place="more", acts=acts, said=_said(), older=older, kept=audit.KEPT)


def _said() -> dict[str, str]:
    """What people read for each act; the name it was about stands beside it."""
    return {
        "made": gettext("new person"),
        "slip": gettext("one-time password"),
        "doors": gettext("signing up and in"),
        "decided": gettext("what somebody may"),
        "suspend": gettext("may not sign in"),
        "unsuspend": gettext("may sign in again"),
        "promote": gettext("looks after the box"),
        "demote": gettext("no longer looks after the box"),
        "deleted": gettext("person deleted"),
        "merged": gettext("two people made one"),
        "hours": gettext("hours of the exchange"),
        "sync": gettext("exchange begun"),
        "twin": gettext("second box seen"),
        "seen-apart": gettext("kept apart, seen"),
        "limits": gettext("limits of the box"),
        "price": gettext("what bytes cost"),
        "place": gettext("the place and its languages"),
        "registered": gettext("box registered"),
        "tidied": gettext("room made"),
        "senders": gettext("senders of the board"),
        "set-up": gettext("box set up"),
        "taken-down": gettext("taken from the board"),
    }
