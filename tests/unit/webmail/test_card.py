"""The card for the wall: Wi-Fi and address, for a camera and in words."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import segno

from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import Box

OWN = "http://lokole.lan/"


def squares(text: str) -> str:
    """The shape that stands for ``text`` on a page."""
    found = re.search(r' d="([^"]+)"', segno.make(text, error="m", micro=False).svg_inline(scale=5))
    assert found is not None
    return found[1]


def card(box: Box, **fields: Any) -> Browser:
    return box.signed_in("chief", is_admin=True).open("/admin/card").press("Make the card", **fields)


@pytest.mark.parametrize(
    ("name", "secret", "told"),
    [
        ("Lokole Bolenge", "", "WIFI:S:Lokole Bolenge;;"),
        ("Chez; <nous>", 'se"cret:word', 'WIFI:T:WPA;S:Chez\\; <nous>;P:se\\"cret\\:word;;'),
    ],
)
def test_a_card_tells_the_camera_and_the_eye_the_same(
    make_box: Callable[..., Box], name: str, secret: str, told: str
) -> None:
    box = make_box(address=OWN)
    before = box.signed_in("chief", is_admin=True).open("/admin").follow("A card for the wall")
    assert "<path" not in before.html.partition("<form class=stack")[2].partition("</form>")[2].partition("<nav")[0]
    kept = box.fingerprint()
    page = before.press("Make the card", wifi=name, secret=secret)
    assert page.status == 200
    assert squares(told) in page.html
    assert squares(OWN) in page.html
    for words in (name, secret, OWN):
        assert words in page.text
    # two lines on how to begin, in each language of the pages
    for code in ("en", "fr", "ln", "sw"):
        assert page.html.count(f"<p lang={code}>") == 1
    assert "Ici, vous écrivez et lisez des lettres." in page.text
    assert box.fingerprint() == kept


@pytest.mark.parametrize(
    ("wifi", "secret", "said"),
    [
        ("", "", "Type the name of the Wi-Fi"),
        ("é" * 17, "", "Type the name of the Wi-Fi"),
        ("Lokole", "seven77", "8 to 63 letters"),
    ],
)
def test_what_no_wifi_can_be_is_said_and_no_card_made(box: Box, wifi: str, secret: str, said: str) -> None:
    page = card(box, wifi=wifi, secret=secret)
    assert page.status == 400
    assert said in page.text
    assert "<section" not in page.html


def test_only_who_looks_after_the_box_makes_cards_and_only_at_the_box(make_box: Callable[..., Box]) -> None:
    assert make_box().signed_in("mireille").open("/admin/card").status == 403
    town = make_box(in_town=True).signed_in("chief", is_admin=True)
    assert town.open("/admin/card").status == 404


def test_the_library_is_there_only_once_somebody_has_asked(box: Box) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "segno"]:
        del sys.modules[name]
    chief = box.signed_in("chief", is_admin=True).open("/admin/card")
    assert "segno" not in sys.modules
    chief.press("Make the card", wifi="Lokole")
    assert "segno" in sys.modules
