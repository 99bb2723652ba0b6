"""What a person sets for their letters: signature, answer while away, rules. One page with a form for each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mailbox import letter_options, rules
from lokole.mailbox.letter_options import MAX_CHARS, LetterOptions
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext

blueprint = Blueprint("preferences", __name__)


@blueprint.get("/user/letters")
def letters() -> str:
    """The page."""
    return _page()


@blueprint.post("/user/letters/signature")
def signature() -> Response:
    """Keep the signature."""
    person = access.account()
    with parts().ports.database.write() as tx:
        text = _text("signature")
        letter_options.set_options(tx, person, replace(letter_options.get_options(tx, person), signature=text))
    return _saved()


@blueprint.post("/user/letters/answer")
def answer() -> Response | tuple[str, int]:
    """Turn the answer while away on or off; on the box only, where letters are sorted."""
    _not_in_town()
    person, errors = access.account(), {}
    days: dict[str, date | None] = {}
    for name in ("answer_from", "answer_until"):
        typed = request.form.get(name, "").strip()
        try:
            days[name] = date.fromisoformat(typed) if typed else None
        except ValueError:
            errors[name] = gettext("Write the day like 2026-12-31.")
    first, last = days.get("answer_from"), days.get("answer_until")
    if first and last and last < first:
        errors["answer_until"] = gettext("The last day is before the first one.")
    switched_on = request.form.get("answer") == "y"
    text = _text("answer_text")
    if switched_on and not text.strip():
        errors["answer_text"] = gettext("Write what the answer says.")
    if errors:
        typed_values = {name: request.form.get(name, "")[:20] for name in ("answer_from", "answer_until")}
        return _page(errors=errors, answer=switched_on, answer_text=text, **typed_values), 400
    with parts().ports.database.write() as tx:
        known = letter_options.get_options(tx, person)
        changed = LetterOptions(known.signature, switched_on, text, first, last)
        letter_options.set_options(tx, person, changed)
    return _saved()


@blueprint.post("/user/letters/rules")
def add_rule() -> Response | tuple[str, int]:
    """A new rule; on the box only."""
    _not_in_town()
    person = access.account()
    typed = {name: request.form.get(name, "")[:400].strip() for name in ("field", "words", "action", "to")}
    action, _, folder = typed["action"].partition(":")
    target = folder if action == "move" else typed["to"]
    if action == "forward" and target and "@" not in target:
        target = f"{target}@{person.domain}"
    try:
        with parts().ports.database.write() as tx:
            rules.add_rule(tx, person, typed["field"], typed["words"], action, target)
    except Refused as error:
        where = {"words": "words", "address": "to"}.get(error.code, "action")
        return _page(errors={where: _why_no_rule(error.code)}, rule=typed), 400
    return _saved()


@blueprint.post("/user/letters/rules/<int:no>/remove")
def remove_rule(no: int) -> Response:
    """Take a rule away."""
    with parts().ports.database.write() as tx:
        if not rules.remove_rule(tx, access.account(), no):
            abort(404)
    flash("removed")
    return redirect(url_for("preferences.letters"), 303)


def _not_in_town() -> None:
    if parts().settings.in_town:
        abort(404)


def _page(**typed: Any) -> str:
    person = access.account()
    with parts().ports.database.read() as tx:
        known = letter_options.get_options(tx, person)
        values: dict[str, Any] = {
            "signature": known.signature,
            "answer": known.answer,
            "answer_text": known.answer_text,
            "answer_from": known.answer_from or "",
            "answer_until": known.answer_until or "",
            "errors": {},
            "rule": {"field": "from", "words": "", "action": "move:archive", "to": ""},
        } | typed
        folders = [(id_, name or gettext("Archive")) for id_, name in rules.folders_to_move_to(tx, person)]
        return page(
            "letters.html",
            tx,
            place="more",
            rules=rules.list_rules(tx, person),
            folders=folders,
            folder_names=dict(folders),
            max_chars=MAX_CHARS,
            **values,
        )


def _text(name: str) -> str:
    return request.form.get(name, "").replace("\r\n", "\n")[:MAX_CHARS]


def _saved() -> Response:
    flash("saved")
    return redirect(url_for("preferences.letters"), 303)


def _why_no_rule(code: str) -> str:
    if code == "words":
        return gettext("Write what the letter has to contain.")
    if code == "address":
        return gettext("Write the address of somebody else, like name@example.com")
    if code == "too-many":
        return gettext("You have %(n)s rules. Take one away first.", n=rules.MAX_RULES)
    return gettext("Choose what to do with the letter.")
