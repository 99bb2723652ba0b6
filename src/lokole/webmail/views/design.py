"""Every component of the pages in every state, made of the pages' own templates: for whoever works on the looks (docs/looks.md).

Its headings are English, since its readers are; what is in the components is said in the language of the pages. It shows nothing of anybody.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from lokole.mail.model import DeliveryState
from lokole.webmail import assets
from lokole.webmail.access import signed_in
from lokole.webmail.pages import page
from lokole.webmail.parts import parts

blueprint = Blueprint("design", __name__)


@blueprint.get("/design")
def components() -> str:
    """The one page."""
    values: dict[str, Any] = {"states": [state.value for state in DeliveryState], "icons": assets.icons()}
    if signed_in() is None:
        return page("design.html", **values)
    with parts().ports.database.read() as tx:
        return page("design.html", tx, place="more", **values)
