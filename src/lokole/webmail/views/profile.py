"""What belongs to one person: their name on letters, time zone, ways in, roaming, where they are signed in, and leaving for good."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mailbox import accounts, leaving, passwords, sessions, ways
from lokole.webmail import access, guessing, language, zones
from lokole.webmail.forms import ProfileForm, SignInForm, submitted
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext, locale

blueprint = Blueprint("profile", __name__)

Answer = str | Response | tuple[str, int]


@blueprint.route("/user/profile", methods=["GET", "POST"])
def show() -> Answer:
    """How somebody is called on letters, and where they live."""
    person, ports = access.account(), parts().ports
    if request.method == "POST":
        form = submitted(ProfileForm)
        zone = form.time_zone.data or ""
        with ports.database.write() as tx:
            accounts.set_display_name(tx, person, form.display_name.data or "")
            if language.known_zone(zone):
                accounts.set_time_zone(tx, person, zone)
        flash("saved")
        return redirect(url_for("profile.show"), 303)
    with ports.database.read() as tx:
        return page(
            "profile.html",
            tx,
            place="more",
            person=person,
            ways=ways.hashes(tx, person).keys(),
            zones=zones.choices(locale()),
            on_box=parts().tenants.here is not None,
        )


@blueprint.post("/user/roaming")
def roaming() -> Response:
    """Read letters in town too, or no longer; on the box only, where people are made."""
    if parts().tenants.here is None:
        abort(404)
    person = access.account()
    wanted = request.form.get("roaming") == "on"
    try:
        with parts().ports.database.write() as tx:
            accounts.set_roaming(tx, person, wanted)
    except Refused:
        flash("roaming-needs-password")
    else:
        flash("roaming-on" if wanted else "roaming-off")
    return redirect(url_for("profile.show"), 303)


@blueprint.get("/user/sessions")
def where() -> str:
    """Where somebody is signed in, and since when."""
    person, ports = access.account(), parts().ports
    with ports.database.read() as tx:
        return page(
            "sessions.html",
            tx,
            place="more",
            found=sessions.list_sessions(tx, person, ports.clock(), access.idle(tx, person.tenant)),
            this=sessions.id_of(access.token()),
        )


@blueprint.post("/user/sessions/end")
def end() -> Response:
    """Sign out everywhere but here, or everywhere."""
    person, everywhere = access.account(), request.form.get("do") == "everywhere"
    with parts().ports.database.write() as tx:
        if everywhere:
            sessions.end_all_sessions(tx, person)
        else:
            sessions.end_other_sessions(tx, person, access.token())
    if everywhere:
        access.forget_here()
        flash("signed-out")
        return access.left(redirect(url_for("account.login"), 303))
    flash("others-signed-out")
    return redirect(url_for("profile.where"), 303)


@blueprint.route("/user/leave", methods=["GET", "POST"])
def leave() -> Answer:
    """Delete the account: asks for the password, and says before what goes and what stays."""
    if parts().tenants.here is None:
        abort(404)
    ports, person = parts().ports, access.account()
    with ports.database.read() as tx:
        known = accounts.password_hash(tx, person)
    if known is None:
        again = access.stale()
        if again is not None:
            return again
    form = submitted(SignInForm) if request.method == "POST" else SignInForm()
    if request.method == "GET" or person.is_admin:
        return _leave_page(form, asked=known is not None)
    if known is not None:
        guessing.count_guess((person.tenant, person.name))
        if not passwords.check_password(form.password.data or "", known):
            form.password.errors = [gettext("That is not your password.")]
            return _leave_page(form, asked=True), 403
    with ports.database.write() as tx:
        leaving.remove_account(tx, person)
    access.forget_here()
    flash("gone")
    return access.left(redirect(url_for("home.home"), 303))


def _leave_page(form: SignInForm, *, asked: bool) -> str:
    form.password.label.text = gettext("Password")  # a PIN opens the door, and ends nothing
    with parts().ports.database.read() as tx:
        return page("leave.html", tx, place="more", form=form, asked=asked)
