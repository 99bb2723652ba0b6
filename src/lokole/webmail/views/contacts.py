"""The address book and the groups: it fills itself from letters, and is mended here by hand."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account
from lokole.mailbox import contacts
from lokole.mailbox.database import Connection
from lokole.webmail import access, addressing
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext

blueprint = Blueprint("contacts", __name__)

_PER_PAGE = 50
_MOST_TYPED = 20_000


@blueprint.route("/contacts", methods=["GET", "POST"])
def book() -> str | Response | tuple[str, int]:
    """Everybody in it by name, or whoever has the words of ``query``; POST writes a new line."""
    person = access.account()
    if request.method == "POST":
        return _put(person, None)
    with parts().ports.database.read() as tx:
        return _book(tx, person)


@blueprint.route("/contacts/<int:no>", methods=["GET", "POST"])
def line(no: int) -> str | Response | tuple[str, int]:
    """One line: change it, or with the button ``remove`` take it out."""
    person = access.account()
    with parts().ports.database.read() as tx:
        known = contacts.get_contact(tx, person, no)
        if known is None:
            raise NotFound("no such line")
        if request.method == "GET":
            return page("contact.html", tx, place="more", known=known, name=known.name, address=known.address)
    if request.form.get("do") == "remove":
        with parts().ports.database.write() as tx:
            contacts.remove_contact(tx, person, no)
        flash("removed")
        return redirect(url_for("contacts.book"), 303)
    return _put(person, known)


@blueprint.route("/contacts/groups", methods=["GET", "POST"])
def new_group() -> str | Response | tuple[str, int]:
    """A new group."""
    if request.method == "POST":
        return _put_group(access.account(), None)
    with parts().ports.database.read() as tx:
        return page("group.html", tx, place="more", group=None, name="", members="", errors={}, near=[])


@blueprint.route("/contacts/groups/<int:no>", methods=["GET", "POST"])
def group(no: int) -> str | Response | tuple[str, int]:
    """One group: change it, or with the button ``remove`` take it away; its people stay in the address book."""
    person = access.account()
    with parts().ports.database.read() as tx:
        known = contacts.get_group(tx, person, no)
        if known is None:
            raise NotFound("no such group")
        if request.method == "GET":
            members = ", ".join(known.members)
            return page(
                "group.html", tx, place="more", group=known, name=known.name, members=members, errors={}, near=[]
            )
    if request.form.get("do") == "remove":
        with parts().ports.database.write() as tx:
            contacts.remove_group(tx, person, no)
        flash("removed")
        return redirect(url_for("contacts.book"), 303)
    return _put_group(person, known)


def _book(tx: Connection, person: Account, **values: Any) -> str:
    words = " ".join(request.args.get("query", "")[:100].split())
    everybody = contacts.list_contacts(tx, person, words=words)
    first = min(request.args.get("first", 0, type=row_number), max(len(everybody) - 1, 0))
    first -= first % _PER_PAGE
    shown = {"name": "", "address": "", "problem": ""} | values

    def beside(at: int) -> str:
        return url_for("contacts.book", query=words or None, first=at)

    return page(
        "contacts.html",
        tx,
        place="more",
        people=everybody[first : first + _PER_PAGE],
        groups=contacts.list_groups(tx, person),
        query=words,
        total=len(everybody),
        first=first,
        before=beside(first - _PER_PAGE) if first else None,
        further=beside(first + _PER_PAGE) if first + _PER_PAGE < len(everybody) else None,
        **shown,
    )


def _put(person: Account, known: contacts.Known | None) -> Response | tuple[str, int]:
    """Write the line that was typed; the page again with a sentence when it is none."""
    name, address = request.form.get("name", "")[:200], request.form.get("address", "")[:330].strip()
    whole = address if "@" in address or not address else f"{address}@{person.domain}"
    try:
        with parts().ports.database.write() as tx:
            contacts.put_contact(tx, person, whole, name, known.no if known is not None else None)
    except Refused:
        problem = gettext("“%(address)s” is not an address. Write it like name@example.com", address=address[:80])
        with parts().ports.database.read() as tx:
            if known is None:
                return _book(tx, person, name=name, address=address, problem=problem), 400
            values = {"known": known, "name": name, "address": address, "problem": problem}
            return page("contact.html", tx, place="more", **values), 400
    flash("saved")
    return redirect(url_for("contacts.book"), 303)


def _put_group(person: Account, known: contacts.Group | None) -> Response | tuple[str, int]:
    name, members = request.form.get("name", "")[:200], request.form.get("members", "")[:_MOST_TYPED]
    offer = request.form.get("do", "")
    if offer.startswith("fix:"):
        typed, _, meant = offer[4:].rpartition(" ")
        members = addressing.put_in_place(members, typed, meant[:320])
    with parts().ports.database.read() as tx:
        found = addressing.check(tx, person, members)
    errors: dict[str, str] = {}
    if found.errors:
        errors["members"] = " ".join(found.errors)
    else:
        try:
            with parts().ports.database.write() as tx:
                addresses = [one.address for one in found.people]
                made = None if known is not None else contacts.find_group(tx, person, name)
                twice = made is not None and (made.name, list(made.members)) == (name.strip(), addresses)
                if not twice:  # a button that was pressed twice has made it already
                    contacts.put_group(tx, person, name, addresses, known.no if known is not None else None)
        except Refused as error:
            where = "members" if error.code == "members" else "name"
            errors[where] = _why_no_group(error.code if name.strip() else "empty")
    if errors:
        with parts().ports.database.read() as tx:
            values = {"group": known, "name": name, "members": members, "errors": errors, "near": found.near}
            return page("group.html", tx, place="more", **values), 400
    flash("saved")
    return redirect(url_for("contacts.book"), 303)


def _why_no_group(code: str) -> str:
    if code == "members":
        return gettext("A group has between 1 and %(n)s people.", n=contacts.MAX_MEMBERS)
    if code == "taken":
        return gettext("You have a group of this name already.")
    if code == "too-many":
        return gettext("You have %(n)s groups. Take one away first.", n=contacts.MAX_GROUPS)
    if code == "empty":
        return gettext("Please give the group a name.")
    return gettext("A group needs a name without commas, points of addresses or brackets.")
