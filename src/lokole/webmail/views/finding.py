"""Looking for letters: words, and further down from whom, to whom, with files, when, where, unread, starred.

The form is a GET: what was looked for can be kept as an address, and looking changes nothing.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, abort, request

from lokole.mail.model import FolderName
from lokole.mailbox import filters, folders
from lokole.webmail import access, language
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.mailbox import cursors, list_values, targets
from lokole.webmail.words import gettext

blueprint = Blueprint("finding", __name__)

_MAX_CHARS = 200


@blueprint.get("/email/search")
def search() -> str:
    """Letters with all the words of ``query`` in subject, text, or the names and addresses in it, that fit the filters."""
    settings, person = parts().settings, access.account()
    if not settings.search:
        abort(404)
    asked = {name: request.args.get(name, "")[:_MAX_CHARS].strip() for name in ("query", "from", "to", "in")}
    asked |= {name: request.args.get(name, "")[:10] for name in ("since", "until", "file", "unread", "star")}
    used = {name: value for name, value in asked.items() if value}
    wanted, wrong = _filters(asked)
    with parts().ports.database.read() as tx:
        if wanted.folder and not (wanted.folder == FolderName.SENT or folders.is_folder(tx, person, wanted.folder)):
            abort(404)
        values: dict[str, Any] = {"rows": (), "older": None, "newer": None}
        if used and not wrong:
            found = filters.find(tx, person, asked["query"], wanted, limit=settings.rows_per_page, **cursors())
            values = list_values(found, "finding.search", used)
        places = [(FolderName.SENT.value, gettext("Sent letters")), *targets(tx, person)]
        return page(
            "search.html",
            tx,
            place="more",
            asked=asked,
            looked=bool(used) and not wrong,
            used=sum(name != "query" for name in used),
            wrong=wrong,
            places=places,
            **values,
        )


def _filters(asked: dict[str, str]) -> tuple[filters.Filters, list[str]]:
    """The filters that were asked for, and the names of fields that hold no date."""
    moments: dict[str, datetime | None] = {}
    wrong = []
    for name in ("since", "until"):
        moments[name] = None
        if asked[name]:
            try:
                moments[name] = _begin_of(date.fromisoformat(asked[name]), days=1 if name == "until" else 0)
            except (ValueError, OverflowError):
                wrong.append(name)
    return (
        filters.Filters(
            sender=asked["from"],
            to=asked["to"],
            since=moments["since"],
            until=moments["until"],
            folder=asked["in"],
            attachment=bool(asked["file"]),
            unread=bool(asked["unread"]),
            starred=bool(asked["star"]),
        ),
        wrong,
    )


def _begin_of(day: date, days: int) -> datetime:
    """The moment at which ``day`` begins for the person who asks, or ends with ``days`` 1."""
    return datetime.combine(day + timedelta(days=days), datetime.min.time(), tzinfo=language.zone())
