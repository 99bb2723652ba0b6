"""Who may see what: the only file that knows Flask-Login, and the only one with access rules.

A view that is not listed here needs somebody signed in; everything of the ``admin`` blueprint needs an administrator.
The cookie carries a random token, signed; what it stands for is a row of ``session``,
so that signing out, suspending and a new password end a session everywhere.
On a shared telephone the cookie also says when it was last used, and is worth nothing some minutes later.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask, abort, g, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from lokole.mail.errors import Temporary
from lokole.mail.model import Account, EmailNo
from lokole.mailbox import lists, sessions
from lokole.mailbox.database import Connection
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import setting_up
from lokole.webmail.parts import parts

#: what anybody may ask for.
PUBLIC = frozenset(
    {
        "home.home",
        "home.about",
        "home.asset",
        "home.favicon",
        "home.ping",
        "account.register",
        "account.login",
        "account.language",
        "board.news",
        "board.post",
        "board.body",
        "board.file",
    }
)
#: what somebody may still do who has to choose a new password first.
BEFORE_NEW_PASSWORD = frozenset({"account.password", "account.logout"})
ADMIN_BLUEPRINT = "admin"


class Person(UserMixin):  # type: ignore[misc]  # the library has no types
    """The one who is signed in, as Flask-Login wants to see them; ``get_id`` is the token of the session."""

    def __init__(self, account: Account, token: str) -> None:
        self.account = account
        self.token = token
        self.language = account.language
        self.time_zone = account.time_zone

    def get_id(self) -> str:
        return self.token


def install(app: Flask) -> None:
    """Guard every request of ``app``."""
    manager = LoginManager(app)
    manager.session_protection = None  # the token is the protection; an address changes with the hotspot
    manager.user_loader(_load)
    app.before_request(_guard)


def signed_in() -> Account | None:
    """The account of the one who asks."""
    return current_user.account if current_user.is_authenticated else None


def account() -> Account:
    """The account of the one who asks; 401 when nobody is signed in."""
    found = signed_in()
    if found is None:
        abort(401)
    return found


def own_entry(tx: Connection, no: int) -> StoredEntry:
    """A letter as the one who asks has it; 404 when they do not have it, whoever else does."""
    entry = lists.get_entry(tx, account(), EmailNo(no))
    if entry is None:
        abort(404)
    return entry


def sign_in(tx: Connection, person: Account, *, shared: bool) -> None:
    """Begin a session for ``person``; nothing of an earlier one in this browser lives on but the language of the pages."""
    settings, now = parts().settings, parts().ports.clock()
    token = sessions.create_session(tx, person, now, timedelta(days=settings.session_days), parts().ports.entropy)
    session.clear()
    if shared:
        session["shared"] = int(now.timestamp())
    else:
        session.permanent = True
    login_user(Person(person, token))


def sign_out(tx: Connection) -> None:
    """End this session, on the server too."""
    if current_user.is_authenticated:
        sessions.end_session(tx, current_user.token)
    logout_user()
    session.clear()


def own_path(text: str | None) -> str | None:
    """``text`` when it is a path within these pages, for going back to where somebody was; else None."""
    root = request.script_root + "/"
    if not text or not text.startswith(root) or text.startswith(("//", root + "/")) or "\\" in text:
        return None
    return text if text.isprintable() else None


def _load(token: str) -> Person | None:
    ports, settings = parts().ports, parts().settings
    if g.get("lokole_failing"):
        return None  # the page that says so asks who is there once more
    now = ports.clock()
    last = session.get("shared")
    if last is not None:
        if now.timestamp() - last > settings.shared_minutes * 60:
            return None
        session["shared"] = int(now.timestamp())
    try:
        with ports.database.read() as tx:
            found = sessions.find_session(tx, token, now)
    except Temporary:
        g.lokole_failing = True
        raise
    return Person(found, token) if found is not None and not found.suspended else None


def _guard() -> Response | None:
    endpoint = request.endpoint
    if endpoint is None or endpoint in PUBLIC:
        return None  # an unknown address is a 404 for everybody
    if not current_user.is_authenticated:
        if request.method in ("GET", "HEAD"):
            back: dict[str, Any] = {} if endpoint == "home.home" else {"next": _here()}
            return redirect(url_for("account.login", **back), 303)
        abort(401)
    person = account()
    if person.must_change_password and endpoint not in BEFORE_NEW_PASSWORD:
        return redirect(url_for("account.password"), 303)
    if request.blueprint == ADMIN_BLUEPRINT and not person.is_admin:
        abort(403)
    if person.is_admin and endpoint == "mailbox.inbox":
        with parts().ports.database.read() as tx:
            if setting_up.pending(tx, person.tenant):
                return redirect(url_for("admin.first"), 303)
    return None


def _here() -> str:
    query = request.query_string.decode("ascii", "replace")
    return request.script_root + request.path + ("?" + query if query else "")
