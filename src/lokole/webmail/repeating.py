"""A form that could not be taken, because its session has ended since it was shown: what was typed in it is not lost.

Each form of somebody who is signed in says whose it is (``pages.py``). When it comes too late, the answer carries its texts on,
hidden, with one button that sends them again. Nothing is done before the writer has entered and pressed it, nor ever in another's name.
Letters have a better way: they are kept (``views/compose.py``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import request

from lokole.mail.model import Account
from lokole.webmail import access
from lokole.webmail.headers import from_here

#: the field that says whose a form is
WRITER = "who"
#: the field that names fields of files which did not come along
LOST = "files_lost"
#: fields with what lets somebody in: a form with one of them is typed anew, and is never carried about
SECRETS = frozenset({"password", "old", "new", "again", "pin", "p", "so_far", "first"})
#: characters of all texts together; more is nobody's list or notice, and a box has little memory
_MOST = 1_000_000
_MARK = re.compile("[0-9a-f]{16}")
#: what the scripts of the pages ask, where no page is shown for an answer
_BY_SCRIPTS = frozenset({"compose.check", "compose.save"})


@dataclass(frozen=True, slots=True)
class Repeat:
    """Where a form goes, its texts, the fields of its files (which did not come along), and the mark of its writer."""

    action: str
    texts: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    writer: str

    def is_of(self, person: Account) -> bool:
        """Whether ``person`` is its writer."""
        return self.writer == access.mark_of(person)


def repeat() -> Repeat | None:
    """The form that was sent, to be sent again; None for one that is not somebody's, not from our own pages, secret, or too large."""
    form, writer = request.form, request.form.get(WRITER, "")
    if request.endpoint in access.PUBLIC | _BY_SCRIPTS or not _MARK.fullmatch(writer) or not from_here(request):
        return None
    if SECRETS & form.keys():
        return None
    ours = ("csrf_token", WRITER, LOST)
    texts = tuple((name, text) for name, text in form.items(multi=True) if name not in ours)
    action = access.own_path(request.script_root + request.full_path.rstrip("?"))
    if action is None or sum(len(name) + len(text) for name, text in texts) > _MOST:
        return None
    files = [name for name, file in request.files.items(multi=True) if file.filename] + form.getlist(LOST)
    return Repeat(action, texts, tuple(dict.fromkeys(files)), writer)
