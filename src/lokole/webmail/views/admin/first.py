"""A new box is set up: the place, the hours, its server, its limits. Each step may wait for later; once done, the way in is closed.

Who does it is the first administrator, who came in with the one-time password that ``lokole device admin`` printed.
"""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.model import Account
from lokole.mailbox.database import Connection
from lokole.mailbox.tenants import get_tenant
from lokole.webmail import access, setting_up
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.views.admin.exchange import hours_page, keep_hours, planned
from lokole.webmail.views.admin.limits import keep_limits, limits_page
from lokole.webmail.views.admin.place import keep_place, place_page
from lokole.webmail.views.admin.registration import claim, registration_page


@blueprint.route("/admin/first", methods=["GET", "POST"])
def first() -> str | Response | tuple[str, int]:
    """The step that is next; "Later" leaves it as it is."""
    person, ports = access.account(), parts().ports
    with ports.database.read() as tx:
        now = setting_up.step(tx, person.tenant)
        if now is None:
            abort(404)
        if request.method == "GET":
            return _show(tx, person, now)
    # a form of a step that another window has done already changes nothing
    if request.form.get("step") == now:
        if "later" not in request.form:
            wrong, status = _keep(person, now)
            if wrong:
                with ports.database.read() as tx:
                    return _show(tx, person, now, wrong), status
        with ports.database.write() as tx:
            following = _skipping(tx, person, setting_up.go_on(tx, person.tenant, now))
            if following is None:
                note(tx, "set-up")
        if following is None:
            flash("set-up")
            return redirect(url_for("admin.overview"), 303)
    return redirect(url_for("admin.first"), 303)


def _keep(person: Account, step: str) -> tuple[Any, int]:
    match step:
        case "place":
            return keep_place(person), 400
        case "hours":
            problem = keep_hours(person)
            return (problem if problem[0] else None), 400
        case "server":
            return claim()
    return keep_limits(person), 400


def _show(tx: Connection, person: Account, step: str, wrong: Any = None) -> str:
    at = setting_up.STEPS.index(step) + 1
    more: dict[str, Any] = {"step": step, "at": at, "of": len(setting_up.STEPS)}
    match step:
        case "place":
            return place_page(tx, wrong or "", **more)
        case "hours":
            return hours_page(tx, planned(tx, person), *(wrong or ()), **more)
        case "server":
            return registration_page(tx, wrong or "", **more)
    return limits_page(tx, person, wrong, **more)


def _skipping(tx: Connection, person: Account, step: str | None) -> str | None:
    """Steps with nothing to do on this box: no server to meet, or registered already."""
    ports = parts().ports
    while step in ("hours", "server"):
        needed = ports.sync_now is not None if step == "hours" else ports.register is not None
        if step == "server" and get_tenant(tx, person.tenant).state == "claimed":
            needed = False
        if needed:
            break
        step = setting_up.go_on(tx, person.tenant, step)
    return step
