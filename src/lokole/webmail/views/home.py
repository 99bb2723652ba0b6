"""The start page, what Lokole is, the page "More", and the files that pages are made of."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from lokole.mailbox import standing
from lokole.mailbox.allowances import is_unpaid
from lokole.webmail import headers, house
from lokole.webmail.access import account, signed_in
from lokole.webmail.assets import Asset, loaded
from lokole.webmail.pages import page
from lokole.webmail.parts import parts

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@blueprint.get("/home")
def home() -> str:
    """What this is, and the way in."""
    if signed_in() is None:
        return page("home.html", may_sign_up=house.may_sign_up())
    with parts().ports.database.read() as tx:
        return page("home.html", tx)


@blueprint.get("/about")
def about() -> str:
    """What Lokole is, how it works, and who can read what."""
    if signed_in() is None:
        return page("about.html")
    with parts().ports.database.read() as tx:
        return page("about.html", tx, place="more")


@blueprint.get("/who")
def who_reads() -> str:
    """Who can read what, said as it is."""
    if signed_in() is None:
        return page("who.html", on_box=parts().tenants.here is not None)
    with parts().ports.database.read() as tx:
        return page("who.html", tx, place="more", on_box=parts().tenants.here is not None)


@blueprint.get("/more")
def more() -> str:
    """Everything that has no place in the menu."""
    person = account()
    with parts().ports.database.read() as tx:
        mine = standing.get_standing(tx, person)
        used = standing.used_bytes(tx, person) if mine.quota_bytes is not None else 0
        unpaid = is_unpaid(mine, parts().ports.clock())
        return page("more.html", tx, place="more", person=person, mine=mine, used=used, unpaid=unpaid)


@blueprint.get("/healthcheck/ping")
def ping() -> Response:
    """For whoever watches that the pages are there; any site may ask."""
    answer = Response("OK", mimetype="text/plain")
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    """Where browsers look without being told."""
    return _send(loaded()["favicon.png"])


@blueprint.get("/s/<digest>/<name>")
def asset(digest: str, name: str) -> Response:
    """One file, kept by the browser for ever; an old digest gets the file of today, but not for ever."""
    found = loaded().get(name)
    if found is None:
        abort(404)
    answer = _send(found)
    if digest == found.digest:
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return answer


def _send(file: Asset) -> Response:
    small = file.gzipped if headers.takes_gzip(request) else None
    answer = Response(small or file.content, content_type=file.type)
    if file.gzipped is not None:
        answer.vary.add("Accept-Encoding")
    if small is not None:
        answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Cache-Control"] = "public, max-age=3600"
    answer.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return answer
