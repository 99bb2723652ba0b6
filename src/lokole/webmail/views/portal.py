"""The page on a telephone: installed, out of reach of the box, and at the moment when it joins the box's Wi-Fi.

A telephone asks a fixed address of its maker whether there is internet. Where the box's Wi-Fi answers for every name, that question
comes here, and the answer is a page that says where the letters are. Nothing is redirected and no other address is touched.
"""

from __future__ import annotations

import hashlib
import json
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, make_response, request, url_for

from lokole.webmail.assets import loaded
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext, locale

blueprint = Blueprint("portal", __name__)

#: what Android, Apple, Windows, Firefox, Ubuntu, GNOME and Kindle ask
PROBES = (
    "generate_204",
    "gen_204",
    "hotspot-detect.html",
    "library/test/success.html",
    "connecttest.txt",
    "ncsi.txt",
    "redirect",
    "success.txt",
    "canonical.html",
    "check_network_status.txt",
    "kindle-wifi/wifistub.html",
)


@blueprint.get("/manifest.webmanifest")
def manifest() -> Response:
    """What a telephone needs to keep these pages among its programs."""
    files = loaded()
    icon = url_for("home.asset", digest=files["icon.png"].digest, name="icon.png")
    told = {
        "name": gettext("Lokole letters"),
        "short_name": "Lokole",
        "id": url_for("home.home"),
        "start_url": url_for("mailbox.inbox"),
        "scope": url_for("home.home"),
        "lang": locale(),
        "display": "minimal-ui",
        "background_color": "#45230f",
        "theme_color": "#45230f",
        "icons": [
            {"src": icon, "sizes": "192x192", "type": "image/png", "purpose": purpose}
            for purpose in ("any", "maskable")
        ],
    }
    return Response(json.dumps(told), mimetype="application/manifest+json")


@blueprint.get("/worker.js")
def worker() -> Response:
    """What shows the pages seen last when the box is out of reach; it lives in the browser, below the root of these pages."""
    files = loaded()
    told = {
        "root": url_for("home.home"),
        "login": url_for("account.login"),
        "leave": [url_for("account.logout"), url_for("profile.leave")],
        "offline": url_for("portal.offline"),
        "assets": [
            url_for("home.asset", digest=files[name].digest, name=name)
            for name in ("style.css", "i.svg", "favicon.png")
        ],
        "seen": gettext("The box is out of reach. You see this page as it was on %(when)s.", when="{when}"),
    }
    script = f"self.LOKOLE = {json.dumps(told)};\n".encode() + files["worker.js"].content
    answer = Response(script, content_type="text/javascript; charset=utf-8")
    answer.headers["Cache-Control"] = "no-cache"
    # browsers ask at each page whether it is still the same
    answer.set_etag(hashlib.sha256(script).hexdigest()[:16])
    answer.make_conditional(request)
    return answer


@blueprint.get("/offline")
def offline() -> str:
    """Shown when the box is out of reach and the page was not seen before; it says nothing about anybody."""
    return page("offline.html", me=None)


def probe() -> Response:
    """Where to go, for a telephone that asks somebody else's address whether there is internet."""
    address = parts().settings.address
    if not address or not _is_foreign(address):
        abort(404)
    answer = make_response(page("portal.html", address=address, me=None))
    answer.headers["Cache-Control"] = "no-store"
    return answer


for _path in PROBES:
    blueprint.add_url_rule(f"/{_path}", "probe", probe)


def _is_foreign(address: str) -> bool:
    """Whether the request names another host than the box's own."""
    asked = urlsplit(f"//{request.host}").hostname or ""
    own = urlsplit(address).hostname
    numeric = asked.replace(".", "").isdecimal() or ":" in asked
    return not numeric and asked not in (own, "localhost")
