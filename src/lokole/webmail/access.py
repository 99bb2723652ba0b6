"""Who may see what: the only file that knows Flask-Login, and the only one with access rules.

A view that is not listed here needs somebody signed in; everything of :data:`ADMIN_BLUEPRINTS` needs an administrator.
The cookie carries a random token, signed; what it stands for is a row of ``session``,
so that signing out, suspending and a new password end a session everywhere.
On a shared telephone the cookie also says when it was last touched, and is worth nothing some minutes later.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, abort, g, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from lokole.mail.errors import Temporary
from lokole.mail.model import Account, EmailNo
from lokole.mailbox import accounts, lists, sessions
from lokole.mailbox.database import Connection
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import house, setting_up
from lokole.webmail.browsers import describe
from lokole.webmail.parts import parts
from lokole.webmail.words import locale

log = logging.getLogger(__name__)

#: what anybody may ask for.
PUBLIC = frozenset(
    {
        "home.home",
        "home.about",
        "design.components",
        "home.asset",
        "home.favicon",
        "home.ping",
        "home.who_reads",
        "signup.register",
        "signup.names",
        "account.login",
        "account.pictures",
        "account.language",
        # asked by a page that stands open, which has to hear that nobody is signed in any more
        "here.ask",
        "here.touched",
        "here.away",
        "here.lid",
        # a passer-by has no account, and what is sealed may be in anybody's hands
        "carry.start",
        "carry.pack",
        "carry.take",
        "town.start",
        "town.hand_in",
        "portal.manifest",
        "portal.worker",
        "portal.offline",
        "portal.probe",
        "board.news",
        "board.post",
        "board.body",
        "board.file",
    }
)
#: what somebody may still do who has to choose a way in first.
BEFORE_NEW_PASSWORD = frozenset({"ways.password", "ways.pin", "ways.pictures", "account.logout", "account.language"})
#: what a page asks by itself: nobody touched the telephone, and no session lives longer for it
UNTOUCHED = frozenset({"here.ask", "here.away", "mailbox.unread"})
ADMIN_BLUEPRINTS = frozenset({"admin", "slip", "doors"})
#: for so long after coming in somebody is taken for the one who came in, also for what must not happen on a telephone left open
FRESH = timedelta(minutes=10)
#: a session on a telephone that is not somebody's own ends after so long even when it is touched all the time
SHARED_AT_MOST = timedelta(hours=12)


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


def own_entry(tx: Connection, no: int, *, deleted_too: bool = False) -> StoredEntry:
    """A letter as the one who asks has it (``deleted_too``: or can put back); 404 when they do not have it, whoever else does."""
    entry = lists.get_entry(tx, account(), EmailNo(no), deleted_too=deleted_too)
    if entry is None:
        abort(404)
    return entry


def sign_in(tx: Connection, person: Account, *, own: bool, way: str = "password", wrong_tries: int = 0) -> None:
    """Begin a session for ``person``; the one before in this browser ends.

    ``own`` is what they said of this telephone, ``way`` how they came in, ``wrong_tries`` how often somebody failed to before.
    """
    settings, now = parts().settings, parts().ports.clock()
    lifetime = timedelta(days=settings.session_days) if own else SHARED_AT_MOST
    how = sessions.HowEntered(
        way=way,
        browser=describe(request.headers.get("User-Agent", "")),
        place=request.remote_addr or "",
        own=own,
        wrong_tries=wrong_tries,
    )
    if current_user.is_authenticated:
        sessions.end_session(tx, current_user.token)
    sessions.forget_over(tx, person.tenant, now, idle(tx, person.tenant))
    token = sessions.create_session(tx, person, now, lifetime, parts().ports.entropy, how)
    session.clear()
    session["entered"] = int(now.timestamp())
    if own:
        session.permanent = True
    else:
        session["shared"] = int(now.timestamp())
    login_user(Person(person, token))


def renew(tx: Connection, person: Account) -> None:
    """A session like this one after all sessions of ``person`` ended, because they chose a new way in."""
    sign_in(tx, accounts.get_account(tx, person.tenant, person.no), own="shared" not in session)


def idle(tx: Connection, tenant_no: int) -> timedelta:
    """How long a shared telephone of this tenant stays signed in without a touch."""
    return timedelta(minutes=house.shared_minutes(tx, tenant_no))


def own_telephone() -> bool:
    """Whether the one who asks said that this telephone is theirs."""
    return "shared" not in session


def mark_of(person: Account) -> str:
    """What the scripts of the pages call somebody: the same for one person, another for everybody else, and nobody reads a name in it."""
    key = parts().settings.session_key
    return hmac.new(key, f"keeper {person.tenant} {person.no}".encode(), hashlib.sha256).hexdigest()[:16]


def seconds_left() -> int | None:
    """How long a page may stand open on this telephone without a touch, in seconds; None when it is the person's own, or nobody's."""
    if signed_in() is None:
        return None
    left: int | None = g.get("lokole_seconds_left")
    return left


def token() -> str:
    """What the session of the one who asks is known by."""
    account()
    found: str = current_user.token
    return found


def stale() -> Response | None:
    """Where to send somebody who came in a while ago and now wants what needs to be sure who they are; None when it is sure."""
    entered = session.get("entered", 0)
    age = parts().ports.clock().timestamp() - entered
    if 0 <= age <= FRESH.total_seconds():
        return None
    here = _here() if request.method == "GET" else url_for(str(request.endpoint), **(request.view_args or {}))
    return redirect(url_for("account.login", again="y", next=here), 303)


def sign_out() -> None:
    """End this session, on the server too where it has room to write that down."""
    try:
        with parts().ports.database.write() as tx:
            if current_user.is_authenticated:
                sessions.end_session(tx, current_user.token)
    except Temporary as error:
        # whoever leaves a shared telephone must be out of it, even when the disk is full
        log.error("a session ended in its browser only: %s", error)
    forget_here()


def forget_here() -> None:
    """The browser forgets a session that is over, but for the language in which its pages are read."""
    chosen = locale()
    logout_user()
    session.clear()
    session["language"] = chosen


def left(answer: Response) -> Response:
    """``answer`` after a session ended here: the browser forgets what it kept of these pages."""
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'  # heeded where the address is https
    return answer


def own_path(text: str | None) -> str | None:
    """``text`` when it is a path within these pages, for going back to where somebody was; else None."""
    root = request.script_root + "/"
    if not text or not text.startswith(root) or text.startswith(("//", root + "/")) or "\\" in text:
        return None
    return text if text.isprintable() else None


def _load(token: str) -> Person | None:
    ports = parts().ports
    if g.get("lokole_failing"):
        return None  # the page that says so asks who is there once more
    now = ports.clock()
    last = session.get("shared")
    try:
        with ports.database.read() as tx:
            found = sessions.find_session(tx, token, now)
            if found is not None and last is not None:
                g.lokole_seconds_left = _left(now, last, house.shared_minutes(tx, found.tenant))
                found = found if g.lokole_seconds_left is not None else None
            seen = found is None or sessions.was_seen(tx, token, now, sessions.seen_every(own=last is None))
    except Temporary:
        g.lokole_failing = True
        raise
    if found is None or found.suspended:
        return None
    if request.endpoint in UNTOUCHED:
        return Person(found, token)
    if last is not None:
        session["shared"] = int(now.timestamp())
    if not seen:
        with suppress(Temporary), ports.database.write() as tx:  # a full card must not keep anybody from reading
            sessions.note_seen(tx, token, now)
    return Person(found, token)


def _left(now: datetime, last: int, minutes: int) -> int | None:
    """Seconds until a telephone that was touched at ``last`` closes, all of them when it is touched now; None when it is closed."""
    passed = int(now.timestamp()) - last
    if not 0 <= passed <= minutes * 60:
        return None
    return minutes * 60 - passed if request.endpoint in UNTOUCHED else minutes * 60


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
        return redirect(url_for("ways.password"), 303)
    if request.blueprint in ADMIN_BLUEPRINTS and not person.is_admin:
        abort(403)
    if person.is_admin and endpoint == "mailbox.inbox":
        with parts().ports.database.read() as tx:
            if setting_up.pending(tx, person.tenant):
                return redirect(url_for("admin.first"), 303)
    return None


def _here() -> str:
    query = request.query_string.decode("ascii", "replace")
    return request.script_root + request.path + ("?" + query if query else "")
