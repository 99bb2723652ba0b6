"""The lists: inbox, sent, archive, a person's own folders, deleted, waiting; and how one of them is filled.

Reading is a link; opening an *unread* letter from a list is a button, because it changes something: the letter is read from then on.
So it works for everybody, with scripts or without, and no address that can be followed ever marks a letter.
What the buttons do is ``marking.py``, looking for letters is ``finding.py``, the folders themselves are ``folders.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mail.model import Account, Delivery, DeliveryState, EmailNo, FolderName
from lokole.mailbox import conversations, deleted, folders, letters, lists, recipients, taking_back, visits
from lokole.mailbox.database import Connection
from lokole.webmail import access, health
from lokole.webmail.cost import LETTER_BYTES, price
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page, sentence
from lokole.webmail.parts import parts
from lokole.webmail.reasons import their_words, why
from lokole.webmail.words import gettext

blueprint = Blueprint("mailbox", __name__)

#: of the recipients of a letter so many are named, the others counted
NAMED = 20


@blueprint.get("/email")
@blueprint.get("/email/inbox/<int:number>")
def first_page(number: int = 1) -> AnyResponse:
    """Addresses of the first Lokole; its numbered pages begin at the top here."""
    return redirect(url_for("mailbox.inbox"), 303)


@blueprint.get("/email/inbox")
def inbox() -> str:
    """What came, newest first."""
    return _folder_page(FolderName.INBOX, "inbox")


@blueprint.get("/email/sent")
def sent() -> str:
    """What this person wrote, newest first."""
    return _folder_page(FolderName.SENT)


@blueprint.get("/email/archive")
def archive() -> str:
    """What this person put aside."""
    return _folder_page(FolderName.ARCHIVE)


@blueprint.get("/email/folder/<code>")
def folder(code: str) -> str:
    """One of this person's own folders; 404 for anybody else's."""
    with parts().ports.database.read() as tx:
        folders.find_folder(tx, access.account(), code)
    return _folder_page(code)


@blueprint.get("/email/deleted")
def thrown_away() -> str:
    """What this person deleted in the last thirty days, to be put back."""
    person = access.account()
    with parts().ports.database.read() as tx:
        found = deleted.list_deleted(
            tx, person, before=_cursor("before"), after=_cursor("after"), limit=parts().settings.rows_per_page
        )
        return page("deleted.html", tx, place="more", **list_values(found, "mailbox.thrown_away"))


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
        waiting = [
            (row, ways(recipients.deliveries(tx, person.tenant, row.no)))
            for row in {row.no: row for row in rows}.values()
        ]
        return page(
            "waiting.html",
            tx,
            place="waiting",
            letters=waiting,
            in_bag=taking_back.in_bag(tx, person, [row.no for row, _ways in waiting]),
            costs=_costs(tx, person, [row.no for row, states in waiting if _in_bag(states)]),
            who_has_it=who_has_it,
            named=NAMED,
            **_links(found, "mailbox.outbox"),
            **tonight(tx),
        )


@blueprint.get("/email/unread")
def unread() -> Response:
    """``{"unread": true}`` while a letter waits to be read; for the pages' own script and for other programs."""
    with parts().ports.database.read() as tx:
        count = lists.counts(tx, access.account()).unread
    return jsonify(unread=count > 0, count=count)


def folder_values(tx: Connection, person: Account, folder: str, chosen: int | None = None) -> dict[str, Any]:
    """What ``list.html`` needs to show ``folder``; with ``chosen``, a letter beside it."""
    before, after = (None, None) if chosen else (_cursor("before"), _cursor("after"))
    together = conversations.wants_conversations(tx, person)
    read = conversations.list_conversations if together else lists.list_folder
    found = read(tx, person, folder, before=before, after=after, limit=parts().settings.rows_per_page)
    title, empty = _words_of(tx, person, folder)
    picking = request.args.get("pick", "") if chosen is None else ""
    return list_values(found, *place_of(folder)) | {
        "list_title": title,
        "list_address": _address(folder),
        "empty": empty,
        "shows_recipients": folder == FolderName.SENT,
        "chosen": chosen,
        "together": together,
        "pick": picking if picking in ("some", "all") else "",
        "targets": targets(tx, person, folder) if picking else [],
    }


def list_values(found: lists.Page, endpoint: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
    """The rows of a page, the words and links of its pager, and where its forms lead back to."""
    values = _links(found, endpoint, query)
    first, last = found.start, (found.start or 0) + len(found.rows) - 1
    values["range_line"] = ""
    if first is not None and found.total:
        total = gettext("more than %(n)s", n=found.total) if found.more else found.total
        values["range_line"] = gettext("%(first)s–%(last)s of %(total)s", first=first, last=last, total=total)
    values["rows"] = found.rows
    values["back"] = _here()
    values["pick_some"], values["pick_all"] = _here(pick="some"), _here(pick="all")
    return values


def targets(tx: Connection, person: Account, but: str = "") -> list[tuple[str, str]]:
    """Where a letter may be moved to: (id, name)."""
    found = [(FolderName.INBOX.value, gettext("Inbox")), (FolderName.ARCHIVE.value, gettext("Archive"))]
    found += [(one.id, one.name) for one in folders.list_folders(tx, person)]
    return [one for one in found if one[0] != but]


def tonight(tx: Connection) -> dict[str, Any]:
    """When the next bag leaves and how the last exchange went, for the pages that say so."""
    here = parts().tenants.here
    last = visits.last_visits(tx, here, limit=1) if here is not None else []
    ended = last[0] if last and last[0].ended_at is not None else None
    return {
        "leaves_at": health.leaves_at(tx, here) if here is not None else None,
        "last_visit": ended,
        "went_wrong": here is not None and ended is not None and health.went_wrong(tx, here, ended),
        "sentence": sentence,
        "why": why,
        "their_words": their_words,
    }


def ways(each: list[Delivery] | tuple[Delivery, ...]) -> list[tuple[DeliveryState, list[Delivery]]]:
    """The recipients of a letter, together where they are equally far; those who need attention first."""
    order = (
        DeliveryState.REFUSED,
        DeliveryState.WAITING,
        DeliveryState.AT_SERVER,
        DeliveryState.ACCEPTED,
        DeliveryState.LOCAL,
    )
    return [
        (state, [one for one in each if one.state is state])
        for state in order
        if any(one.state is state for one in each)
    ]


def who_has_it(each: Iterable[Delivery]) -> str:
    """The names of the people of this box who have a letter that others wait for, but the writer's own; empty when nobody has it."""
    me = access.account().address.key
    names = [one.address for one in each if one.state is DeliveryState.LOCAL and one.address != me]
    return ", ".join(address.partition("@")[0] for address in names[:NAMED])


def _in_bag(states: list[tuple[DeliveryState, list[Delivery]]]) -> bool:
    return any(state is DeliveryState.WAITING for state, _people in states)


def _costs(tx: Connection, person: Account, numbers: list[EmailNo]) -> dict[int, str]:
    """What each of these letters will cost on its way, in words; empty without a price."""
    asked = price(tx, person.tenant)
    if asked.per_mb is None or not numbers:
        return {}
    return {no: asked.about(size + LETTER_BYTES) for no, size in letters.weights(tx, person.tenant, numbers).items()}


def _folder_page(name: str, place: str = "more") -> str:
    with parts().ports.database.read() as tx:
        values = folder_values(tx, access.account(), name)
        return page("inbox.html", tx, place=place, **values, **tonight(tx))


def _words_of(tx: Connection, person: Account, folder: str) -> tuple[str, tuple[str, str, str]]:
    """The title of a list, and what it says when it is empty: picture, title, sentence."""
    if folder == FolderName.INBOX:
        says = (
            gettext("Letters come here at any time.")
            if parts().settings.in_town
            else gettext("Letters come at night. Look again tomorrow morning.")
        )
        return gettext("Letters received"), ("in", gettext("No letter yet"), says)
    if folder == FolderName.SENT:
        return gettext("Sent letters"), ("pen", gettext("No letter sent yet"), gettext("What you write is kept here."))
    if folder == FolderName.ARCHIVE:
        says = gettext("Put letters here that you want to keep out of the inbox.")
        return gettext("Archive"), ("box", gettext("The archive is empty"), says)
    names = {one.id: one.name for one in folders.list_folders(tx, person)}
    says = gettext("Choose letters in a list, then move them here.")
    return names.get(folder, gettext("Folder")), ("box", gettext("This folder is empty"), says)


def place_of(folder: str) -> tuple[str, dict[str, Any]]:
    """The endpoint that shows a folder, and what it is asked with."""
    known = {
        FolderName.INBOX.value: "mailbox.inbox",
        FolderName.SENT.value: "mailbox.sent",
        FolderName.ARCHIVE.value: "mailbox.archive",
    }
    endpoint = known.get(str(folder))
    return (endpoint, {}) if endpoint else ("mailbox.folder", {"code": folder})


def _address(folder: str) -> str:
    endpoint, values = place_of(folder)
    return url_for(endpoint, **values)


def _links(found: lists.Page, endpoint: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
    query = query or {}
    return {
        "older": url_for(endpoint, before=found.older, **query) if found.older else None,
        "newer": url_for(endpoint, after=found.newer, **query) if found.newer else None,
    }


def _here(**changed: str) -> str:
    """The address of this page, for coming back to it; what was chosen is over then."""
    values: dict[str, Any] = {name: value for name, value in request.args.items() if name != "pick"} | changed
    return url_for(request.endpoint or "mailbox.inbox", **(request.view_args or {}), **values)


def _cursor(name: str) -> int | None:
    return request.args.get(name, type=row_number)


def cursors() -> dict[str, int | None]:
    """``before`` and ``after`` as the pager of this page asks."""
    return {"before": _cursor("before"), "after": _cursor("after")}


__all__ = [
    "NAMED",
    "blueprint",
    "cursors",
    "folder_values",
    "list_values",
    "place_of",
    "targets",
    "tonight",
    "ways",
    "who_has_it",
]
