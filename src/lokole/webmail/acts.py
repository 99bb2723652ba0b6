"""What people read in the log of those who look after the box: each act as a sentence, and what was decided beside it.

The log keeps stable words (``mailbox/audit.py``); here each becomes a sentence in the language of whoever reads.
A detail that cannot be read, as an older version wrote some, is left out: no word of ours is shown as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from lokole.mailbox.audit import Act
from lokole.webmail import language, schedule
from lokole.webmail.parts import Schedule
from lokole.webmail.words import gettext, mark, ngettext

#: ``who`` did it, to or about ``name``
_SENTENCES: dict[str, str] = {
    "made": mark("%(who)s made an address for %(name)s."),
    "slip": mark("%(who)s made a one-time password for %(name)s."),
    "doors": mark("%(who)s decided about signing up and in."),
    "decided": mark("%(who)s decided what %(name)s may do."),
    "suspend": mark("%(who)s no longer lets %(name)s sign in."),
    "unsuspend": mark("%(who)s lets %(name)s sign in again."),
    "promote": mark("%(who)s lets %(name)s look after the box, too."),
    "demote": mark("%(who)s no longer lets %(name)s look after the box."),
    "deleted": mark("%(who)s deleted %(name)s."),
    "merged": mark("%(who)s made one person of two: %(name)s is now %(detail)s."),
    "hours": mark("%(who)s changed the hours of the exchange."),
    "sync": mark("%(who)s began an exchange."),
    "twin": mark("%(who)s has seen the warning of a second box."),
    "seen-apart": mark("%(who)s has seen what could not be read."),
    "took-apart": mark("%(who)s took, as a file, the bytes of something that could not be read."),
    "limits": mark("%(who)s changed the limits of the box."),
    "price": mark("%(who)s changed what a megabyte costs."),
    "place": mark("%(who)s changed the place and its languages."),
    "registered": mark("%(who)s registered the box: its addresses end in @%(name)s."),
    "tidied": mark("%(who)s made room on the disk."),
    "senders": mark("%(who)s decided who writes on the board."),
    "set-up": mark("%(who)s set up the box."),
    "modem": mark("%(who)s chose how the modem gets into the internet."),
    "update": mark("%(who)s began an update of the box."),
    "taken-down": mark("%(who)s took “%(name)s” from the board."),
}
KNOWN = frozenset(_SENTENCES)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log: when, what was done, and what was decided (perhaps nothing)."""

    at: datetime
    sentence: str
    details: str


def line(act: Act) -> Line:
    """``act`` as the one who asks reads it."""
    sentence = _SENTENCES.get(act.act, mark("%(who)s did something that this version of Lokole does not know."))
    details = _DETAILS.get(act.act)
    try:
        said = details(act.detail) if details is not None else ""
    except (ValueError, KeyError, TypeError, OverflowError):
        said = ""
    return Line(act.at, gettext(sentence, who=act.actor, name=act.subject, detail=act.detail), said)


def _values(detail: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in detail.split(", ") if part)
    return {name: value for name, _equals, value in pairs}


def _decided(detail: str) -> str:
    said = []
    for name, value in _values(detail).items():
        none = value == "None"
        match name:
            case "paid_until":
                said.append(
                    gettext("Paid without an end.") if none else gettext("Paid until %(day)s.", day=_last_day(value))
                )
            case "quota_bytes":
                said.append(
                    gettext("As much room as there is.") if none else gettext("Room: %(size)s.", size=_size(value))
                )
            case "local_only":
                said.append(
                    gettext("Writes to people here only.") if value == "True" else gettext("Writes to the world, too.")
                )
            case "may_post":
                said.append(
                    gettext("May use the board.") if value == "True" else gettext("May no longer use the board.")
                )
    return " ".join(said)


def _limits(detail: str) -> str:
    said = []
    for name, value in _values(detail).items():
        match name:
            case "letter_bytes":
                said.append(gettext("A letter: %(size)s at most.", size=_size(value)))
            case "files":
                said.append(gettext("Files in a letter: %(n)s at most.", n=int(value)))
            case "letters_a_day":
                said.append(gettext("Letters of one person in a day: %(n)s at most.", n=int(value)))
            case "night_bytes":
                said.append(gettext("In one night: %(size)s at most.", size=_size(value)))
    return " ".join(said) or gettext("Nothing is limited now.")


def _price(detail: str) -> str:
    amount, _blank, currency = detail.partition(" ")
    if not float(amount):
        return gettext("Nothing is said of cost now.")
    return gettext("1 MB: %(cost)s %(currency)s.", cost=language.decimal(float(amount)), currency=currency)


def _hours(detail: str) -> str:
    kept: Schedule = json.loads(detail)
    return schedule.explain({name: kept[name] for name in ("cron", "hours", "days") if name in kept})


def hours_detail(wanted: Schedule) -> str:
    """What the log keeps of new hours, for every language."""
    return json.dumps(dict(wanted), separators=(",", ":"))


def _place(detail: str) -> str:
    place, _colon, codes = detail.rpartition(": ")
    named = ", ".join(language.complete().get(code, "") for code in codes.split(", ") if code in language.complete())
    return f"{place}: {named}" if place else named


def _doors(detail: str) -> str:
    minutes = int(_values(detail)["minutes"])
    return ngettext(
        "Shared telephones forget after %(num)s minute.", "Shared telephones forget after %(num)s minutes.", minutes
    )


def _tidied(detail: str) -> str:
    count = int(detail)
    return ngettext("%(num)s file is gone.", "%(num)s files are gone.", count)


def _senders(detail: str) -> str:
    return ", ".join(one for one in detail.split(", ") if "@" in one) or gettext("Nobody from elsewhere.")


def _modem(detail: str) -> str:
    return gettext("Access point: %(name)s", name=detail) if detail else gettext("Nothing is chosen now.")


def _update(detail: str) -> str:
    return gettext("To version %(version)s.", version=detail) if detail else gettext("To the newest version.")


def _last_day(text: str) -> str:
    until = datetime.fromisoformat(text)
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return language.date(language.last_day(until))


def _size(text: str) -> str:
    return language.size(int(text))


_DETAILS: dict[str, Callable[[str], str]] = {
    "decided": _decided,
    "limits": _limits,
    "price": _price,
    "hours": _hours,
    "place": _place,
    "doors": _doors,
    "tidied": _tidied,
    "senders": _senders,
    "modem": _modem,
    "update": _update,
}
