"""How often somebody may try: one question, asked by the views that need it.

Nobody is ever locked out for good: a window passes, and the next one is fresh.
"""

from __future__ import annotations

from typing import cast

from flask import Flask, current_app, request
from flask_limiter import Limiter
from limits import parse

from lokole.webmail.limits_storage import SCHEME, CountIn
from lokole.webmail.parts import WebmailPorts


class TooOften(Exception):
    """Somebody tried too often; ``rule`` names the limit."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def install(app: Flask, ports: WebmailPorts) -> None:
    """Count in the database of ``ports``."""
    limiter = Limiter(
        lambda: request.remote_addr or "",
        storage_uri=f"{SCHEME}://",
        storage_options=cast("dict[str, str | int]", {"count_in": CountIn(ports.database, ports.clock)}),
    )
    limiter.init_app(app)
    app.extensions["lokole-limits"] = limiter.limiter


def count(rule: str, what: str, *who: object) -> None:
    """Count one more ``what`` of ``who`` against ``rule`` (such as "10 per minute"); raises TooOften past it."""
    if not current_app.extensions["lokole-limits"].hit(parse(rule), what, *(str(part) for part in who)):
        raise TooOften(what)
