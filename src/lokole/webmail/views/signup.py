"""Somebody makes themselves an address: language, how they are called, a free name, and a way in of their choice."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, abort, flash, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mail.errors import Refused
from lokole.mail.model import TenantNo
from lokole.mailbox import accounts, names, passwords, seen, ways
from lokole.mailbox import standing as standings
from lokole.webmail import access, house, language, limits, zones
from lokole.webmail.forms import SignUpForm, submitted
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.pictures import picture_words
from lokole.webmail.refusals import why_not_this_name
from lokole.webmail.views.account import come_in_first_time, form_here
from lokole.webmail.views.ways import NewPictures, NewPin, read_new_pictures, read_new_pin
from lokole.webmail.welcome import welcome
from lokole.webmail.words import gettext, locale

blueprint = Blueprint("signup", __name__)

Answer = str | AnyResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Secret:
    """The way in that a new person has chosen, as its hash and as it was typed."""

    way: str
    hashed: str
    typed: str


@blueprint.route("/user/register", methods=["GET", "POST"])
def register() -> Answer:
    """The form; its buttons look for a free name, take one that was offered, or go on with a password, a PIN or pictures."""
    tenant = _open_for()
    form = submitted(SignUpForm) if request.method == "POST" else SignUpForm()
    if request.method == "GET":
        return _form_page(form)
    # the script's field is empty without the script, and then there is a list
    form.time_zone.data = next((zone for zone in request.form.getlist("time_zone") if zone), "")
    _count()
    taken = request.form.get("take", "")
    if taken:
        form.name.data = taken[:64]
        return _form_page(form)
    problem = _problem_with_name(tenant, form)
    if "try" in request.form:
        form.name.errors = [problem] if problem and form.name.data else []
        return _form_page(form, offers=_offers(tenant, form), free=not problem and bool(form.name.data))
    way = request.form.get("way", ways.PASSWORD)
    if problem:
        entered = _made_before(tenant, form, way, _typed(way, form))
        if entered is not None:
            return entered
        form.validate()
        form.name.errors = [problem]
        return _form_page(form, offers=_offers(tenant, form)), 400
    if way == ways.PIN:
        return _pin(tenant, form)
    if way == ways.PICTURES_WAY:
        return _pictures(tenant, form)
    if not form.validate():
        return _form_page(form), 400
    hashed = passwords.hash_password(form.password.data or "", parts().settings.bcrypt_cost)
    return _create(tenant, form, Secret(ways.PASSWORD, hashed, form.password.data or ""))


@blueprint.post("/user/names", endpoint="names")
def names_free() -> Response:
    """For the script of the form: whether a name is free, why not, and free ones near it."""
    tenant = _open_for()
    limits.count(parts().settings.name_questions, "names", request.remote_addr)
    form = submitted(SignUpForm)
    problem = _problem_with_name(tenant, form) if form.name.data else ""
    free = gettext("%(name)s is free.", name=form.name.data) if form.name.data and not problem else ""
    return jsonify(problem=problem, free=free, names=_offers(tenant, form))


def _open_for() -> TenantNo:
    tenant = parts().tenants.here
    if tenant is None or not house.may_sign_up():
        abort(404)
    return tenant


def _count() -> None:
    """Looking for a name may be done more often than making an address, which is counted where one may come of it."""
    settings = parts().settings
    looking = "try" in request.form or "take" in request.form or request.form.get("p")
    limits.count(
        settings.name_questions if looking else settings.sign_ups,
        "names" if looking else "sign-up",
        request.remote_addr,
    )


def _form_page(form: SignUpForm, *, offers: list[str] | None = None, free: bool = False) -> str:
    if form.password.data and not form.password.errors:
        form.password.errors = [gettext("Write the password again: it is not kept.")]
    return page("register.html", form=form, offers=offers or [], free=free, zones=zones.choices(locale()))


def _pin(tenant: TenantNo, form: SignUpForm) -> Answer:
    match read_new_pin():
        case NewPin(digits=str(digits)):
            hashed = passwords.hash_password(digits, parts().settings.bcrypt_cost)
            return _create(tenant, form, Secret(ways.PIN, hashed, digits))
        case wanted:
            answer = page("choose_pin.html", pin=wanted, signing_up=form, action=url_for("signup.register"))
            return (answer, 400) if wanted.form.errors else answer


def _pictures(tenant: TenantNo, form: SignUpForm) -> Answer:
    match read_new_pictures():
        case NewPictures(secret=str(secret)):
            hashed = passwords.hash_password(secret, parts().settings.bcrypt_cost)
            return _create(tenant, form, Secret(ways.PICTURES_WAY, hashed, secret))
        case wanted:
            answer = page(
                "choose_pictures.html",
                new=wanted,
                signing_up=form,
                action=url_for("signup.register"),
                pictures=picture_words(),
            )
            return (answer, 400) if wanted.problem else answer


def _create(tenant: TenantNo, form: SignUpForm, secret: Secret) -> Answer:
    ports, settings = parts().ports, parts().settings
    zone = form.time_zone.data or ""
    try:
        with ports.database.write() as tx:
            now = ports.clock()
            person = accounts.create_account(
                tx,
                tenant,
                _own_name(form.name.data or ""),
                password_hash=secret.hashed if secret.way == ways.PASSWORD else None,
                now=now,
                language=locale(),
                time_zone=zone if language.known_zone(zone) else settings.time_zone,
                display_name=form.called.data or "",
            )
            if secret.way != ways.PASSWORD:
                ways.set_way(tx, person, secret.way, secret.hashed)
            if form.listed.data:
                standings.set_listed(tx, person, True)
            welcome(tx, person, now)
            seen.remember(tx, tenant, "form", form_here(person.name), now)
            come_in_first_time(tx, person, own=bool(form.own.data), way=secret.way)
    except Refused as error:  # somebody was faster, perhaps this form itself
        entered = _made_before(tenant, form, secret.way, secret.typed)
        if entered is not None:
            return entered
        form.name.errors = [_why_not(error)]
        return _form_page(form, offers=_offers(tenant, form)), 400
    flash("welcome")
    return redirect(url_for("mailbox.inbox"), 303)


def _typed(way: str, form: SignUpForm) -> str:
    """The whole secret that came with the form, or nothing."""
    match way:
        case ways.PIN:
            return read_new_pin().digits or ""
        case ways.PICTURES_WAY:
            return read_new_pictures().secret or ""
        case _:
            return form.password.data or ""


def _made_before(tenant: TenantNo, form: SignUpForm, way: str, typed: str) -> AnyResponse | None:
    """The button was pressed twice, or its answer was lost: the address is there, and whoever made it in this browser comes in."""
    ports, name = parts().ports, _own_name(form.name.data or "").casefold()
    with ports.database.read() as tx:
        person = accounts.find_account(tx, tenant, name) if seen.was_seen(tx, tenant, "form", form_here(name)) else None
        known = ways.hashes(tx, person).get(way) if person is not None and not person.suspended else None
    if person is None or known is None or not passwords.check_password(typed, known):
        return None
    with ports.database.write() as tx:
        access.sign_in(tx, person, own=bool(form.own.data), way=way)
    flash("welcome")
    return redirect(url_for("mailbox.inbox"), 303)


def _problem_with_name(tenant: TenantNo, form: SignUpForm) -> str:
    if not (form.name.data or "").strip():
        return gettext("Please choose a name.")
    try:
        with parts().ports.database.read() as tx:
            names.is_free(tx, tenant, _own_name(form.name.data or ""))
    except Refused as error:
        return _why_not(error)
    return ""


def _offers(tenant: TenantNo, form: SignUpForm) -> list[str]:
    with parts().ports.database.read() as tx:
        found = names.suggest_names(tx, tenant, form.called.data or "", wanted=_own_name(form.name.data or ""))
    return [name for name in found if name != (form.name.data or "").strip().casefold()]


def _own_name(text: str) -> str:
    """The name, also when somebody typed their whole future address."""
    name, _at, domain = text.strip().partition("@")
    return name if domain.lower() in ("", parts().tenants.domain) else text.strip()


def _why_not(error: Refused) -> str:
    if error.code == "taken":
        return gettext(
            "Somebody here has this name already. Choose another one, for example with a second name or a number."
        )
    if error.code == "resting":
        return why_not_this_name(error)
    if error.code == "reserved":
        return gettext("This name is kept for Lokole itself. Choose another one.")
    return gettext(
        "Write the name with the letters a to z and the numbers 0 to 9, no accents, no spaces. A dot or a dash may stand in it, not at its beginning."
    )
