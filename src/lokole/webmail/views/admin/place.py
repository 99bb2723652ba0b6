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
    problem, where = keep_place(person)
    if problem:
        with ports.database.read() as tx:
            return place_page(tx, problem, where), 400
    flash("saved")
    return redirect(url_for("admin.place"), 303)


def keep_place(person: Account) -> tuple[str, str]:
    """Keep what the form says; returns what is wrong and where, two empty texts when it is kept."""
    form = request.form
    chosen = tuple(code for code in language.complete() if code in form.getlist("languages"))
    if not chosen:
        return gettext("At least one language, please."), "languages"
    usual = form.get("language", "")
    if usual not in chosen:
        return gettext(
            "This language is not among those that are ticked. Tick it too, or choose another one."
        ), "language"
    wanted = Site(
        place=" ".join(form.get("place", "").split())[: sites.MAX_PLACE],
        contact=form.get("contact", "").replace("\r\n", "\n").strip()[: sites.MAX_CONTACT],
        languages=() if len(chosen) == len(language.complete()) else chosen,
        language=usual,
    )
    with parts().ports.database.write() as tx:
        sites.set_site(tx, person.tenant, wanted)
        note(tx, "place", detail=f"{wanted.place}: {', '.join(chosen)}")
    sites.changed()
    return "", ""


def place_shown() -> dict[str, list[str]]:
    """What the form shows, as it comes back when nobody has touched it; whoever reads it is proposed as the usual reader."""
    known = sites.site()
    return {
        "place": [known.place],
        "contact": [known.contact],
        "languages": list(language.offered()),
        "language": [known.language or locale()],
    }


def place_page(tx: Connection, problem: str = "", where: str = "", **more: object) -> str:
    """The form, alone or as a step of setting up."""
    shown, typed = place_shown(), request.form
    if typed:
        shown = {name: typed.getlist(name) or ([] if name == "languages" else [""]) for name in shown}
    return page(
        "admin_place.html",
        tx,
        place="more",
        named=shown["place"][0],
        contact=shown["contact"][0],
        chosen=shown["languages"],
        usual=shown["language"][0],
        every=language.complete(),
        problem=problem,
        where=where,
        **more,
    )
