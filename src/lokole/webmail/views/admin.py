"""For the people who look after the box: how it is, its hours, its people, and what was kept apart.

Everything that changes something is a form. The slip for a forgotten password is made in ``slip.py``.
"""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mail.model import Account, AccountNo
from lokole.mailbox import accounts, options, packages, quarantine, visits
from lokole.mailbox.database import Connection, from_micros
from lokole.webmail import access, schedule
from lokole.webmail.pages import page
from lokole.webmail.parts import DEFAULT_SCHEDULE, Schedule, parts
from lokole.webmail.views.mailbox import tonight
from lokole.webmail.words import gettext

blueprint = Blueprint("admin", __name__)

SCHEDULE_OPTION = "schedule"
#: what the last comparison with the server found: {"missing", "letters", "at"}
HELD_OPTION = "held_together"
#: where the box notes, in microseconds since 1970, that another machine used its key
TWIN_OPTION = "twin_seen_at"
_NIGHTS = 14


@blueprint.get("/admin")
def overview() -> str:
    """The one sentence, the last nights, what waits."""
    person = access.account()
    with parts().ports.database.read() as tx:
        nights = visits.last_visits(tx, person.tenant, limit=_NIGHTS)
        return page(
            "admin.html",
            tx,
            place="more",
            nights=nights,
            done=[night for night in nights if night.ended_at is not None],
            bars=_bars([night.bytes_up + night.bytes_down for night in reversed(nights)]),
            people_count=accounts.count_accounts(tx, person.tenant),
            apart=quarantine.count_quarantine(tx, person.tenant),
            together=options.get_option(tx, person.tenant, HELD_OPTION),
            in_bag=packages.count_waiting(tx, person.tenant, "up"),
            hours=schedule.explain(_schedule(tx, person)),
            may_sync=parts().ports.sync_now is not None,
            twin=_twin(tx, person),
            **tonight(tx),
        )


@blueprint.post("/admin/twin")
def twin() -> Response:
    """The warning of a second box with this one's key was read; it comes back when that box does."""
    ports, person = parts().ports, access.account()
    with ports.database.write() as tx:
        options.set_option(tx, person.tenant, TWIN_OPTION, None)
    flash("resolved")
    return redirect(url_for("admin.overview"), 303)


@blueprint.post("/admin/sync")
def sync() -> Response:
    """Meet the server now."""
    sync_now = parts().ports.sync_now
    if sync_now is None:
        abort(404)
    flash("exchange-started" if sync_now() == "started" else "exchange-busy")
    return redirect(url_for("admin.overview"), 303)


@blueprint.route("/admin/schedule", methods=["GET", "POST"])
def hours() -> str | Response | tuple[str, int]:
    """When the box meets the server: hours and days, or cron syntax."""
    ports, person = parts().ports, access.account()
    if request.method == "GET":
        with ports.database.read() as tx:
            return _hours_page(tx, _schedule(tx, person))
    form = request.form
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
        with ports.database.read() as tx:
            return _hours_page(
                tx,
                _schedule(tx, person),
                problem,
                "cron" if error.field == "cron" or form.get("kind") == "cron" else "hours",
            ), 400
    with ports.database.write() as tx:
        options.set_option(tx, person.tenant, SCHEDULE_OPTION, dict(wanted))
    if ports.schedule_changed is not None:
        ports.schedule_changed()
    flash("schedule-saved")
    return redirect(url_for("admin.hours"), 303)


@blueprint.get("/admin/quarantine")
def kept_apart() -> str:
    """What could not be read, with its reason; its letters' neighbours arrived."""
    person = access.account()
    with parts().ports.database.read() as tx:
        rows = quarantine.list_quarantine(tx, person.tenant, limit=100, resolved_too=True)
        return page(
            "quarantine.html", tx, place="more", rows=rows, total=quarantine.count_quarantine(tx, person.tenant)
        )


@blueprint.post("/admin/quarantine/<int:no>/resolve")
def resolve(no: int) -> Response:
    """Seen: it no longer counts; its bytes stay."""
    ports, person = parts().ports, access.account()
    with ports.database.write() as tx:
        quarantine.resolve(tx, person.tenant, no, ports.clock())
    flash("resolved")
    return redirect(url_for("admin.kept_apart"), 303)


@blueprint.get("/admin/people/<int:no>")
def person(no: int) -> str:
    """What can be done for one person."""
    with parts().ports.database.read() as tx:
        return page("person.html", tx, place="more", person=_person(tx, no))


@blueprint.post("/admin/people/<int:no>/<action>")
def change(no: int, action: str) -> Response:
    """``suspend``, ``unsuspend``, ``promote`` or ``demote`` somebody else."""
    if action not in ("suspend", "unsuspend", "promote", "demote"):
        abort(404)
    with parts().ports.database.write() as tx:
        found = _person(tx, no, other=True)
        if action in ("suspend", "unsuspend"):
            if found.is_admin:
                abort(403)  # first no longer an administrator, then suspended
            accounts.set_suspended(tx, found, action == "suspend")
        else:
            accounts.set_admin(tx, found, action == "promote")
    flash(action + ("d" if action.endswith("e") else "ed"))
    return redirect(url_for("admin.person", no=no), 303)


def _person(tx: Connection, no: int, *, other: bool = False) -> Account:
    found = accounts.get_account(tx, access.account().tenant, AccountNo(no))
    if other and found.no == access.account().no:
        abort(403)
    return found


def _schedule(tx: Connection, person: Account) -> Schedule:
    found = options.get_option(tx, person.tenant, SCHEDULE_OPTION, None)
    return found if isinstance(found, dict) else DEFAULT_SCHEDULE


def _twin(tx: Connection, person: Account) -> datetime | None:
    found = options.get_option(tx, person.tenant, TWIN_OPTION, None)
    return from_micros(found) if isinstance(found, int) else None


def _hours_page(tx: Connection, now: Schedule, problem: str = "", where: str = "") -> str:
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
        **tonight(tx),
    )


def _bars(values: list[int]) -> list[tuple[int, float, float]]:
    """(x, y, height) of one bar per night in a picture of 300 by 64."""
    most = max(values, default=0) or 1
    return [(n * 22, 62 - max(1, 50 * value / most), max(1, 50 * value / most)) for n, value in enumerate(values)]
