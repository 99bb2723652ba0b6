"""Which pages a person's own telephone may keep for when the box is out of reach: lists and letters, nothing else.

The worker in the browser (``static/worker.js``) keeps a page only when the answer says for whom; another name, or none, empties what it kept.
"""

from __future__ import annotations

from flask import Flask, Response, request

from lokole.webmail import access

HEADER = "Lokole-Keep"
_BLUEPRINTS = frozenset({"mailbox", "finding", "letter", "printing"})


def install(app: Flask) -> None:
    """Have answers of ``app`` say it."""
    app.after_request(_say)


def _say(response: Response) -> Response:
    if response.status_code == 200 and response.mimetype == "text/html" and request.method == "GET":
        person = access.signed_in()
        if person is not None and access.own_telephone() and request.blueprint in _BLUEPRINTS:
            response.headers[HEADER] = access.mark_of(person)
    return response
