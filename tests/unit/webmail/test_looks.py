"""The colours keep the contrast that docs/looks.md promises, light and dark; and the page of components shows them all."""

from __future__ import annotations

import re

import pytest

from tests.corpus import REPOSITORY
from tests.unit.webmail.conftest import Box

STYLE = REPOSITORY / "src/lokole/webmail/static/style.css"
#: (text, ground, contrast at least), as docs/looks.md has them
PAIRS = [
    *((text, ground, 7.0) for text in ("ink", "soft") for ground in ("bg", "mat")),
    ("night", "bg", 7.0),
    ("night", "nt", 7.0),
    ("good", "gt", 7.0),
    ("warn", "wt", 7.0),
    ("bad", "bt", 7.0),
    ("on-log", "log", 7.0),
    ("on-wood", "wood", 7.0),
    *((mark, ground, 4.5) for mark in ("beat",) for ground in ("bg", "mat")),
    *(("edge", ground, 4.0) for ground in ("bg", "mat")),
]


def colours() -> dict[str, dict[str, str]]:
    """The tokens of the style, light and dark; what dark does not say is as in light."""
    roots = re.findall(r":root\{([^}]*)\}", STYLE.read_text())
    light, dark = (dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", root)) for root in roots[:2])
    return {"light": light, "dark": {**light, **dark}}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, section on contrast)."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * one for one in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_read_stands_out(scheme: str) -> None:
    known = colours()[scheme]
    found = {
        f"{text} on {ground}": round(contrast(known[text], known[ground]), 2)
        for text, ground, least in PAIRS
        if contrast(known[text], known[ground]) < least
    }
    assert found == {}


def test_black_on_white_is_21_to_1() -> None:
    assert round(contrast("#000", "#ffffff"), 1) == 21.0


#: what the style names and /design does not show, by the reason
NOT_SHOWN = {
    "where things stand on a page, nothing by itself": (
        "duo find flush found h1 list nights note only-s open pair pane paper person tools two"
    ),
    "the height of the frame of a letter": "s6 s9 s13 s19 s28 s42 s63 s95 w6 w9 w13 w19 w28 w42 w63 w95",
    "needs a letter of somebody": "beside fold quoted undo",
    "shows a password once, on pages that are printed": "cover paper-slip slip slip-page",
    "lives from a script, while one writes": "att linking lost",
}


def test_the_page_of_components_shows_each_class_of_the_style(box: Box) -> None:
    named = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"\{[^{}]*\}", "{}", STYLE.read_text())))
    pages = box.browser().open("/design").html + box.signed_in("mireille").open("/design").html
    quoted = " ".join(re.findall(r'class="([^"]*)"', pages)).split()
    shown = {*quoted, *re.findall(r"class=([\w-]+)", pages)}
    left_out = {name: reason for reason, names in NOT_SHOWN.items() for name in names.split()}
    assert sorted(named - shown - set(left_out)) == [], "on no page of components, and no reason why"
    assert sorted(set(left_out) & shown) == [], "shown after all"
    assert sorted(set(left_out) - named) == [], "the style does not know these"
    assert {"row", "cost", "bars", "pager", "pics", "tool", "photo", "sound"} <= shown


def test_the_page_of_components_is_for_whoever_is_here_and_of_nobody(box: Box) -> None:
    box.person("joseph")
    box.letter("joseph", "Private")
    html = box.browser().open("/design").html
    for words in (
        "Unread. </span>",
        "Take the star back",
        "21–40 of 134",
        "1 picture",
        "about 7 FC",
        "40 kB, about 5 FC",
    ):
        assert words in html, words
    assert "Private" not in html
