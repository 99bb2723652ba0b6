"""Mail of the box by whoever goes to town: one file out, the return file in (protocol 9.3).

Anybody may do both, signed in or not: what goes out is sealed for the server, what comes in is believed for its seal alone.
Fetching the file is a form and no link, because it packs what waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from flask import Blueprint, Flask, Response, request

from lokole.mail.errors import Refused, Temporary
from lokole.sync.bundle import BUNDLE_EXTENSION, CONTENT_TYPE, MAX_BUNDLE_BYTES, Bundle
from lokole.webmail import limits
from lokole.webmail.access import signed_in
from lokole.webmail.pages import page
from lokole.webmail.parts import Brought, Carrier, parts
from lokole.webmail.words import gettext, ngettext

blueprint = Blueprint("carry", __name__)

TAKES_FILES = ("carry.take", "town.hand_in")
_FORM_BYTES = 64 * 1024  # what a form adds to the file in it


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of an answer; ``look`` is that of its box: good, warn, bad or off."""

    look: str
    sentence: str


def allow_large_files(app: Flask) -> None:
    """Let a form that brings a file be as large as such a file may be; must be told before anything looks into forms."""

    def allow() -> None:
        if request.endpoint in TAKES_FILES:
            request.max_content_length = MAX_BUNDLE_BYTES + _FORM_BYTES

    app.before_request(allow)


@blueprint.get("/carry")
def start() -> str:
    """What to do, and the two forms."""
    return _page()


@blueprint.post("/carry/pack")
def pack() -> Response | tuple[str, int]:
    """The file, or why there is none."""
    limits.count(parts().settings.carrier_files, "carry-out", request.remote_addr)
    try:
        bundle = _carrier().pack()
    except Refused as error:
        return _page(Said("warn", _not_now(error))), 409
    if not bundle.packages:
        return _page(Said("off", gettext("There is nothing to carry now."))), 409
    return download(bundle, f"lokole-{parts().tenants.domain}{BUNDLE_EXTENSION}")


@blueprint.post("/carry/take")
def take() -> str | tuple[str, int]:
    """The return file, and what was in it."""
    limits.count(parts().settings.carrier_files, "carry-in", request.remote_addr)
    try:
        file = request.files.get("file")
        if file is None or not file.filename:
            return _page(Said("warn", gettext("Choose the file first, then press the button."))), 400
        brought = _carrier().take(cast(Any, file.stream))
    except Refused as error:
        return _page(Said("warn", _not_now(error))), 409
    except (Temporary, OSError):
        sentence = gettext("The memory of the box is full. What was taken stays. Bring the file again later.")
        return _page(Said("bad", sentence)), 507
    said = _what_came(brought)
    return _page(*said), 200 if brought.packages else 400


def download(bundle: Bundle, name: str) -> Response:
    """``bundle`` as a file for the browser to keep; its length is told, so that a browser knows one that broke off."""
    answer = Response(iter(bundle), mimetype=CONTENT_TYPE)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Content-Length"] = str(bundle.size)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def refusal(code: str) -> str:
    """What a carrier reads for a word of protocol 6.6, at the box and in town."""
    known = {
        "truncated": gettext("The file broke off on its way. Fetch it once more."),
        "not-sealed": gettext("This is not a file with mail of Lokole. Its name ends in .lkl.tar."),
        "unreadable": gettext("This is not a file with mail of Lokole. Its name ends in .lkl.tar."),
        "not-for-us": gettext("This file is not for here. It did no harm."),
        "unknown-sender": gettext("Nobody here knows who made this file. It did no harm."),
        "future-version": gettext("This file is of a newer Lokole than the one here. Nothing of it was taken."),
        "too-large": gettext("This file is too large. A file has at most 64 MB."),
        "too-many": gettext("That was too often. Please wait an hour, then try again. Nothing is lost."),
    }
    return known.get(
        code, gettext("This file was damaged or changed on its way. Nothing of it was taken. Fetch it again.")
    )


def _what_came(brought: Brought) -> list[Said]:
    said = []
    if brought.letters:
        came = ngettext(
            "%(num)s letter came for people here.", "%(num)s letters came for people here.", brought.letters
        )
        said.append(Said("good", came + " " + gettext("Thank you for carrying the mail.")))
    elif brought.packages and brought.packages == brought.known:
        said.append(Said("off", gettext("This file was here before. Nothing comes twice.")))
    elif brought.packages:
        sentence = gettext("The file is taken. No letter was in it, but the box knows now what has arrived in town.")
        said.append(Said("good", sentence + " " + gettext("Thank you for carrying the mail.")))
    if brought.quarantined:
        sentence = gettext("Something in it could not be read. It is kept for the people who look after the box.")
        said.append(Said("warn", sentence))
    refused = list(dict.fromkeys(brought.refused))
    if brought.packages and "truncated" in refused:
        refused.remove("truncated")
        sentence = gettext("The file broke off on its way. What was whole is taken; fetch it once more for the rest.")
        said.append(Said("warn", sentence))
    elif brought.packages and refused:
        refused = []
        said.append(Said("warn", gettext("A part of the file is not for this box. It did no harm.")))
    if not said and not refused:
        refused = ["not-sealed"]
    return said + [Said("warn", sentence) for sentence in dict.fromkeys(map(refusal, refused))]


def _not_now(error: Refused) -> str:
    if error.code == "busy":
        return gettext("An exchange is under way. Wait a few minutes, then try again.")
    return gettext("This box has no server yet, so nobody can carry its mail. Tell the people who look after the box.")


def _carrier() -> Carrier:
    return cast(Carrier, parts().ports.carrier)


def _page(*said: Said) -> str:
    carrier = _carrier()
    values: dict[str, Any] = {"said": said, "ready": carrier.is_ready(), "town": carrier.town()}
    if signed_in() is None:
        return page("carry.html", **values)
    with parts().ports.database.read() as tx:
        return page("carry.html", tx, place="more", **values)
