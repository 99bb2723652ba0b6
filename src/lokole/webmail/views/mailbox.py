"""The lists: inbox, sent, waiting, search; and the one form that the buttons of a list belong to.

Reading is a link; opening an *unread* letter from a list is a button, because it changes something: the letter is read from then on.
So it works for everybody, with scripts or without, and no address that can be followed ever marks a letter.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mail.model import Account, Delivery, DeliveryState, EmailNo, FolderName
from lokole.mailbox import lists, recipients, visits
from lokole.mailbox import search as full_text
from lokole.mailbox.database import Connection
from lokole.webmail import access
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page, sentence
from lokole.webmail.parts import parts
from lokole.webmail.reasons import their_words, why
from lokole.webmail.words import gettext

blueprint = Blueprint("mailbox", __name__)


@blueprint.get("/email")
@blueprint.get("/email/inbox/<int:number>")
def first_page(number: int = 1) -> AnyResponse:
    """Addresses of the first Lokole; its numbered pages begin at the top here."""
    return redirect(url_for("mailbox.inbox"), 303)


@blueprint.get("/email/inbox")
def inbox() -> str:
    """What came, newest first."""
    with parts().ports.database.read() as tx:
        values = folder_values(tx, access.account(), FolderName.INBOX)
        return page("inbox.html", tx, place="inbox", **values, **tonight(tx))


@blueprint.get("/email/sent")
def sent() -> str:
    """What this person wrote, newest first."""
    with parts().ports.database.read() as tx:
        values = folder_values(tx, access.account(), FolderName.SENT)
        return page("inbox.html", tx, place="more", **values, **tonight(tx))


@blueprint.get("/email/search")
def search() -> str:
    """Letters with all the words of ``query`` in subject, text, or the names and addresses in it."""
    settings, person = parts().settings, access.account()
    if not settings.search:
        abort(404)
    query = request.args.get("query", "")[:200].strip()
    with parts().ports.database.read() as tx:
        values: dict[str, Any] = {"rows": []}
        if query:
            found = full_text.search(
                tx, person, query, limit=settings.rows_per_page, before=_cursor("before"), after=_cursor("after")
            )
            values = _list_values(found, "mailbox.search", query=query)
        return page("search.html", tx, place="more", query=query, **values)


@blueprint.get("/email/outbox")
def outbox() -> str:
    """What is still on its way or did not arrive, and what became of the last ones."""
    settings, person = parts().settings, access.account()
    with parts().ports.database.read() as tx:
        found = lists.list_outbox(
            tx, person, before=_cursor("before"), after=_cursor("after"), limit=settings.rows_per_page
        )
        rows = list(found.rows)
        if found.newer is None:
            # what is beyond the box but not at its end: refused ones first, they ask for something
            refused, at_server = (
                lists.list_in_state(tx, person, state, limit=settings.rows_per_page)
                for state in (DeliveryState.REFUSED, DeliveryState.AT_SERVER)
            )
            rows = refused + rows + at_server
        waiting = [(row, _ways(tx, person, row.no)) for row in {row.no: row for row in rows}.values()]
        return page(
            "waiting.html", tx, place="waiting", letters=waiting, **_links(found, "mailbox.outbox"), **tonight(tx)
        )


@blueprint.get("/email/unread")
def unread() -> Response:
    """``{"unread": true}`` while a letter waits to be read; for the pages' own script and for other programs."""
    with parts().ports.database.read() as tx:
        count = lists.counts(tx, access.account()).unread
    return jsonify(unread=count > 0, count=count)


@blueprint.post("/email/mark")
def mark() -> AnyResponse:
    """A button of a list: ``open`` marks a letter as read and shows it, ``star`` and ``unstar`` do what they say."""
    for word, flag, value in (("open", "read", True), ("star", "starred", True), ("unstar", "starred", False)):
        no = request.form.get(word, type=row_number)
        if no is None:
            continue
        _flag(no, flag, value)
        if word == "open":
            return redirect(url_for("letter.show", no=no), 303)
        return redirect(access.own_path(request.form.get("back")) or url_for("letter.show", no=no), 303)
    abort(400)


@blueprint.post("/email/read/<int:no>")
def mark_read(no: int) -> AnyResponse:
    """For a letter that was opened by its address: from now on it is read."""
    _flag(no, "read", True)
    return redirect(url_for("letter.show", no=no), 303)


def _flag(no: int, flag: str, value: bool) -> None:
    ports = parts().ports
    with ports.database.write() as tx:
        access.own_entry(tx, no)
        lists.set_flag(tx, access.account(), EmailNo(no), flag, value, ports.origin)


def folder_values(tx: Connection, person: Account, folder: FolderName, chosen: int | None = None) -> dict[str, Any]:
    """What ``list.html`` needs to show ``folder``; with ``chosen``, a letter beside it."""
    before, after = (None, None) if chosen else (_cursor("before"), _cursor("after"))
    found = lists.list_folder(tx, person, folder, before=before, after=after, limit=parts().settings.rows_per_page)
    if folder is FolderName.SENT:
        title, endpoint = gettext("Sent letters"), "mailbox.sent"
        empty = ("pen", gettext("No letter sent yet"), gettext("What you write is kept here."))
    else:
        title, endpoint = gettext("Letters received"), "mailbox.inbox"
        empty = ("in", gettext("No letter yet"), gettext("Letters come at night. Look again tomorrow morning."))
    values = _list_values(found, endpoint)
    return {
        **values,
        "list_title": title,
        "empty": empty,
        "shows_recipients": folder is FolderName.SENT,
        "chosen": chosen,
    }


def tonight(tx: Connection) -> dict[str, Any]:
    """When the next bag leaves and how the last exchange went, for the pages that say so."""
    ports = parts().ports
    here = parts().tenants.here
    last = visits.last_visits(tx, here, limit=1) if here is not None else []
    return {
        "leaves_at": ports.next_departure() if ports.next_departure is not None else None,
        "last_visit": last[0] if last and last[0].ended_at is not None else None,
        "sentence": sentence,
        "why": why,
        "their_words": their_words,
    }


def _list_values(found: lists.Page, endpoint: str, **query: Any) -> dict[str, Any]:
    values = _links(found, endpoint, **query)
    first, last = found.start, (found.start or 0) + len(found.rows) - 1
    values["range_line"] = ""
    if first is not None:
        total = gettext("more than %(n)s", n=found.total) if found.more else found.total
        values["range_line"] = gettext("%(first)s–%(last)s of %(total)s", first=first, last=last, total=total)
    values["rows"] = found.rows
    values["back"] = (
        request.full_path.rstrip("?")
        if not request.script_root
        else request.script_root + request.full_path.rstrip("?")
    )
    return values


def _links(found: lists.Page, endpoint: str, **query: Any) -> dict[str, Any]:
    return {
        "older": url_for(endpoint, before=found.older, **query) if found.older else None,
        "newer": url_for(endpoint, after=found.newer, **query) if found.newer else None,
    }


def _ways(tx: Connection, person: Account, no: EmailNo) -> list[tuple[DeliveryState, list[Delivery]]]:
    """The recipients of a letter, together where they are equally far; those who need attention first."""
    order = (
        DeliveryState.REFUSED,
        DeliveryState.WAITING,
        DeliveryState.AT_SERVER,
        DeliveryState.ACCEPTED,
        DeliveryState.LOCAL,
    )
    each = recipients.deliveries(tx, person.tenant, no)
    return [
        (state, [one for one in each if one.state is state])
        for state in order
        if any(one.state is state for one in each)
    ]


def _cursor(name: str) -> int | None:
    return request.args.get(name, type=row_number)
