"""How large photos travel: whoever writes chooses, small unless they say otherwise.

Small is what the settings say, medium twice as many pixels a side, and the original as it came from the telephone.
The page's script makes photos smaller before they are sent to the box, and without it the box does.
"""

from __future__ import annotations

from dataclasses import replace

from lokole.mail.model import PictureLimits
from lokole.webmail import language
from lokole.webmail.cost import Price
from lokole.webmail.words import gettext

SMALL, MEDIUM, ORIGINAL = "small", "medium", "original"
SIZES = (SMALL, MEDIUM, ORIGINAL)
#: how many times the longest side of a small photo
TIMES = {SMALL: 1, MEDIUM: 2}
#: bytes of a photo of a telephone as WebP, 640 and 1280 pixels a side, and as it was: rather more than less
_USUAL = {SMALL: 40_000, MEDIUM: 100_000, ORIGINAL: 2_500_000}
_USUAL_SIDE = 640


def chosen_size(text: str) -> str:
    """The size that a form asks for."""
    return text if text in SIZES else SMALL


def limits_of(size: str, settings: PictureLimits) -> PictureLimits | None:
    """What photos of this size are made to; None when they stay as they are."""
    times = TIMES.get(size)
    return None if times is None else replace(settings, longest_side=times * settings.longest_side)


def choices(settings: PictureLimits, price: Price) -> list[tuple[str, str, str, int]]:
    """What there is to choose: the size, its name, what one photo of it weighs and costs, about, and its bytes."""
    names = {SMALL: gettext("Small"), MEDIUM: gettext("Medium"), ORIGINAL: gettext("Original")}
    found = []
    for size, name in names.items():
        scale = (settings.longest_side / _USUAL_SIDE) ** 2 if size in TIMES else 1.0
        usual = round(_USUAL[size] * scale)
        cost = price.about(usual)
        weight = gettext("about %(size)s each", size=language.size(usual))
        found.append((size, name, f"{weight}, {cost}" if cost else weight, usual))
    return found
