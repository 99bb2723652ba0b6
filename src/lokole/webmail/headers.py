"""What goes with every answer: content security policy, no sniffing, no caching of mail, gzip, and the origin check.

The policy of the pages allows nothing from elsewhere and nothing inline.
A letter's body has a policy of its own, stricter still (see ``views/letter.py``); whoever sets one keeps it.
"""

from __future__ import annotations

import gzip
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; object-src 'none'; "
    "frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)
_WORTH_BYTES = 600
#: made for whoever asks, and words: the worker and the manifest too, which say theirs in the language of the pages
_TEXTS = ("text/html", "application/json", "application/manifest+json", "text/javascript", "application/javascript")


class _Sessions(SecureCookieSessionInterface):
    """What may be kept by everybody has nothing to do with a session: else a browser fetches each file anew whenever the cookie changes.

    What this browser alone may keep, it finds again only under the cookie it asked with: such an answer does not draw a new one.
    """

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        told = response.cache_control
        if not told.public and (session.modified or told.no_store):
            super().save_session(app, session, response)


def install(app: Flask) -> None:
    """Have ``app`` send them."""
    app.session_interface = _Sessions()
    app.after_request(_finish)


def from_elsewhere(asked: Request) -> bool:
    """Whether a browser says that another site made this request (the hotspot is HTTP: the token is not the only guard)."""
    origin = asked.headers.get("Origin")
    if origin is None:
        return asked.headers.get("Sec-Fetch-Site") == "cross-site"
    return urlsplit(origin).netloc != asked.host


def from_here(asked: Request) -> bool:
    """Whether a browser says that one of our own pages made this request; one that says nothing is not believed."""
    said = asked.headers.get("Origin") or asked.headers.get("Referer")
    return said is not None and urlsplit(said).netloc == asked.host


def takes_gzip(asked: Request) -> bool:
    """Whether the browser reads gzip."""
    return asked.accept_encodings.quality("gzip") > 0


def _finish(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    headers.setdefault("Cache-Control", "private, no-store")
    # the files of ``assets.py`` are the same for everybody, and hold their gzip form themselves
    if response.mimetype in _TEXTS and not response.cache_control.public:
        response.vary.update(["Accept-Encoding", "Cookie"])
        if not response.is_streamed and "Content-Encoding" not in headers and takes_gzip(request):
            content = response.get_data()
            if len(content) >= _WORTH_BYTES:
                response.set_data(gzip.compress(content, 5, mtime=0))
                headers["Content-Encoding"] = "gzip"
    return response
