"""What the organisation says of its place, and the languages of the pages."""

from __future__ import annotations

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.model import Account
from lokole.mailbox.database import Connection
from lokole.webmail import access, language
from lokole.webmail import site as sites
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.site import Site
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.words import gettext, locale


@blueprint.route("/admin/place", methods=["GET", "POST"])
def place() -> str | Response | tuple[str, int]:
    """Name, whom to ask, languages."""
    person, ports = access.account(), parts().ports
    if request.method == "GET":
        with ports.database.read() as tx:
            return place_page(tx)
    problem = keep_place(person)
    if problem:
        with ports.database.read() as tx:
            return place_page(tx, problem), 400
    flash("saved")
    return redirect(url_for("admin.place"), 303)


def keep_place(person: Account) -> str:
    """Keep what the form says; returns what is wrong, an empty text when it is kept."""
    form = request.form
    chosen = tuple(code for code in language.complete() if code in form.getlist("languages"))
    if not chosen:
        return gettext("At least one language, please.")
    usual = form.get("language", "")
    wanted = Site(
        place=" ".join(form.get("place", "").split())[: sites.MAX_PLACE],
        contact=form.get("contact", "").replace("\r\n", "\n").strip()[: sites.MAX_CONTACT],
        languages=() if len(chosen) == len(language.complete()) else chosen,
        language=usual if usual in chosen else chosen[0],
    )
    with parts().ports.database.write() as tx:
        sites.set_site(tx, person.tenant, wanted)
        note(tx, "place", detail=f"{wanted.place}: {', '.join(chosen)}")
    sites.changed()
    return ""


def place_page(tx: Connection, problem: str = "", **more: object) -> str:
    """The form, alone or as a step of setting up."""
    known, typed = sites.site(), request.form
    return page(
        "admin_place.html",
        tx,
        place="more",
        named=typed.get("place", known.place),
        contact=typed.get("contact", known.contact),
        chosen=typed.getlist("languages") if typed else list(language.offered()),
        usual=typed.get("language", known.language or (locale() if more else parts().settings.default_language)),
        every=language.complete(),
        problem=problem,
        **more,
    )
