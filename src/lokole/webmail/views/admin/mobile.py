"""The list of mobile networks for programs, under the paths and in the shape of the first Lokole.

``{"countries": […]}``, ``{"providers": […]}``, ``{"apns": […]}``, ``{"config": "…"}``; what is not there is a 404 with ``{"error": "…"}``.
"""

from __future__ import annotations

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from lokole.mail.access_point import MODEM, PROFILE, wvdial_config
from lokole.mail.errors import Refused
from lokole.webmail.views.admin.desk import blueprint
from lokole.webmail.views.admin.modem import known_networks

_NO_LIST = "no list of mobile networks is here: install mobile-broadband-provider-info"


@blueprint.get("/api/mkwvconf/")
def mobile_countries() -> ResponseReturnValue:
    """Codes of countries."""
    codes = known_networks().countries()
    return jsonify(countries=codes) if codes else (jsonify(error=_NO_LIST), 404)


@blueprint.get("/api/mkwvconf/<country>")
def mobile_providers(country: str) -> ResponseReturnValue:
    """Names of networks of a country."""
    known = known_networks()
    if country not in known.countries():
        return jsonify(error="no such country"), 404
    return jsonify(providers=known.networks(country))


@blueprint.get("/api/mkwvconf/<country>/<path:provider>")
@blueprint.get("/api/mkwvconf/<country>/<path:provider>/<apn>")
def mobile_apns(country: str, provider: str, apn: str = "") -> ResponseReturnValue:
    """Access points of a network, or the dial configuration for one of them.

    Some networks have a slash in their name, so that only the list says where a name ends.
    """
    known, whole = known_networks(), f"{provider}/{apn}" if apn else provider
    if points := known.access_points(country, whole):
        return jsonify(apns=list(dict.fromkeys(point.apn for point in points)))
    network, _slash, wanted = whole.rpartition("/")
    for point in known.access_points(country, network):
        if point.apn == wanted:
            modem, profile = request.args.get("modemDevice", MODEM), request.args.get("profileName", PROFILE)
            try:
                return jsonify(config=wvdial_config(point, modem=modem, profile=profile))
            except Refused as error:
                return jsonify(error=str(error)), 400
    return jsonify(error="no such network or access point"), 404
