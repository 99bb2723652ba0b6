"""How a modem with a SIM card gets into the internet: chosen from a list in three steps, or typed."""

from __future__ import annotations

from dataclasses import replace

from flask import abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.access_point import AccessPoint, nmcli_line, wvdial_config
from lokole.mail.errors import Refused
from lokole.mailbox.access_point import get_access_point, set_access_point
from lokole.ports.mobile_networks import MobileNetworks
from lokole.webmail import access, countries
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.words import gettext

_MAX_QUERY, _MAX_TEXT = 60, 120


def known_networks() -> MobileNetworks:
    """The list; 404 where no modem is looked after."""
    return parts().ports.mobile_networks or abort(404)


@blueprint.route("/admin/modem", methods=["GET", "POST"])
def modem() -> str | Response | tuple[str, int]:
    """What is chosen, as wvdial and NetworkManager want it, and the form to type it."""
    known_networks()
    if request.method == "GET":
        return _modem_page({})
    try:
        wanted = _typed()
    except Refused as error:
        return _modem_page({error.field or "apn": _why_not(error)}), 400
    _keep(wanted)
    return redirect(url_for("admin.modem"), 303)


@blueprint.get("/admin/modem/countries")
def modem_countries() -> str:
    """The countries of the list, as many as fit on a page, or those that are searched for."""
    query = " ".join(request.args.get("query", "")[:_MAX_QUERY].split())
    start, size = max(0, request.args.get("start", type=row_number) or 0), parts().settings.rows_per_page
    all_found = countries.found(known_networks().countries(), query)
    shown = all_found[start : start + size]

    def beside(at: int) -> str:
        return url_for("admin.modem_countries", query=query or None, start=at)

    with parts().ports.database.read() as tx:
        return page(
            "admin_modem_countries.html",
            tx,
            place="more",
            shown=shown,
            query=query,
            range_line=gettext(
                "%(first)s–%(last)s of %(total)s", first=start + 1, last=start + len(shown), total=len(all_found)
            ),
            before=beside(max(0, start - size)) if start else None,
            after=beside(start + size) if start + size < len(all_found) else None,
        )


@blueprint.get("/admin/modem/countries/<country>")
def modem_networks(country: str) -> str:
    """The networks of one country."""
    known = known_networks()
    if country not in known.countries():
        abort(404)
    with parts().ports.database.read() as tx:
        return page(
            "admin_modem_networks.html",
            tx,
            place="more",
            country=country,
            named=countries.name_of(country),
            networks=sorted(known.networks(country), key=str.casefold),
        )


@blueprint.route("/admin/modem/countries/<country>/<path:network>", methods=["GET", "POST"])
def modem_points(country: str, network: str) -> str | Response:
    """The access points of one network; a POST chooses one by its number there and its name."""
    points = known_networks().access_points(country, network) or abort(404)
    if request.method == "POST":
        n = request.form.get("n", type=row_number)
        if n is None or not 0 <= n < len(points) or points[n].apn != request.form.get("apn"):
            abort(404)  # the list is another one since the page was made
        _keep(points[n])
        return redirect(url_for("admin.modem"), 303)
    with parts().ports.database.read() as tx:
        return page(
            "admin_modem_points.html",
            tx,
            place="more",
            country=country,
            network=network,
            named=countries.name_of(country),
            points=points,
        )


def _typed() -> AccessPoint | None:
    """What the form says, None for an empty one; whose it is stays known while the access point is the same. Raises Refused."""
    apn, username, password = (
        request.form.get(name, "").strip()[:_MAX_TEXT] for name in ("apn", "username", "password")
    )
    if not (apn or username or password):
        return None
    with parts().ports.database.read() as tx:
        before = get_access_point(tx, access.account().tenant)
    if before is not None and before.apn == apn:
        return replace(before, username=username, password=password)
    return AccessPoint(apn, username, password)


def _keep(wanted: AccessPoint | None) -> None:
    with parts().ports.database.write() as tx:
        set_access_point(tx, access.account().tenant, wanted)
        note(tx, "modem", detail=wanted.apn if wanted is not None else "")
    flash("saved")


def _why_not(error: Refused) -> str:
    if error.field == "apn":
        return gettext("An access point has letters, digits, dots and dashes, such as internet.")
    return gettext("Letters without accents, digits and signs, 64 at most.")


def _modem_page(wrong: dict[str, str]) -> str:
    known, form = known_networks(), request.form
    with parts().ports.database.read() as tx:
        chosen = get_access_point(tx, access.account().tenant)
        fields = {name: form.get(name, getattr(chosen, name, "")) for name in ("apn", "username", "password")}
        return page(
            "admin_modem.html",
            tx,
            place="more",
            chosen=chosen,
            whose=", ".join(one for one in (chosen.network, countries.name_of(chosen.country)) if one)
            if chosen is not None and chosen.country
            else "",
            has_list=bool(known.countries()),
            wvdial=wvdial_config(chosen) if chosen is not None else "",
            nmcli=nmcli_line(chosen) if chosen is not None else "",
            wrong=wrong,
            **fields,
        )
