"""Taking a letter out of the bag again: it becomes a draft, and its writer goes on with it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mailbox import recipients, taking_back
from lokole.webmail import access, limits, sheet
from lokole.webmail.parts import parts

blueprint = Blueprint("taking_back", __name__)

#: per person; a package that is being built is built anew for each
_RULE = "30 per hour"


@blueprint.post("/email/take-back/<int:no>")
def take_back(no: int) -> Response:
    """The draft, or a sentence on the page of waiting letters that says why it is too late."""
    person, ports = access.account(), parts().ports
    with ports.database.read() as tx:
        taking_back.check_wrote(tx, person, no)
    waits = url_for("mailbox.outbox")
    try:
        limits.count(_RULE, "take-back", person.no)
        with ports.database.write() as tx:
            draft = taking_back.take_back(tx, person, no, new_form=sheet.drawn, origin=ports.origin, now=ports.clock())
            kept = recipients.deliveries(tx, person.tenant, no)
    except limits.TooOften:
        flash("take-back-often")
        return redirect(waits, 303)
    except Refused as error:
        flash({"packed": "take-back-packed", "too-many": "take-back-full"}.get(error.code, "take-back-none"))
        return redirect(waits, 303)
    flash("taken-back-here" if kept else "taken-back")
    return redirect(url_for("compose.new", draft=draft), 303)
