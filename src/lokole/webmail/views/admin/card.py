"""A card for the wall: the Wi-Fi and the address of the box as pictures for a telephone's camera, and as words."""

from __future__ import annotations

from flask import abort, request, url_for
from flask_babel import force_locale
from markupsafe import Markup

from lokole.webmail import language
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint
from lokole.webmail.words import gettext

#: bytes of a Wi-Fi's name (IEEE 802.11), and characters of its password (WPA)
_NAME_BYTES = 32
_SECRET = range(8, 64)


@blueprint.route("/admin/card", methods=["GET", "POST"])
def card() -> str | tuple[str, int]:
    """The form; sent, the card below it. Nothing of it is kept, the password of the Wi-Fi least of all."""
    if parts().settings.in_town:
        abort(404)
    name, secret = (request.form.get(field, "").strip() for field in ("wifi", "secret"))
    wrong = {}
    if request.method == "POST":
        if not name or len(name.encode()) > _NAME_BYTES or not name.isprintable():
            wrong["wifi"] = gettext("Type the name of the Wi-Fi as telephones show it; it has at most 32 letters.")
        if secret and (len(secret) not in _SECRET or not secret.isprintable()):
            wrong["secret"] = gettext(
                "The password of a Wi-Fi has 8 to 63 letters. Leave it empty where there is none."
            )
    made = request.method == "POST" and not wrong
    address = parts().settings.address or url_for("home.home", _external=True)
    answer = page(
        "admin_card.html",
        place="more",
        wifi=name,
        secret=secret,
        wrong=wrong,
        address=address,
        pictures=(_picture(_wifi(name, secret)), _picture(address)) if made else None,
        lines=_in_every_language() if made else (),
    )
    return (answer, 400) if wrong else answer


def _wifi(name: str, secret: str) -> str:
    """What the camera of a telephone takes for a Wi-Fi to join."""
    from segno.helpers import make_wifi_data

    return make_wifi_data(ssid=name, password=secret or None, security="WPA" if secret else None)


def _picture(text: str) -> Markup:
    """``text`` as a QR code. The library takes 2 MB, so it is there only once somebody has asked for a card."""
    import segno

    drawn = segno.make(text, error="m", micro=False)
    # on white in the dark theme, too: cameras read dark on light
    return Markup(drawn.svg_inline(scale=5, dark="#000", light="#fff", svgclass=None, lineclass=None))  # noqa: S704 # made of squares


def _in_every_language() -> list[tuple[str, str, str]]:
    """How to begin, in each language that the pages offer."""
    found = []
    for code in language.offered():
        with force_locale(code):
            found.append(
                (
                    code,
                    gettext("First join the Wi-Fi, then open the browser and go to this address."),
                    gettext("Here you write and read letters. There is no other internet in this Wi-Fi."),
                )
            )
    return found
