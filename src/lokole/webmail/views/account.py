"""Coming in and leaving; the language; the people of the box.

Somebody comes in with a password, a PIN, pictures or a slip. Nothing on the way says which of them a name has,
or whether anybody has the name: every answer is made from what was typed alone, and takes as long.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, request, session, url_for
from werkzeug.wrappers import Response

from lokole.mail.model import Account
from lokole.mailbox import accounts, days, passwords, seen, slips, ways
from lokole.mailbox.database import Connection
from lokole.webmail import access, guessing, house, language
from lokole.webmail.forms import SignInForm, submitted
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.pictures import picture_words
from lokole.webmail.words import gettext, ngettext

blueprint = Blueprint("account", __name__)

#: a way in that a name may have, and what was typed for it
Tried = dict[str, str]


@dataclass(frozen=True, slots=True)
class Guess:
    """What came of one guess: who came in and how, or nobody; ``left`` is how many may follow at once."""

    meant: guessing.Meant
    left: int
    person: Account | None = None
    way: str = ""


@blueprint.route("/user/login", methods=["GET", "POST"])
def login() -> str | Response | tuple[str, int]:
    """Name or address, and password, PIN or slip; or the way to the pictures."""
    back = access.own_path(request.values.get("next"))
    here = access.signed_in()
    if request.method == "GET":
        if here is not None and "again" not in request.args:
            return redirect(back or url_for("mailbox.inbox"), 303)
        form = SignInForm()
        form.name.data, form.own.data = (here.name, access.own_telephone()) if here is not None else ("", False)
        return _login_page(form, back)
    form = submitted(SignInForm)
    if request.form.get("way") == ways.PICTURES_WAY:
        if form.name.validate(form):
            return _pictures_page([], form, back)
        return _login_page(form, back), 400
    if not form.validate():
        return _login_page(form, back), 400
    typed = form.password.data or ""
    tried = {ways.PASSWORD: typed}
    if ways.is_pin(typed):
        tried[ways.PIN] = typed.strip()
    if len(slips.as_typed(typed)) == len("xxxx-xxxx-xxxx"):
        tried[slips.SLIP] = slips.as_typed(typed)
    guess = _guess(form.name.data or "", tried)
    if guess.person is None:
        form.password.errors = [
            gettext("That is not right. Look at the name, then write the password again: it is not kept."),
            _tries_left(guess),
        ]
        return _login_page(form, back), 403
    if guess.person.suspended:
        form.name.errors = [_suspended()]
        return _login_page(form, back), 403
    return _come_in(guess, typed, form, back)


@blueprint.post("/user/login/pictures")
def pictures() -> str | Response | tuple[str, int]:
    """One more picture was touched, or the sequence is whole."""
    form = submitted(SignInForm)
    back = access.own_path(request.form.get("next"))
    if not form.name.validate(form):
        return _login_page(form, back), 400
    touched = ways.known_pictures([*request.form.get("so_far", "").split(), request.form.get("p", "")])
    match request.form.get("do"):
        case "again":
            return _pictures_page([], form, back)
        case "enter" if len(touched) >= ways.MIN_PICTURES:
            guess = _guess(form.name.data or "", {ways.PICTURES_WAY: " ".join(touched)})
            if guess.person is None:
                problem = gettext("That is not right. Begin again with the first picture.") + " " + _tries_left(guess)
                return _pictures_page([], form, back, problem), 403
            if guess.person.suspended:
                return _pictures_page([], form, back, _suspended()), 403
            return _come_in(guess, "", form, back)
    return _pictures_page(touched, form, back)


@blueprint.post("/user/logout")
def logout() -> Response:
    """Leave: the session ends here and on the server, and the browser forgets what it kept of these pages."""
    access.sign_out()
    flash("signed-out")
    return access.left(redirect(url_for("account.login"), 303))


@blueprint.post("/user/language/<code>", endpoint="language")
def choose_language(code: str) -> Response:
    """Show the pages in another language, now and next time."""
    if code not in language.offered():
        abort(404)
    person = access.signed_in()
    if person is not None:
        with parts().ports.database.write() as tx:
            accounts.set_language(tx, person, code)
    else:
        session["touched_language"] = True
    session["language"] = code
    return redirect(access.own_path(request.form.get("back")) or url_for("home.home"), 303)


def come_in_first_time(tx: Connection, person: Account, *, own: bool, way: str) -> None:
    """Somebody has just made themselves an address."""
    now = parts().ports.clock()
    days.note_day(tx, person.tenant, language.now().date())
    accounts.record_login(tx, person, now)
    access.sign_in(tx, person, own=own, way=way)
    if own:
        guessing.remember_telephone((person.tenant, person.name))


def form_here(*typed: str) -> str:
    """Under which key ``seen`` knows a form that let somebody in: it was typed in this browser, before it had a session.

    So a button that is pressed twice, or whose answer is lost on the way, lets in the second time, too; a copy elsewhere does not.
    """
    return "came-in:" + hashlib.sha256("\n".join((session.get("csrf_token", ""), *typed)).encode()).hexdigest()


def _guess(name: str, tried: Tried) -> Guess:
    """Who comes in with what was typed; somebody unknown, or without that way, takes as long as somebody who mistyped."""
    ports = parts().ports
    with ports.database.read() as tx:
        found = parts().tenants.tenant_for_login(tx, name)
    meant = found or (0, name.strip().casefold()[:100])
    left = guessing.count_guess(meant)
    with ports.database.read() as tx:
        person = accounts.find_account(tx, *found) if found is not None else None
        known = dict(ways.hashes(tx, person)) if person is not None else {}
        slip = slips.slip_hash(tx, person) if person is not None else None
    if slip is not None:
        known[slips.SLIP] = slip
    cost = parts().settings.bcrypt_cost
    right = [way for way, typed in tried.items() if passwords.check_password(typed, known.get(way), cost)]
    if not right and person is not None and person.must_change_password and _slip_was_used_here(person, tried):
        right = [slips.SLIP]
    if person is None or not right:
        guessing.note_wrong(meant)
        return Guess(meant, left)
    return Guess(meant, left, person, right[0])


def _slip_was_used_here(person: Account, tried: Tried) -> bool:
    with parts().ports.database.read() as tx:
        return seen.was_seen(tx, person.tenant, "form", form_here(person.name, tried.get(slips.SLIP, "")))


def _come_in(guess: Guess, typed: str, form: SignInForm, back: str | None) -> str | Response | tuple[str, int]:
    ports, settings, person = parts().ports, parts().settings, guess.person
    assert person is not None
    own = bool(form.own.data)
    renewed = None
    with ports.database.read() as tx:
        known = accounts.password_hash(tx, person)
    if guess.way == ways.PASSWORD and known is not None and passwords.needs_rehash(known, settings.bcrypt_cost):
        renewed = passwords.hash_password(typed, settings.bcrypt_cost)
    with ports.database.write() as tx:
        if guess.way == slips.SLIP:
            here = form_here(person.name, slips.as_typed(typed))
            if not slips.use_slip(tx, person) and not seen.was_seen(tx, person.tenant, "form", here):
                abort(401)
            seen.remember(tx, person.tenant, "form", here, ports.clock())
        if renewed is not None:
            accounts.rehash_password(tx, person, renewed)
        days.note_day(tx, person.tenant, language.now().date())
        guessing.was_right(tx, guess.meant)
        wrong = guessing.take_wrong(tx, guess.meant)
        wished = language.of_the_door(person)
        if wished is not None:
            accounts.set_language(tx, person, wished)
        access.sign_in(tx, person, own=own, way=guess.way, wrong_tries=wrong)
        accounts.record_login(tx, person, ports.clock())
    if own:
        guessing.remember_telephone(guess.meant)
    if wrong >= guessing.WORTH_TELLING:
        flash("wrong-tries")
    return redirect(back or url_for("mailbox.inbox"), 303)


def _login_page(form: SignInForm, back: str | None) -> str:
    return page("login.html", form=form, back=back, minutes=_minutes(), may_sign_up=house.may_sign_up())


def _pictures_page(touched: list[str], form: SignInForm, back: str | None, problem: str = "") -> str:
    return page("pictures.html", touched=touched, form=form, back=back, problem=problem, pictures=picture_words())


def _tries_left(guess: Guess) -> str:
    if not guess.left:
        return gettext("Wait a minute before you try again.")
    return ngettext("%(num)s try left.", "%(num)s tries left.", guess.left)


def _suspended() -> str:
    return gettext("You cannot sign in at the moment. Ask the people who look after the box.")


def _minutes() -> int:
    tenant = parts().tenants.here
    if tenant is None:
        return parts().settings.shared_minutes
    with parts().ports.database.read() as tx:
        return house.shared_minutes(tx, tenant)
