"""The words of the nine pictures that somebody may come in with."""

from __future__ import annotations

from lokole.mailbox import ways
from lokole.webmail.words import gettext


def picture_words() -> list[tuple[str, str]]:
    """The nine pictures in their order, each with its word."""
    words = {
        "fish": gettext("Fish"),
        "sun": gettext("Sun"),
        "palm": gettext("Palm tree"),
        "hut": gettext("House"),
        "log": gettext("Lokole"),
        "bird": gettext("Bird"),
        "pot": gettext("Pot"),
        "moon": gettext("Moon"),
        "boat": gettext("Boat"),
    }
    return [(name, words[name]) for name in ways.PICTURES]
