"""When something does not work: one picture, one title, one sentence, at most one button."""

from __future__ import annotations

import errno
import logging
from urllib.parse import urlsplit

from flask import Flask, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from lokole.mail.errors import NotFound, Refused, Temporary
from lokole.webmail import repeating
from lokole.webmail.access import own_path, signed_in
from lokole.webmail.headers import from_elsewhere
from lokole.webmail.limits import TooOften
from lokole.webmail.pages import page
from lokole.webmail.views import carry, compose
from lokole.webmail.words import gettext

#: forms that hold a letter somebody is writing
_LETTERS = ("compose.send", "compose.save")
#: forms after which every session has ended: one that is sent twice finds none
_WAYS_IN = ("ways.password", "ways.pin", "ways.pictures")

log = logging.getLogger(__name__)


def install(app: Flask) -> None:
    """Have ``app`` answer every failure with a page."""
    app.before_request(_own_forms_only)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(TooOften, _too_often)
    app.register_error_handler(NotFound, _not_found)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(Temporary, _temporary)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def failure(status: int, title: str, sentence: str, picture: str = "mind") -> tuple[str, int]:
    """The page for a failure; asks no database, since that may be what failed."""
    login = status == 401
    back = _page_before() if login else None
    return page("failure.html", title=title, sentence=sentence, picture=picture, login=login, back=back), status


def _page_before() -> str | None:
    """The page of ours that sent the request, so that whoever signs in again comes back to it."""
    before = urlsplit(request.headers.get("Referer", ""))
    if before.netloc != request.host:
        return None
    return own_path(before.path + (f"?{before.query}" if before.query else ""))


def _own_forms_only() -> compose.Answer | None:
    if request.method not in ("GET", "HEAD", "OPTIONS") and from_elsewhere(request):
        return _forged(None)
    return None


def _forged(_error: object) -> compose.Answer:
    if request.endpoint in _LETTERS and not from_elsewhere(request):
        again = compose.unrecognised()
        if again is not None:
            return again
    repeat = repeating.repeat()
    if repeat is not None:
        return _once_more(repeat)
    return failure(
        400,
        gettext("Lokole did not recognise this form"),
        gettext(
            "Perhaps it lay open for a long time, or you have signed in again since. Go back, load the page again and repeat it."
        ),
    )


def _once_more(repeat: repeating.Repeat) -> tuple[str, int]:
    """What was typed, behind a button, for its writer alone: who is signed in now may be somebody else."""
    person = signed_in()
    if person is None:
        return _signed_out(repeat)
    if not repeat.is_of(person):
        return failure(
            403,
            gettext("This is somebody else’s"),
            gettext(
                "Whoever began it here has left since. Nothing was done. If it is yours: sign in as yourself, then load this page again."
            ),
            "bye",
        )
    sentence = gettext(
        "Nothing was done yet, and what you have typed is kept. The button sends it once more, in the name of %(name)s.",
        name=person.name,
    )
    if repeat.files:
        sentence += " " + _files_anew()
    title = gettext("Lokole did not recognise this form")
    return page("again.html", title=title, sentence=sentence, login=False, again=repeat), 400


def _signed_out(repeat: repeating.Repeat | None) -> tuple[str, int]:
    """Nobody is signed in any more; the page keeps what was typed for when its writer comes back to it."""
    title = gettext("Please sign in again")
    if repeat is None:
        return failure(
            401, title, gettext("You were signed out in the meantime. Sign in, then do it once more."), "bye"
        )
    sentence = gettext(
        "You were signed out in the meantime. Sign in in another window, then come back here and repeat it: what you have typed is still there."
    )
    if repeat.files:
        sentence += " " + _files_anew()
    return page("again.html", title=title, sentence=sentence, login=True, back=_page_before(), again=repeat), 401


def _files_anew() -> str:
    return gettext("Only the files that you had just chosen are not there: choose them again.")


def _too_often(_error: TooOften) -> tuple[str, int]:
    return failure(
        429, gettext("That was too often"), gettext("Please wait a little, then try again. Nothing is lost."), "moon"
    )


def _not_found(_error: NotFound) -> tuple[str, int]:
    return failure(
        404,
        gettext("There is nothing here"),
        gettext("Perhaps it was deleted, or it belongs to somebody else."),
        "find",
    )


def _refused(error: Refused) -> tuple[str, int]:
    log.warning("refused: %s at %s", error.code, request.endpoint)
    return failure(
        400, gettext("That did not work"), gettext("Something in this request was not right. Go back and try again.")
    )


def _temporary(error: Temporary) -> tuple[str, int]:
    log.error("temporary failure at %s: %s", request.endpoint, error)
    return failure(
        503,
        gettext("Lokole is busy or its memory is full"),
        gettext(
            "Nothing was changed. Go back: what you have typed is still there. Try again in a minute. If it stays so, tell who looks after the box."
        ),
        "bag",
    )


def _http(error: HTTPException) -> compose.Answer | HTTPException:
    code = error.code or 500
    if code < 400:
        return error
    if code == 401:
        kept = compose.kept_for_its_writer() if request.endpoint in _LETTERS else None
        if kept is not None:
            return kept
        if request.endpoint in _WAYS_IN:
            return failure(
                401,
                gettext("Please sign in again"),
                gettext(
                    "What you have just chosen may count already: sign in with it. If it does not, use what you had before."
                ),
                "bye",
            )
        return _signed_out(repeating.repeat())
    if code == 403:
        return failure(
            403, gettext("This is for the people who look after the box"), gettext("Ask them to do it for you.")
        )
    if code == 404:
        return _not_found(NotFound())
    if code == 405:
        return failure(
            405, gettext("This address does not do that"), gettext("Go back and use the buttons of the page.")
        )
    if code == 413 and request.endpoint in carry.TAKES_FILES:
        return failure(413, gettext("This is too large"), carry.refusal("too-large"), "bag")
    if code == 413:
        return failure(
            413,
            gettext("This is too large"),
            gettext("Take fewer or smaller files. Go back: what you have typed is still there."),
            "bag",
        )
    if code == 429:
        return _too_often(TooOften("request"))
    if code < 500:
        return failure(
            code,
            gettext("That did not work"),
            gettext("Something in this request was not right. Go back and try again."),
        )
    return _broken()


def _unexpected(error: Exception) -> tuple[str, int]:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        # a form with a file lies on the disk before a view sees it
        return _temporary(Temporary("no space left"))
    # the type and the place, never the message: it may quote a letter
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place is not None else "?"
    log.error("%s at %s in %s", type(error).__name__, where, request.endpoint)
    return _broken()


def _broken() -> tuple[str, int]:
    return failure(
        500,
        gettext("That did not work"),
        gettext(
            "It is not your fault. Go back and try again; if it happens again, tell the people who look after the box."
        ),
    )


__all__ = ["failure", "install"]
