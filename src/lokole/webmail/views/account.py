"""Signing up, in and out; the language; the password; the people of the box."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, abort, flash, redirect, request, session, url_for
from flask_babel import force_locale
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mail.model import Account, Contact, Email, TenantNo
from lokole.mailbox import accounts, identity, letters, passwords
from lokole.mailbox.database import Connection
from lokole.webmail import access, language, limits
from lokole.webmail.forms import NewPasswordForm, SignInForm, SignUpForm, submitted
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext, locale

blueprint = Blueprint("account", __name__)


@blueprint.route("/user/register", methods=["GET", "POST"])
def register() -> str | Response | tuple[str, int]:
    """A new person chooses a name and a password, and is in."""
    ports, settings, tenant = parts().ports, parts().settings, parts().tenants.here
    if not settings.sign_up or tenant is None:
        abort(404)
    if request.method == "GET":
        return page("register.html", form=SignUpForm())
    form = submitted(SignUpForm)
    limits.count(settings.sign_ups, "sign-up", request.remote_addr)
    if not form.validate():
        return page("register.html", form=form), 400
    wanted = form.time_zone.data or ""
    hashed = passwords.hash_password(form.password.data or "", settings.bcrypt_cost)
    try:
        with ports.database.write() as tx:
            now = ports.clock()
            person = accounts.create_account(
                tx,
                tenant,
                _own_name(form.name.data or ""),
                password_hash=hashed,
                now=now,
                language=locale(),
                time_zone=wanted if language.known_zone(wanted) else settings.time_zone,
            )
            _welcome(tx, tenant, person, now)
            accounts.record_login(tx, person, now)
            access.sign_in(tx, person, shared=False)
    except Refused as error:
        form.name.errors = [_why_not(error)]
        return page("register.html", form=form), 400
    flash("welcome")
    return redirect(url_for("mailbox.inbox"), 303)


@blueprint.route("/user/login", methods=["GET", "POST"])
def login() -> str | Response | tuple[str, int]:
    """Name or address, and password."""
    ports, settings = parts().ports, parts().settings
    back = access.own_path(request.values.get("next"))
    if request.method == "GET":
        if access.signed_in() is not None:
            return redirect(back or url_for("mailbox.inbox"), 303)
        return page("login.html", form=SignInForm(), back=back)
    form = submitted(SignInForm)
    if not form.validate():
        return page("login.html", form=form, back=back), 400
    typed, password = form.name.data or "", form.password.data or ""
    limits.count(settings.sign_in_tries_per_place, "sign-in-place", request.remote_addr)
    with ports.database.read() as tx:
        meant = parts().tenants.tenant_for_login(tx, typed)
    limits.count(settings.sign_in_tries, "sign-in", *(meant or (0, typed.strip().casefold()[:100])))
    with ports.database.read() as tx:
        person = accounts.find_account(tx, *meant) if meant is not None else None
        known = accounts.password_hash(tx, person) if person is not None else None
    right = passwords.check_password(password, known)  # somebody unknown takes as long as somebody known
    if person is None or known is None or not right:
        form.password.errors = [gettext("That is not right. Look at both, the name and the password, and try again.")]
        return page("login.html", form=form, back=back), 403
    if person.suspended:
        form.name.errors = [gettext("You cannot sign in at the moment. Ask the people who look after the box.")]
        return page("login.html", form=form, back=back), 403
    renewed = (
        passwords.hash_password(password, settings.bcrypt_cost)
        if passwords.needs_rehash(known, settings.bcrypt_cost)
        else None
    )
    with ports.database.write() as tx:
        now = ports.clock()
        if renewed is not None:
            accounts.rehash_password(tx, person, renewed)
        accounts.record_login(tx, person, now)
        access.sign_in(tx, person, shared=bool(form.shared.data))
    return redirect(back or url_for("mailbox.inbox"), 303)


@blueprint.post("/user/logout")
def logout() -> Response:
    """Leave: the session ends here and on the server."""
    chosen = locale()
    with parts().ports.database.write() as tx:
        access.sign_out(tx)
    session["language"] = chosen
    flash("signed-out")
    return redirect(url_for("account.login"), 303)


@blueprint.post("/user/language/<code>", endpoint="language")
def choose_language(code: str) -> Response:
    """Show the pages in another language, now and next time."""
    if code not in language.OFFERED:
        abort(404)
    person = access.signed_in()
    if person is not None:
        with parts().ports.database.write() as tx:
            accounts.set_language(tx, person, code)
    session["language"] = code
    return redirect(access.own_path(request.form.get("back")) or url_for("home.home"), 303)


@blueprint.route("/user/password/change", methods=["GET", "POST"])
def password() -> str | Response | tuple[str, int]:
    """A new password; every other session of this person ends."""
    ports, settings, person = parts().ports, parts().settings, access.account()
    if not settings.password_change and not person.must_change_password:
        abort(404)
    if request.method == "GET":
        with ports.database.read() as tx:
            return page("password.html", tx, place="more", form=NewPasswordForm())
    form = submitted(NewPasswordForm)
    limits.count(settings.sign_in_tries, "password", person.no)
    with ports.database.read() as tx:
        known = accounts.password_hash(tx, person)
    if form.validate() and not passwords.check_password(form.old.data or "", known or ""):
        form.old.errors = [gettext("That is not the password you have had until now.")]
    if form.errors or form.old.errors:
        with ports.database.read() as tx:
            return page("password.html", tx, place="more", form=form), 400
    hashed = passwords.hash_password(form.new.data or "", settings.bcrypt_cost)
    with ports.database.write() as tx:
        accounts.set_password(tx, person, hashed)  # ends every session of this person
        shared = "shared" in session
        access.sign_in(tx, person, shared=shared)
    flash("password-changed")
    return redirect(url_for("mailbox.inbox"), 303)


def _own_name(text: str) -> str:
    """The name, also when somebody typed their whole future address."""
    name, _at, domain = text.strip().partition("@")
    return name if domain.lower() in ("", parts().tenants.domain) else text.strip()


def _why_not(error: Refused) -> str:
    if error.code == "taken":
        return gettext(
            "Somebody here has this name already. Choose another one, for example with a second name or a number."
        )
    if error.code == "reserved":
        return gettext("This name is kept for Lokole itself. Choose another one.")
    return gettext(
        "A name has letters without accents, digits, dots and dashes only, and begins with a letter or digit."
    )


def _welcome(tx: Connection, tenant: TenantNo, person: Account, now: datetime) -> None:
    """The first letter that somebody finds."""
    settings = parts().settings
    with force_locale(person.language):
        email = Email(
            sender=Contact(settings.welcome_from, "Lokole"),
            to=(Contact(str(person.address)),),
            subject=gettext("Welcome to Lokole"),
            body=page("welcome_letter.html", address=str(person.address)),
            sent_at=now,
        )
    id_ = identity.next_email_id(tx, parts().ports.origin)
    letters.store_email(tx, tenant, email, id=id_, received_at=now, deliver_to=[person.no])
