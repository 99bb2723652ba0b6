"""How somebody comes in, chosen by themselves: a password, a PIN, a sequence of pictures; one or several of them.

Each change ends every other session of the person. Without the old password, it needs somebody who came in a moment ago.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mailbox import accounts, passwords, slips, ways
from lokole.webmail import access, guessing
from lokole.webmail.forms import NewPasswordForm, PinForm, submitted
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.pictures import picture_words
from lokole.webmail.words import gettext

blueprint = Blueprint("ways", __name__)

Answer = str | Response | tuple[str, int]


@dataclass(frozen=True, slots=True)
class NewPin:
    """What was typed on the page of the PIN: ``digits`` once it is good and written twice."""

    form: PinForm
    digits: str | None = None


@dataclass(frozen=True, slots=True)
class NewPictures:
    """How far somebody is with choosing pictures: ``first`` is the sequence to be touched once more, ``secret`` both agree."""

    touched: list[str]
    first: list[str]
    problem: str = ""
    secret: str | None = None


@blueprint.route("/user/password/change", methods=["GET", "POST"])
def password() -> Answer:
    """A new password; every other session of this person ends."""
    ports, settings, person = parts().ports, parts().settings, access.account()
    if not settings.password_change and not person.must_change_password:
        abort(404)
    with ports.database.read() as tx:
        known = accounts.password_hash(tx, person)
    ask_old = known is not None and not person.must_change_password
    if not ask_old and not person.must_change_password:
        again = access.stale()
        if again is not None:
            return again
    if request.method == "GET":
        return _page("password.html", form=NewPasswordForm(), ask_old=ask_old)
    form = submitted(NewPasswordForm)
    if ask_old:
        guessing.count_guess((person.tenant, person.name))
    if form.validate() and ask_old and not passwords.check_password(form.old.data or "", known):
        form.old.errors = [gettext("That is not the password you have had until now.")]
    if form.errors or form.old.errors:
        return _page("password.html", form=form, ask_old=ask_old), 400
    hashed = passwords.hash_password(form.new.data or "", settings.bcrypt_cost)
    with ports.database.write() as tx:
        accounts.set_password(tx, person, hashed)  # ends every session of this person
        ways.forget_ways(tx, person, slips.SLIP)
        access.renew(tx, person)
    flash("password-changed")
    return redirect(url_for("mailbox.inbox"), 303)


@blueprint.route("/user/pin", methods=["GET", "POST"])
def pin() -> Answer:
    """A new PIN."""
    again = _sure()
    if again is not None:
        return again
    wanted = read_new_pin() if request.method == "POST" else NewPin(PinForm())
    if wanted.digits is None:
        answer = _page("choose_pin.html", pin=wanted, action=url_for("ways.pin"))
        return (answer, 400) if wanted.form.errors else answer
    return _set(ways.PIN, wanted.digits)


@blueprint.route("/user/pictures", methods=["GET", "POST"])
def pictures() -> Answer:
    """A new sequence of pictures, touched twice."""
    again = _sure()
    if again is not None:
        return again
    wanted = read_new_pictures() if request.method == "POST" else NewPictures([], [])
    if wanted.secret is None:
        answer = _page("choose_pictures.html", new=wanted, action=url_for("ways.pictures"), pictures=picture_words())
        return (answer, 400) if wanted.problem else answer
    return _set(ways.PICTURES_WAY, wanted.secret)


@blueprint.post("/user/way/<kind>/forget")
def forget(kind: str) -> Response:
    """Do without a PIN or the pictures from now on; the last way stays."""
    if kind not in (ways.PIN, ways.PICTURES_WAY):
        abort(404)
    person = access.account()
    try:
        with parts().ports.database.write() as tx:
            ways.give_up(tx, person, kind)
    except Refused:
        flash("last-way")
    else:
        flash("way-forgotten")
    return redirect(url_for("profile.show"), 303)


def read_new_pin() -> NewPin:
    """What the page of the PIN sent; nothing when it is to be shown for the first time."""
    form = submitted(PinForm)
    if "pin" not in request.form:
        return NewPin(PinForm())
    if not form.validate():
        return NewPin(form)
    try:
        return NewPin(form, ways.normal_pin(form.pin.data or ""))
    except Refused as error:
        form.pin.errors = [
            gettext("A PIN has at least 4 digits, and nothing but digits.")
            if error.code == "digits"
            else gettext("Anybody would try this one. Choose digits without a pattern, and no year.")
        ]
        return NewPin(form)


def read_new_pictures() -> NewPictures:
    """One touch of the page of new pictures, taken together with the touches before."""
    sent = request.form
    touched = ways.known_pictures([*sent.get("so_far", "").split(), sent.get("p", "")])
    first = ways.known_pictures(sent.get("first", "").split())
    if sent.get("do") == "again":
        return NewPictures([], [])
    if sent.get("do") != "enter":
        return NewPictures(touched, first)
    try:
        secret = ways.as_secret(touched)
    except Refused as error:
        problem = (
            gettext("Touch at least three pictures.")
            if error.code == "few"
            else gettext("Anybody would try this one. Take different pictures.")
        )
        return NewPictures([], [], problem)
    if not first:
        return NewPictures([], touched)
    if first != touched:
        return NewPictures(
            [], [], gettext("These were not the same pictures. Begin again, and keep the order in mind.")
        )
    return NewPictures(touched, first, secret=secret)


def _sure() -> Response | None:
    person = access.account()
    if parts().tenants.here is None:
        abort(404)  # too short for the internet
    if not parts().settings.password_change and not person.must_change_password:
        abort(404)
    return None if person.must_change_password else access.stale()


def _set(kind: str, secret: str) -> Response:
    person = access.account()
    hashed = passwords.hash_password(secret, parts().settings.bcrypt_cost)
    with parts().ports.database.write() as tx:
        if person.must_change_password:
            accounts.set_password(tx, person, None)  # the one that was told must not count any longer
        ways.set_way(tx, person, kind, hashed)  # ends every session of this person
        access.renew(tx, person)
    flash("way-set")
    return redirect(url_for("profile.show"), 303)


def _page(template: str, **values: object) -> str:
    with parts().ports.database.read() as tx:
        return page(template, tx, place="more", **values)
