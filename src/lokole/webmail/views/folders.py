"""The folders: all of them with what they hold, and making, renaming and taking away one's own."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mailbox import conversations, folders, lists
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext

blueprint = Blueprint("folders", __name__)


@blueprint.get("/email/folders")
def overview() -> str:
    """Every folder with how many letters it holds, and how lists are shown."""
    return _overview()


@blueprint.post("/email/folders")
def create() -> str | Response:
    """A new folder; a name that will not do is said beside the field, what was typed stays."""
    person, ports = access.account(), parts().ports
    name = request.form.get("name", "")[:1000]
    try:
        with ports.database.write() as tx:
            made = folders.create_folder(tx, person, name, ports.entropy, ports.origin)
    except Refused as error:
        with ports.database.read() as tx:
            there = [one for one in folders.list_folders(tx, person) if one.name == name.strip()]
        if error.code != "taken" or not there:
            return _overview(name=name, error=_said(error))
        made = there[0]  # the button was pressed twice; both ends may have made one of this name
    return redirect(url_for("mailbox.folder", code=made.id), 303)


@blueprint.get("/email/folders/<code>")
def change(code: str) -> str:
    """Another name for a folder, or away with it."""
    return _change(code)


@blueprint.post("/email/folders/<code>")
def rename(code: str) -> str | Response:
    """The new name of a folder."""
    name = request.form.get("name", "")[:1000]
    try:
        with parts().ports.database.write() as tx:
            folders.rename_folder(tx, access.account(), code, name, parts().ports.origin)
    except Refused as error:
        return _change(code, name=name, error=_said(error))
    return redirect(url_for("mailbox.folder", code=code), 303)


@blueprint.post("/email/folders/<code>/delete")
def delete(code: str) -> Response:
    """The folder goes, its letters go to the archive."""
    with parts().ports.database.write() as tx:
        folders.delete_folder(tx, access.account(), code, parts().ports.origin)
    flash("folder-gone")
    return redirect(url_for("mailbox.archive"), 303)


@blueprint.post("/email/conversations")
def together() -> Response:
    """Whether lists show one line per conversation, for this person."""
    with parts().ports.database.write() as tx:
        conversations.set_conversations(tx, access.account(), request.form.get("together") == "yes")
    return redirect(access.own_path(request.form.get("back")) or url_for("mailbox.inbox"), 303)


def _overview(name: str = "", error: str = "") -> str:
    person = access.account()
    with parts().ports.database.read() as tx:
        return page(
            "folders.html",
            tx,
            place="more",
            own=folders.list_folders(tx, person),
            totals=lists.counts(tx, person).totals,
            together=conversations.wants_conversations(tx, person),
            name=name,
            error=error,
        )


def _change(code: str, name: str = "", error: str = "") -> str:
    person = access.account()
    with parts().ports.database.read() as tx:
        found = folders.find_folder(tx, person, code)
        total = lists.counts(tx, person).totals.get(code, 0)
        return page("folder.html", tx, place="more", folder=found, total=total, name=name or found.name, error=error)


def _said(error: Refused) -> str:
    return {
        "empty": gettext("Please give the folder a name."),
        "long": gettext("This name is too long."),
        "taken": gettext("You have a folder of this name already."),
        "many": gettext("You have a hundred folders. Take one away first."),
    }.get(error.code, gettext("That did not work."))
