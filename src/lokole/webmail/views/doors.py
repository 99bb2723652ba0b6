"""For the people who look after the box: who may sign up, when shared telephones forget, and the first letter."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mailbox import audit
from lokole.mailbox.options import set_option
from lokole.webmail import access, house, language
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext

blueprint = Blueprint("doors", __name__)


@blueprint.route("/admin/doors", methods=["GET", "POST"])
def show() -> str | Response | tuple[str, int]:
    """All of it on one page."""
    person, ports = access.account(), parts().ports
    if request.method == "GET":
        return _page()
    text = request.form.get("minutes", "").strip()
    if not text.isascii() or not text.isdecimal() or not house.MIN_SHARED <= int(text[:6]) <= house.MAX_SHARED:
        return _page(
            gettext("Write minutes from %(low)s to %(high)s.", low=house.MIN_SHARED, high=house.MAX_SHARED)
        ), 400
    with ports.database.write() as tx:
        set_option(tx, person.tenant, house.SHARED_MINUTES, int(text))
        set_option(tx, person.tenant, house.SIGN_UP, "sign_up" in request.form)
        for code in language.offered():
            subject, words = request.form.get(f"subject-{code}", ""), request.form.get(f"text-{code}", "")
            house.set_welcome(tx, person.tenant, code, subject, words)
        audit.note_act(tx, person, "doors", ports.clock(), detail=f"minutes={int(text)}")
    flash("saved")
    return redirect(url_for("doors.show"), 303)


def _page(problem: str = "") -> str:
    person, typed = access.account(), request.form
    sign_up = ("sign_up" in typed) if typed else house.may_sign_up()
    with parts().ports.database.read() as tx:
        kept = {code: house.welcome_text(tx, person.tenant, code) or ("", "") for code in language.offered()}
        return page(
            "doors.html",
            tx,
            place="more",
            sign_up=sign_up,
            minutes=typed.get("minutes", "")[:6] if typed else house.shared_minutes(tx, person.tenant),
            letters=[
                (
                    code,
                    language.offered()[code],
                    typed.get(f"subject-{code}", subject),
                    typed.get(f"text-{code}", text),
                )
                for code, (subject, text) in kept.items()
            ],
            problem=problem,
        )
