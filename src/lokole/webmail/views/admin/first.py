"""A new box is set up: the place, the hours, its server, its limits. Each step may wait for later; once done, the way in is closed.

Who does it is the first administrator, who came in with the one-time password that ``lokole device admin`` printed.
"""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.model import Account
from lokole.mailbox.database import Connection
from lokole.webmail import access, health, schedule, setting_up
from lokole.webmail.parts import parts
from lokole.webmail.site import site
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.views.admin.exchange import hours_page, keep_hours, planned
from lokole.webmail.views.admin.limits import keep_limits, limits_page, limits_shown
from lokole.webmail.views.admin.place import keep_place, place_page, place_shown
from lokole.webmail.views.admin.registration import claim, registration_page
from lokole.webmail.words import gettext


@blueprint.route("/admin/first", methods=["GET", "POST"])
def first() -> str | Response | tuple[str, int]:
    """The step that is next; "Later" and "Back" keep what was typed, too, and register nothing."""
    person, ports = access.account(), parts().ports
    with ports.database.read() as tx:
        now = setting_up.step(tx, person.tenant)
        if now is None:
            return redirect(url_for("admin.overview"), 303)
        if request.method == "GET":
            return _show(tx, person, now)
        leaves = "later" in request.form or "back" in request.form
        keeps = _touched(tx, person, now) if leaves else True
    # a form of a step that another window has done already changes nothing
    if request.form.get("step") == now:
        if keeps:
            wrong, status = _keep(person, now)
            if wrong:
                with ports.database.read() as tx:
                    return _show(tx, person, now, wrong), status
        with ports.database.write() as tx:
            following = _next(tx, person, now)
            setting_up.go_to(tx, person.tenant, following)
            if following is None:
                note(tx, "set-up")
            waits = ports.register is not None and not health.is_registered(tx, person.tenant)
        if following is None:
            flash("set-up-waits" if waits else "set-up")
            return redirect(url_for("admin.overview"), 303)
    return redirect(url_for("admin.first"), 303)


def _touched(tx: Connection, person: Account, step: str) -> bool:
    """Whether the form differs from what the page of ``step`` showed; a code is for registering and for nothing else."""
    shown: dict[str, list[str]] = {}
    match step:
        case "place":
            shown = place_shown()
        case "hours":
            shown = schedule.as_form(planned(tx, person))
        case "limits":
            shown = {name: [value] for name, value in limits_shown(tx, person).items()}
    typed = {name: [one.replace("\r\n", "\n").strip() for one in request.form.getlist(name)] for name in shown}
    return any(sorted(typed[name]) != sorted(values) for name, values in shown.items())


def _keep(person: Account, step: str) -> tuple[Any, int]:
    """Keep the form of ``step``; returns what is wrong, as its page takes it, and a status."""
    if step == "limits":
        return keep_limits(person), 400
    status = 400
    if step == "server":
        problem, status, where = claim()
    else:
        problem, where = keep_place(person) if step == "place" else keep_hours(person)
    return (problem, where) if problem else None, status


def _show(tx: Connection, person: Account, step: str, wrong: Any = None) -> str:
    at = setting_up.STEPS.index(step)
    more: dict[str, Any] = {"step": step, "at": at + 1, "of": len(setting_up.STEPS)}
    more["so_far"] = [_said(tx, person, one) for one in setting_up.STEPS[:at] if _is_there(one)]
    match step:
        case "place":
            return place_page(tx, *(wrong or ()), **more)
        case "hours":
            return hours_page(tx, planned(tx, person), *(wrong or ()), **more)
        case "server":
            return registration_page(tx, *(wrong or ()), **more)
    return limits_page(tx, person, wrong, **more)


def _said(tx: Connection, person: Account, step: str) -> tuple[str, str, bool]:
    """What a step that is behind was about, how it stands now, and whether it is done."""
    match step:
        case "place":
            named = site().place
            return gettext("Name of the place"), named or gettext("Later"), bool(named)
        case "hours":
            return gettext("Hours of the exchange"), schedule.explain(planned(tx, person)), True
    registered = health.is_registered(tx, person.tenant)
    said = (
        gettext("This box is registered: its addresses end in @%(domain)s.", domain=parts().tenants.domain)
        if registered
        else gettext("This box is not registered yet.")
    )
    return gettext("Place at the server"), said, registered


def _next(tx: Connection, person: Account, step: str) -> str | None:
    """The step behind ``step``, or before it for "Back", without those that have nothing to do; None behind the last."""
    at = setting_up.STEPS.index(step)
    back = "back" in request.form
    order = setting_up.STEPS[:at][::-1] if back else setting_up.STEPS[at + 1 :]
    for one in order:
        if _is_there(one) and not (one == "server" and health.is_registered(tx, person.tenant)):
            return one
    return step if back else None


def _is_there(step: str) -> bool:
    """Whether this box has such a thing: one that meets no server has no hours and no place at one."""
    ports = parts().ports
    return {"hours": ports.sync_now, "server": ports.register}.get(step, True) is not None
