"""The page in town: a file of a box in, its return file out (protocol 9.3).

No token guards its form, and none is needed: the page knows no session and sets no cookie, nothing is done in the name of whoever sends the form,
and the file itself is the proof. Who makes a stranger's browser send a file has to have the file, and could send it themselves;
what comes back goes to that browser and to nobody else. A form that another site sends is refused all the same.
"""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, request

from lokole.mail.errors import Refused, Temporary
from lokole.sync.bundle import BUNDLE_EXTENSION
from lokole.webmail.pages import page
from lokole.webmail.parts import Town, parts
from lokole.webmail.views.carry import Said, download, refusal
from lokole.webmail.words import gettext

blueprint = Blueprint("town", __name__)

#: set by whoever stands in front and has not let the body through: ``too-large`` or ``too-many``
HELD_BACK = "Lokole-Held-Back"
_STATUS = {"too-large": 413, "too-many": 429}


@blueprint.get("/carry")
def start() -> str:
    """What to do, and the form."""
    return page("town.html", said=())


@blueprint.post("/carry")
def hand_in() -> Response | tuple[str, int]:
    """The return file, or the page with what was wrong."""
    code = request.headers.get(HELD_BACK, "")
    if code in _STATUS:
        return _again(refusal(code), _STATUS[code])
    try:
        file = request.files.get("file")
        if file is None or not file.filename:
            return _again(gettext("Choose the file first, then press the button."), 400)
        domain, bundle = cast(Town, parts().ports.town).hand_in(cast(Any, file.stream))
    except Refused as error:
        return _again(refusal(error.code), 400)
    except (Temporary, OSError):
        return _again(gettext("The server is busy or its memory is full. Nothing is lost. Try again in an hour."), 503)
    return download(bundle, f"return-{domain}{BUNDLE_EXTENSION}")


def _again(sentence: str, status: int) -> tuple[str, int]:
    return page("town.html", said=(Said("warn", sentence),)), status
