"""Translating a sentence: Flask-Babel's functions with types, so that everything else can be checked."""

from __future__ import annotations

from typing import Any

import flask_babel


def gettext(text: str, **values: Any) -> str:
    """``text`` in the language of this request, its place-holders filled."""
    return str(flask_babel.gettext(text, **values))


def mark(text: str) -> str:
    """``text`` itself, for translators to find; it is translated where it is shown."""
    return text


def ngettext(one: str, many: str, count: int, **values: Any) -> str:
    """The form of the sentence for ``count``; ``%(num)s`` is the count itself."""
    return str(flask_babel.ngettext(one, many, count, **values))


def locale() -> str:
    """The language of this request, such as ``fr``."""
    return str(flask_babel.get_locale() or "en")
