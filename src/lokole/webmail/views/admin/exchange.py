"""The hours of the exchange, and an exchange now."""

from __future__ import annotations

from flask import abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox import options
from lokole.mailbox.database import Connection
from lokole.webmail import access, acts, health, schedule
from lokole.webmail.pages import page
from lokole.webmail.parts import DEFAULT_SCHEDULE, Schedule, parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.views.mailbox import tonight
from lokole.webmail.words import gettext

SCHEDULE_OPTION = "schedule"


@blueprint.post("/admin/sync")
def sync() -> Response:
    """Meet the server now; a box that has none yet says so."""
    sync_now = parts().ports.sync_now
    if sync_now is None:
        abort(404)
    with parts().ports.database.read() as tx:
        registered = health.is_registered(tx, access.account().tenant)
    if not registered:
        flash("register-first")
        return redirect(url_for("admin.overview"), 303)
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
    ports, form, typed = parts().ports, request.form, _typed()
    with ports.database.read() as tx:
        shown = schedule.as_form(planned(tx, person))
    kind = form.get("kind", "")
    if "asked" not in form:
        kind = schedule.decided(kind, typed, shown)
    if kind not in ("hours", "cron"):
        return gettext("The hours and the cron syntax were both changed. Choose which of them counts."), "kind"
    try:
        wanted = schedule.from_form(kind, typed["hours"][0], typed["days"], typed["cron"][0])
        if ports.check_schedule is not None:
            ports.check_schedule(wanted)
    except Refused as error:
        return _wrong(kind, error.code), kind
    with ports.database.write() as tx:
        options.set_option(tx, person.tenant, SCHEDULE_OPTION, dict(wanted))
        note(tx, "hours", detail=acts.hours_detail(wanted))
    if ports.schedule_changed is not None:
        ports.schedule_changed()
    return "", ""


def _typed() -> dict[str, list[str]]:
    form = request.form
    return {
        "hours": [form.get("hours", "").strip()],
        "days": form.getlist("days"),
        "cron": [form.get("cron", "").strip()[:200]],
    }


def _wrong(kind: str, code: str) -> str:
    if code == "never":
        return gettext("By these hours the box would not leave once in a year. Choose days that every year has.")
    if kind == "cron":
        return gettext("This is not cron syntax: five fields, for example 0 2 * * * for 02:00 every day.")
    if code == "minutes":
        return gettext("Only whole hours stand here. Cron syntax, below, takes minutes: 30 6 * * * is 06:30 every day.")
    return gettext("Write hours from 0 to 23 with commas between, for example 2, 14.")


def hours_page(tx: Connection, now: Schedule, problem: str = "", where: str = "", **more: object) -> str:
    """The form of the hours, alone or as a step of setting up; ``where`` is hours, cron, or kind when it asks which of both counts."""
    shown = {**schedule.as_form(now), **(_typed() if request.form else {})}
    return page(
        "schedule.html",
        tx,
        place="more",
        explained=schedule.explain(now),
        kind=where or shown["kind"][0],
        hours=shown["hours"][0],
        days=shown["days"],
        cron=shown["cron"][0],
        weekdays=[(str(n), name) for n, name in enumerate(schedule.weekday_names())],
        problem=problem,
        where=where,
        **more,
        **tonight(tx),
    )
