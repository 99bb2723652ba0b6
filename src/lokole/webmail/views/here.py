"""Whether a page may go on showing what it shows: asked by pages that stand open on a telephone that somebody may have left.

With scripts a page asks when its time is over and whenever it is seen again (``static/guard.js``).
Without, it goes to :func:`away` by itself when the time is over, but for a letter that is being written: that gets a lid (:func:`lid`).
Asking keeps no session open; a touch does.
Nothing here names the page that was left: whoever comes next must not learn of it from an address.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, jsonify, redirect, session, url_for
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response as AnyResponse

from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.words import locale

blueprint = Blueprint("here", __name__)

#: a page without scripts goes so many seconds after the time is over, so that it finds it over
LATER = 5
_DAY = 86_400
_LID = """@keyframes lid{to{visibility:visible}}
@keyframes under{to{visibility:hidden}}
.lid{visibility:hidden;position:fixed;top:0;bottom:0;left:0;right:0;max-width:none;background:var(--bg);animation:lid 1ms %(seconds)ds forwards}
#m{animation:under 1ms %(seconds)ds forwards}
#m:active,#m:active~noscript .lid{animation:none}
"""


@blueprint.get("/user/here", endpoint="ask")
@blueprint.get("/user/here/touched", endpoint="touched")
def here() -> Response:
    """Who is signed in (a mark, or nothing), seconds left (null on an own telephone), and the token for forms that were left."""
    person = access.signed_in()
    if person is None:
        return jsonify(who="")
    return jsonify(who=access.mark_of(person), left=access.seconds_left(), token=generate_csrf())


@blueprint.get("/user/here/lid/<int:seconds>.css")
def lid(seconds: int) -> Response:
    """The style of a page that is covered after ``seconds``, counted from when it was opened or last touched; it needs no script.

    What is under the lid can be neither seen nor touched, so that no touch takes the lid away again: its button sends the form.
    """
    answer = Response(_LID % {"seconds": min(seconds, _DAY)}, mimetype="text/css")
    answer.headers["Cache-Control"] = f"public, max-age={_DAY}"
    return answer


@blueprint.get("/user/here/away")
def away() -> str | AnyResponse:
    """Nobody touched a page: the way in; or, when the session is still open elsewhere, a page that shows nothing of anybody."""
    if access.signed_in() is not None:
        return page("away.html")
    chosen = locale()
    session.clear()
    session["language"] = chosen
    flash("untouched")
    return redirect(url_for("account.login"), 303)
