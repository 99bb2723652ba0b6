"""A one-time password for somebody who forgot theirs, for the hands of one person.

It stands on one answer to one form, covered until it is uncovered: in no address, message, cookie or log,
and not in the browser's memory. Loading the answer again makes another one, which makes the first worthless.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for
from flask_babel import force_locale
from markupsafe import Markup

from lokole.mail.model import Account, AccountNo
from lokole.mailbox import accounts, audit, passwords, slips
from lokole.mailbox.database import Connection
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts

blueprint = Blueprint("slip", __name__)


@blueprint.route("/admin/people/<int:no>/password", methods=["GET", "POST"])
def make(no: int) -> str | Response:
    """Asks first; then older ways in and sessions of the person end."""
    ports = parts().ports
    if request.method == "GET":
        with ports.database.read() as tx:
            return page("slip_ask.html", tx, place="more", person=_other(tx, no))
    secret = slips.one_time_password(ports.entropy)
    hashed = passwords.hash_password(secret, parts().settings.bcrypt_cost)
    with ports.database.write() as tx:
        person = _other(tx, no)
        slips.issue_slip(tx, person, hashed)
        audit.note_act(tx, access.account(), "slip", ports.clock(), subject=person.name)
    with ports.database.read() as tx:
        answer = make_response(slip_page(tx, person, secret, makes_another=True))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def slip_page(tx: Connection, person: Account, secret: str, *, makes_another: bool = False) -> str:
    """The answer with the slip: around it the language of whoever asks, on it that of whoever gets it.

    ``makes_another``: whether loading the answer again makes another slip, which the page then says.
    """
    paper = slip_paper(person, secret)
    return page("slip.html", tx, place="more", person=person, paper=paper, makes_another=makes_another)


def slip_paper(person: Account, secret: str) -> Markup:
    """The slip itself, in the language of whoever gets it."""
    with force_locale(person.language):
        paper = render_template(
            "slip_paper.html",
            person=person,
            slip=secret,
            days=slips.VALID_DAYS,
            address=url_for("account.login", _external=True),
        )
    return Markup(paper)  # noqa: S704 # a template of ours


def _other(tx: Connection, no: int) -> Account:
    found = accounts.get_account(tx, access.account().tenant, AccountNo(no))
    if found.no == access.account().no:
        abort(403)
    return found
