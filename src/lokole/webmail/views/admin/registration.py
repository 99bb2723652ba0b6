"""The box gets its place at a server with a code that is typed once."""

from __future__ import annotations

import logging
from dataclasses import replace

from flask import abort, current_app, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import BadPackage, LokoleError, NotFound, Refused
from lokole.mailbox.database import Connection
from lokole.mailbox.tenants import get_tenant
from lokole.webmail import access
from lokole.webmail.language import long_when
from lokole.webmail.pages import page
from lokole.webmail.parts import OneTenant, Parts, parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.words import gettext

log = logging.getLogger(__name__)
_MAX_CODE, _MAX_ADDRESS = 100, 300


@blueprint.route("/admin/registration", methods=["GET", "POST"])
def registration() -> str | Response | tuple[str, int]:
    """The code, and the server's address where the box does not know it."""
    ports = parts().ports
    if ports.register is None:
        abort(404)
    if request.method == "GET":
        with ports.database.read() as tx:
            return registration_page(tx)
    problem, status, where = claim()
    if problem:
        with ports.database.read() as tx:
            return registration_page(tx, problem, where), status
    flash("registered")
    return redirect(url_for("admin.registration"), 303)


def claim() -> tuple[str, int, str]:
    """Claim with the code of the form; returns what went wrong, its status and its field, an empty text when the box is registered.

    From then on the pages know the box by its new domain.
    """
    ports, tenants = parts().ports, parts().tenants
    assert ports.register is not None
    person = access.account()
    code = "".join(request.form.get("code", "").split())[:_MAX_CODE]
    if not code:
        return gettext("Type the code that you were given."), 400, "code"
    server = request.form.get("server", "").strip()[:_MAX_ADDRESS]
    if server and "://" not in server:
        server = f"https://{server}"
    try:
        device_id, domain = ports.register(code, server or None)
    except (LokoleError, ValueError) as error:
        log.warning("the box was not registered: %s", error)
        return _why_not(error)
    with ports.database.write() as tx:
        note(tx, "registered", domain)
    assert tenants.here is not None
    current_app.extensions["lokole"] = Parts(
        replace(ports, origin=device_id), parts().settings, OneTenant(person.tenant, domain)
    )
    return "", 200, ""


def registration_page(tx: Connection, problem: str = "", where: str = "", **more: object) -> str:
    """The form, alone or as a step of setting up; for a box that is registered, its place.

    ``where`` is the field that the ``problem`` is in, code or server; a server that nobody typed is in none.
    """
    person, ports = access.account(), parts().ports
    row = get_tenant(tx, person.tenant)
    server = ports.server_url() if ports.server_url is not None else None
    return page(
        "admin_registration.html",
        tx,
        place="more",
        registered=row.state == "claimed",
        at_domain=row.domain,
        server=server,
        code=request.form.get("code", ""),
        typed_server=request.form.get("server", ""),
        problem=problem,
        where="" if where == "server" and server else where,
        **more,
    )


def _why_not(error: Exception) -> tuple[str, int, str]:
    if isinstance(error, Refused | NotFound):
        return _refused(error.code if isinstance(error, Refused) else "not-found")
    if isinstance(error, BadPackage):
        return gettext("There is no Lokole server at this address. Look at it letter by letter."), 400, "server"
    said = str(error)
    if "certificate" in said and "time" in said:
        sentence = gettext(
            "The clock of the box may be wrong: it says %(now)s. So the server could not be trusted. Set the clock, then try again.",
            now=long_when(parts().ports.clock()),
        )
        return sentence, 503, ""
    if "certificate" in said:
        return gettext("Another machine answers at this address. Look at it letter by letter."), 400, "server"
    sentence = gettext("The server could not be reached. Look whether the box has internet now, then try again.")
    return sentence, 503, "server"


def _refused(code: str) -> tuple[str, int, str]:
    match code:
        case "registered":
            return gettext("This box is registered already."), 409, ""
        case "server" | "url":
            return gettext("Type the address of the server, which begins with https://."), 400, "server"
        case "key":
            sentence = gettext(
                "The server knows this box under another name already. Ask the people who look after it."
            )
            return sentence, 409, ""
        case "not-found":
            sentence = gettext(
                "The server does not know this code, or another box has used it. Look at it letter by letter, or ask for a new one."
            )
            return sentence, 400, "code"
    return gettext("The server did not take this code. Ask for a new one."), 400, "code"
