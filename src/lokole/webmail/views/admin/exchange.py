"""The hours of the exchange, and an exchange now."""

from __future__ import annotations

from flask import abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox import options
from lokole.mailbox.database import Connection
from lokole.webmail import access, acts, schedule
from lokole.webmail.pages import page
from lokole.webmail.parts import DEFAULT_SCHEDULE, Schedule, parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.views.mailbox import tonight
from lokole.webmail.words import gettext

SCHEDULE_OPTION = "schedule"


@blueprint.post("/admin/sync")
def sync() -> Response:
    """Meet the server now."""
    sync_now = parts().ports.sync_now
    if sync_now is None:
        abort(404)
    with parts().ports.database.write() as tx:
        note(tx, "sync")
    flash("exchange-started" if sync_now() == "started" else "exchange-busy")
    return redirect(url_for("admin.overview"), 303)


@blueprint.route("/admin/schedule", methods=["GET", "POST"])
def hours() -> str | Response | tuple[str, int]:
    """When the box meets the server: hours and days, or cron syntax."""
    ports, person = parts().ports, access.account()
    if ports.sync_now is None:
        abort(404)
    if request.method == "GET":
        with ports.database.read() as tx:
            return hours_page(tx, planned(tx, person))
    problem, where = keep_hours(person)
    if problem:
        with ports.database.read() as tx:
            return hours_page(tx, planned(tx, person), problem, where), 400
    flash("schedule-saved")
    return redirect(url_for("admin.hours"), 303)


def planned(tx: Connection, person: Account) -> Schedule:
    """The hours that are kept."""
    found = options.get_option(tx, person.tenant, SCHEDULE_OPTION, None)
    return found if isinstance(found, dict) else DEFAULT_SCHEDULE


def keep_hours(person: Account) -> tuple[str, str]:
    """Keep the hours of the form; returns what is wrong with them and where, two empty texts when they are kept."""
    ports, form = parts().ports, request.form
    try:
        wanted = schedule.from_form(
            form.get("kind", ""), form.get("hours", ""), form.getlist("days"), form.get("cron", "")[:200]
        )
        if ports.check_schedule is not None:
            ports.check_schedule(wanted)
    except Refused as error:
        problem = (
            gettext("Write hours from 0 to 23 with commas between, for example 2, 14.")
            if form.get("kind") != "cron"
            else gettext("This is not cron syntax: five fields, for example 0 2 * * * for 02:00 every day.")
        )
        return problem, "cron" if error.field == "cron" or form.get("kind") == "cron" else "hours"
    with ports.database.write() as tx:
        options.set_option(tx, person.tenant, SCHEDULE_OPTION, dict(wanted))
        note(tx, "hours", detail=acts.hours_detail(wanted))
    if ports.schedule_changed is not None:
        ports.schedule_changed()
    return "", ""


def hours_page(tx: Connection, now: Schedule, problem: str = "", where: str = "", **more: object) -> str:
    """The form of the hours, alone or as a step of setting up."""
    typed = request.form
    hours_now = now.get("hours")
    days_now = now.get("days")
    cron_now = now.get("cron")
    return page(
        "schedule.html",
        tx,
        place="more",
        explained=schedule.explain(now),
        kind=typed.get("kind") or ("cron" if cron_now else "hours"),
        hours=typed.get("hours")
        if typed
        else ", ".join(str(hour) for hour in hours_now)
        if isinstance(hours_now, list)
        else "",
        days=[int(day) for day in typed.getlist("days") if day.isdecimal()]
        if typed
        else days_now
        if isinstance(days_now, list)
        else list(range(7)),
        cron=typed.get("cron") if typed else cron_now or "",
        weekdays=list(enumerate(schedule.weekday_names())),
        problem=problem,
        where=where,
        **more,
        **tonight(tx),
    )
