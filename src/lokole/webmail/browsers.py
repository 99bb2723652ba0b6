"""What kind of telephone or computer somebody has, in two words, so that they know their own sessions again."""

from __future__ import annotations

_SYSTEMS = (
    ("KAIOS", "KaiOS"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "Chromebook"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)
#: the more particular first: nearly all of them say that they are the others, too
_BROWSERS = (
    ("Opera Mini", "Opera Mini"),
    ("OPR/", "Opera"),
    ("UCBrowser", "UC Browser"),
    ("SamsungBrowser", "Samsung"),
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari/", "Safari"),
)


def describe(agent: str) -> str:
    """Such as ``Android · Chrome``; empty when neither is known."""
    found = [next((word for mark, word in table if mark in agent), "") for table in (_SYSTEMS, _BROWSERS)]
    return " · ".join(word for word in found if word)
