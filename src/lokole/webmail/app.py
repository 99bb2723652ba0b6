"""The web pages as a Flask application: ``create_app(ports, settings, tenants)``.

The box serves it for its one tenant, the server at ``/web`` for many.
All links are made by ``url_for``, so that it lives as well below a prefix such as ``/lokole``;
a proxy in front may have taken the prefix off or left it, both work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask_babel import Babel
from flask_wtf import CSRFProtect

from lokole.webmail import access, assets, headers, keep, language, limits, pages
from lokole.webmail.numbers import RowNumberConverter
from lokole.webmail.parts import ManyTenants, OneTenant, Parts, Tenants, WebmailPorts, WebmailSettings
from lokole.webmail.template_cache import TemplateCache
from lokole.webmail.views import (
    account,
    admin,
    board,
    carry,
    compose,
    contacts,
    design,
    directory,
    doors,
    drafts,
    failures,
    finding,
    folders,
    here,
    home,
    letter,
    mailbox,
    marking,
    portal,
    preferences,
    printing,
    profile,
    signup,
    slip,
    town,
    ways,
)

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# A request may be this many times the limit of a form before it is not even read:
# up to there the page can answer with what was typed still in its place.
_HARD_LIMIT = 3


def create_app(ports: WebmailPorts, settings: WebmailSettings, tenants: Tenants) -> Flask:
    """The pages over ``ports``; reads and writes nothing before the first request."""
    app = Flask("lokole.webmail", static_folder=None)
    app.config.update(
        SECRET_KEY=settings.session_key,
        APPLICATION_ROOT=settings.prefix or "/",
        SESSION_COOKIE_NAME=settings.cookie_name,
        SESSION_COOKIE_PATH=settings.prefix or "/",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure_cookie,
        PERMANENT_SESSION_LIFETIME=timedelta(days=settings.session_days),
        MAX_CONTENT_LENGTH=_HARD_LIMIT * settings.max_upload_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_upload_bytes,  # one text field; Werkzeug's 500 kB would cut long letters off
        MAX_FORM_PARTS=500,
        WTF_CSRF_TIME_LIMIT=None,  # a letter may be written over an evening; the token ends with the session
        WTF_CSRF_SSL_STRICT=False,  # headers.from_elsewhere looks at the origin, with HTTP as well
        RATELIMIT_HEADERS_ENABLED=False,
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.extensions["lokole"] = Parts(ports, settings, tenants)
    app.extensions["lokole-assets"] = assets.load()
    if settings.prefix:
        app.wsgi_app = _below(settings.prefix, app.wsgi_app)  # type: ignore[method-assign, assignment]
    app.url_map.converters["int"] = RowNumberConverter
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.template_cache is not None:
        app.jinja_env.bytecode_cache = TemplateCache(settings.template_cache)
    Babel(app, default_locale=settings.default_language, locale_selector=language.choose)
    headers.install(app)
    limits.install(app, ports)
    carry.allow_large_files(app)
    csrf = CSRFProtect(app)
    access.install(app)
    keep.install(app)
    pages.install(app)
    failures.install(app)
    for view in (
        *(home, here, design, portal, account, signup, ways, profile),
        *(mailbox, marking, folders, finding, letter, printing),
        *(compose, drafts, contacts, preferences, board, directory),
        *(admin, slip, doors),
    ):
        app.register_blueprint(view.blueprint)
    if ports.carrier is not None:
        app.register_blueprint(carry.blueprint)
    if ports.town is not None:
        csrf.exempt(town.blueprint)  # why it may be stands there
        app.register_blueprint(town.blueprint)
    return app


def _below(prefix: str, application: WSGIApplication) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """Serve ``application`` below ``prefix``, whether or not something in front has taken the prefix off the path."""

    def serve(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(prefix + "/"):
            environ["PATH_INFO"] = path[len(prefix) :]
        environ["SCRIPT_NAME"] = prefix
        return application(environ, start_response)

    return serve


__all__ = ["ManyTenants", "OneTenant", "Tenants", "WebmailPorts", "WebmailSettings", "create_app"]
