"""How often somebody may guess at a way in: ten times in any minute for one person, however many guess and from wherever.

The ten are shared out so that whoever guesses cannot keep the owner out: four are kept for telephones on which the person
has said "this is my own telephone" before, and of the six for all others one place may take four.
A place is the address of the caller. Names that nobody has are counted in the same way, so that nothing tells them apart.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

from flask import Response, after_this_request, request

from lokole.mailbox import limits as table
from lokole.mailbox.database import Connection
from lokole.webmail import limits
from lokole.webmail.limits import TooOften
from lokole.webmail.parts import parts

MINUTE = timedelta(minutes=1)
KNOWN, STRANGERS, ONE_PLACE = 4, 6, 4
#: from so many wrong guesses on somebody is told at their next coming in
WORTH_TELLING = 5
_REMEMBERED = timedelta(days=400)
_WRONG_FOR = timedelta(days=60)

Meant = tuple[int, str]


def count_guess(meant: Meant) -> int:
    """Count one more guess at ``meant`` (tenant and name); returns how many are left at once, raises TooOften when none was."""
    ports = parts().ports
    key, now = "guess:" + _digest(meant), ports.clock()
    with ports.database.write() as tx:
        if _is_known(meant):
            left = table.take_place(tx, f"{key}:known", KNOWN, MINUTE, now)
        else:
            left = table.take_place(tx, f"{key}:at:{request.remote_addr}", ONE_PLACE, MINUTE, now)
            if left is not None:
                all_left = table.take_place(tx, f"{key}:others", STRANGERS, MINUTE, now)
                left = None if all_left is None else min(left, all_left)
    if left is None:
        raise TooOften("sign-in")  # nothing was written: guessing on costs the card nothing
    limits.count(parts().settings.sign_in_tries_per_place, "sign-in-place", request.remote_addr)
    return left


def was_right(tx: Connection, meant: Meant) -> None:
    """Who knows the way in does not guess: the place is given back, so that nobody is kept out by coming in often."""
    key, now = "guess:" + _digest(meant), parts().ports.clock()
    if _is_known(meant):
        table.give_place(tx, f"{key}:known", KNOWN, MINUTE, now)
    else:
        table.give_place(tx, f"{key}:at:{request.remote_addr}", ONE_PLACE, MINUTE, now)
        table.give_place(tx, f"{key}:others", STRANGERS, MINUTE, now)


def note_wrong(meant: Meant) -> None:
    """It was not right; whoever it is will be told how often when they come in."""
    ports = parts().ports
    with ports.database.write() as tx:
        table.add_count(tx, "wrong:" + _digest(meant), _WRONG_FOR, ports.clock())


def take_wrong(tx: Connection, meant: Meant) -> int:
    """How many wrong guesses there were since the last time, which is now."""
    key = "wrong:" + _digest(meant)
    found = table.get_count(tx, key, parts().ports.clock())
    table.clear_count(tx, key)
    return found


def remember_telephone(meant: Meant) -> None:
    """Know this browser as one of the person's own; the cookie names nobody and opens nothing."""

    def keep(response: Response) -> Response:
        settings = parts().settings
        response.set_cookie(
            _cookie(),
            _token(meant),
            max_age=_REMEMBERED,
            path=settings.prefix or "/",
            secure=settings.secure_cookie,
            httponly=True,
            samesite="Lax",
        )
        return response

    after_this_request(keep)


def _is_known(meant: Meant) -> bool:
    return hmac.compare_digest(request.cookies.get(_cookie(), "").encode(), _token(meant).encode())


def _cookie() -> str:
    return parts().settings.cookie_name + "_own"


def _token(meant: Meant) -> str:
    return hmac.new(parts().settings.session_key, f"own telephone of {meant}".encode(), hashlib.sha256).hexdigest()[:32]


def _digest(meant: Meant) -> str:
    return hashlib.sha256(f"{meant[0]} {meant[1]}".encode("utf-8", "replace")).hexdigest()[:32]
