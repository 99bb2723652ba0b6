"""One person, looked after: what they may, what they are to pay, their place in the box, and their leaving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox import accounts, leaving, merging
from lokole.mailbox import standing as standings
from lokole.mailbox.allowances import is_unpaid
from lokole.mailbox.database import Connection
from lokole.webmail import language
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note, one_person
from lokole.webmail.words import gettext

_MB = 1_000_000
#: names that complete what somebody types; whoever stands below is found by typing the name
_MOST_OFFERED = 100
_NOTES = {"suspend": "suspended", "unsuspend": "unsuspended", "promote": "promoted", "demote": "demoted"}


@blueprint.get("/admin/people/<int:no>")
def person(no: int) -> str:
    """What can be done for one person."""
    with parts().ports.database.read() as tx:
        return _page(tx, one_person(tx, no))


@blueprint.post("/admin/people/<int:no>/standing")
def decide(no: int) -> Response | tuple[str, int]:
    """Name, paid until, room, local only, the board: all of the form at once."""
    form = request.form
    with parts().ports.database.write() as tx:
        found = one_person(tx, no)
        try:
            until, quota = _paid_until(form.get("paid_until", "")), _quota(form.get("quota_mb", ""))
        except Refused as error:
            return _page(tx, found, str(error), error.field or ""), 400
        before = standings.get_standing(tx, found)
        accounts.set_display_name(tx, found, form.get("display_name", ""))
        standings.set_paid_until(tx, found, until)
        standings.set_quota(tx, found, quota)
        standings.set_local_only(tx, found, "local_only" in form)
        standings.set_may_post(tx, found, "may_post" in form)
        after = standings.get_standing(tx, found)
        changed = [name for name in ("paid_until", "quota_bytes", "local_only", "may_post")
                   if getattr(before, name) != getattr(after, name)]  # fmt: skip
        note(tx, "decided", found.name, ", ".join(f"{name}={getattr(after, name)}" for name in changed))
    flash("saved")
    return redirect(url_for("admin.person", no=no), 303)


@blueprint.route("/admin/people/<int:no>/delete", methods=["GET", "POST"])
def delete_person(no: int) -> str | Response:
    """Asks first; then the person is gone, and what only they had with them."""
    ports = parts().ports
    if request.method == "GET":
        with ports.database.read() as tx:
            found = one_person(tx, no, other=True)
            return page("admin_delete.html", tx, place="more", person=found)
    with ports.database.write() as tx:
        found = one_person(tx, no, other=True)
        if found.is_admin:
            abort(403)  # first no longer an administrator, then gone
        leaving.remove_account(tx, found)
        note(tx, "deleted", found.name)
    flash("person-deleted")
    return redirect(url_for("admin.people"), 303)


@blueprint.route("/admin/people/<int:no>/merge", methods=["GET", "POST"])
def merge(no: int) -> str | Response | tuple[str, int]:
    """Asks into whom, then whether really; then the two are one."""
    ports = parts().ports
    if request.method == "GET":
        with ports.database.read() as tx:
            return _merge_page(tx, one_person(tx, no, other=True), request.args.get("into"))
    typed = request.form.get("into", "")[:320]
    with ports.database.write() as tx:
        found = one_person(tx, no, other=True)
        into = _somebody_else(tx, found, typed)
        if found.is_admin:
            abort(403)
        if into is None:
            return _merge_page(tx, found, typed), 400
        merging.merge_people(tx, found, into)
        note(tx, "merged", found.name, into.name)
    flash("people-merged")
    return redirect(url_for("admin.person", no=into.no), 303)


@blueprint.post("/admin/people/<int:no>/<action>")
def change(no: int, action: str) -> Response:
    """``suspend``, ``unsuspend``, ``promote`` or ``demote`` somebody else."""
    if action not in _NOTES:
        abort(404)
    try:
        with parts().ports.database.write() as tx:
            found = one_person(tx, no, other=True)
            if action in ("suspend", "unsuspend"):
                if found.is_admin:
                    abort(403)  # first no longer an administrator, then suspended
                accounts.set_suspended(tx, found, action == "suspend")
            else:
                accounts.set_admin(tx, found, action == "promote")
            note(tx, action, found.name)
    except Refused as error:
        if error.code != "last-admin":
            raise
        flash("last-admin")
    else:
        flash(_NOTES[action])
    return redirect(url_for("admin.person", no=no), 303)


def _page(tx: Connection, found: Account, problem: str = "", where: str = "") -> str:
    decided, typed, now = standings.get_standing(tx, found), request.form, parts().ports.clock()
    until = decided.paid_until
    return page(
        "person.html",
        tx,
        place="more",
        person=found,
        decided=decided,
        unpaid=is_unpaid(decided, now),
        used=standings.used_bytes(tx, found),
        names=merging.names_before(tx, found),
        display_name=typed.get("display_name", found.display_name),
        local_only="local_only" in typed if typed else decided.local_only,
        may_post="may_post" in typed if typed else decided.may_post,
        paid_until=typed.get("paid_until", language.last_day(until).date().isoformat() if until is not None else ""),
        quota_mb=typed.get("quota_mb", f"{decided.quota_bytes / _MB:g}" if decided.quota_bytes else ""),
        problem=problem,
        where=where,
    )


def _merge_page(tx: Connection, found: Account, typed: str | None) -> str:
    """``typed`` is the name that is to stay, None before anybody was asked for it."""
    into = None if typed is None else _somebody_else(tx, found, typed)
    problem = ""
    if typed is not None and into is None:
        problem = (
            gettext("Nobody else here has this name.") if typed.strip() else gettext("Write the name of the other one.")
        )
    people = () if into is not None else accounts.some_accounts(tx, found.tenant, limit=_MOST_OFFERED)[0]
    others = [one for one in people if one.no != found.no]
    return page(
        "admin_merge.html", tx, place="more", person=found, into=into, typed=typed or "", problem=problem, others=others
    )


def _somebody_else(tx: Connection, found: Account, typed: str) -> Account | None:
    """Whom somebody named, by name or by the whole address, when it is another person of this box."""
    name, _at, domain = typed[:320].strip().partition("@")
    if domain.casefold() not in ("", found.domain):
        return None
    into = accounts.find_account(tx, found.tenant, name)
    return None if into is None or into.no == found.no else into


def _paid_until(text: str) -> datetime | None:
    """The end of the day that was typed, where the administrator is; None for nothing."""
    if not text.strip():
        return None
    try:
        day = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=language.zone())
        return (day + timedelta(days=1)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Refused(
            gettext("Write the day as year, month, day, for example 2027-03-31."), field="paid_until"
        ) from error


def _quota(text: str) -> int | None:
    wanted = text.strip().replace(",", ".")
    if not wanted:
        return None
    try:
        found = round(float(wanted) * _MB)
    except (ValueError, OverflowError):
        found = 0
    if not _MB // 10 <= found <= 10**6 * _MB:
        raise Refused(gettext("Write megabytes as a number, for example 50, or nothing."), field="quota_mb")
    return found
