"""The limits of the box and what its bytes cost."""

from __future__ import annotations

import re
from dataclasses import asdict

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox import allowances
from lokole.mailbox.allowances import BoxLimits
from lokole.mailbox.database import Connection
from lokole.webmail import access, cost, language
from lokole.webmail.cost import Price
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.words import gettext

_MB = 1_000_000
_UNIT = re.compile(r"\s*[^\W\d_]+$")
#: field of the form, of the limits, how many of the one are one of the other, and the most
_FIELDS = (
    ("letter_mb", "letter_bytes", _MB, 30),
    ("most_files", "files", 1, 50),
    ("letters_a_day", "letters_a_day", 1, 10_000),
    ("night_mb", "night_bytes", _MB, 100_000),
)


@blueprint.route("/admin/limits", methods=["GET", "POST"])
def limits() -> str | Response | tuple[str, int]:
    """All of them on one page; an empty field is no bound."""
    person, ports = access.account(), parts().ports
    if request.method == "GET":
        with ports.database.read() as tx:
            return limits_page(tx, person)
    wrong = keep_limits(person)
    if wrong:
        with ports.database.read() as tx:
            return limits_page(tx, person, wrong), 400
    flash("saved")
    return redirect(url_for("admin.limits"), 303)


def keep_limits(person: Account) -> dict[str, str]:
    """Keep what the form says; returns what is wrong by field, nothing when it is kept."""
    form = request.form
    wrong: dict[str, str] = {}
    values: dict[str, int | None] = {}
    for field, name, factor, most in _FIELDS:
        whole = factor == 1
        try:
            value = _number(form.get(field, ""), most, whole=whole)
            values[name] = None if value is None else max(1, round(value * factor))
        except Refused:
            shown = language.decimal(most)
            wrong[field] = (
                gettext("Write a whole number above 0, up to %(most)s, or nothing for no limit.", most=shown)
                if whole
                else gettext("Write a number above 0, up to %(most)s, or nothing for no limit.", most=shown)
            )
    per_mb = None
    try:
        per_mb = _number(form.get("cost_per_mb", ""), 1_000_000)
    except Refused:
        wrong["cost_per_mb"] = gettext("Write a number, or nothing when bytes cost nothing.")
    currency = " ".join(form.get("currency", "").split())[: cost.MAX_CURRENCY]
    if wrong:
        return wrong
    with parts().ports.database.write() as tx:
        bounds = BoxLimits(**values)
        if bounds != allowances.box_limits(tx, person.tenant):
            allowances.set_box_limits(tx, person.tenant, bounds)
            note(tx, "limits", detail=", ".join(f"{name}={value}" for name, value in asdict(bounds).items() if value))
        price = Price(per_mb, currency or cost.DEFAULT_CURRENCY)
        if price != cost.price(tx, person.tenant):
            cost.set_price(tx, person.tenant, price)
            note(tx, "price", detail=f"{per_mb or 0:g} {price.currency}")
    return {}


def limits_shown(tx: Connection, person: Account) -> dict[str, str]:
    """What the form shows, as it comes back when nobody has touched it."""
    bounds, price = asdict(allowances.box_limits(tx, person.tenant)), cost.price(tx, person.tenant)
    shown = {field: f"{bounds[name] / factor:g}" if bounds[name] else "" for field, name, factor, _most in _FIELDS}
    return shown | {"cost_per_mb": f"{price.per_mb:g}" if price.per_mb else "", "currency": price.currency}


def limits_page(tx: Connection, person: Account, wrong: dict[str, str] | None = None, **more: object) -> str:
    """The form, alone or as a step of setting up."""
    shown, typed = limits_shown(tx, person), request.form
    return page(
        "admin_limits.html",
        tx,
        place="more",
        values={name: typed.get(name, value) for name, value in shown.items()},
        wrong=wrong or {},
        **more,
    )


def _number(text: str, most: int, *, whole: bool = False) -> float | None:
    """What was typed, also with its unit behind; None for nothing."""
    wanted = _UNIT.sub("", text.strip()).replace(",", ".")
    if not text.strip():
        return None
    try:
        found = float(wanted)
    except ValueError as error:
        raise Refused("not a number", code="number") from error
    if not 0 < found <= most or (whole and found != int(found)):
        raise Refused("too much or too little", code="number")
    return found
