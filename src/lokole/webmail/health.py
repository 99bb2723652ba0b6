"""How the box is, as sentences: everything that asks for somebody's hand, the worst first, each with what to do.

Nothing to do is one sentence, too. Pages show the first one large (``looks`` 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import url_for

from lokole.mail.model import Account
from lokole.mailbox import options, packages, quarantine, visits
from lokole.mailbox.database import Connection, from_micros
from lokole.mailbox.tenants import get_tenant
from lokole.mailbox.visits import End, Visit
from lokole.webmail.language import departure, long_when, size
from lokole.webmail.pages import sentence
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext, ngettext

#: where the box notes, in microseconds since 1970, that another machine used its key
TWIN_OPTION = "twin_seen_at"
NO_CONTACT = timedelta(hours=50)
#: the disk is nearly full below either of these
LEAST_FREE_BYTES, LEAST_FREE_PART = 200_000_000, 0.05
_CLOCK_SLACK = timedelta(minutes=5)
_LOOKED_BACK = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """``look`` is how it is coloured (good, warn, bad, off), ``what`` happened, ``advice`` what to do, ``link`` where (address, words)."""

    word: str
    look: str
    what: str
    advice: str = ""
    link: tuple[str, str] | None = None


def findings(tx: Connection, person: Account) -> list[Finding]:
    """All that is to be said now; never empty."""
    ports, now = parts().ports, parts().ports.clock()
    past = visits.last_visits(tx, person.tenant, limit=_LOOKED_BACK)
    done = [one for one in past if one.ended_at is not None]
    found: list[Finding] = []
    twin = options.get_option(tx, person.tenant, TWIN_OPTION, None)
    if isinstance(twin, int):
        found.append(_twin(from_micros(twin)))
    if past and now + _CLOCK_SLACK < past[0].started_at:
        found.append(_clock(now, past[0]))
    if ports.sync_now is not None:
        found += _exchange(tx, person, done, now, under_way=len(past) > len(done))
    if ports.room is not None:
        room = ports.room(False)
        if room.free < min(LEAST_FREE_BYTES, room.total // 2) or room.free < LEAST_FREE_PART * room.total:
            found.append(_disk(room.free))
    apart = quarantine.count_quarantine(tx, person.tenant)
    if apart:
        found.append(_apart(apart))
    order = {"bad": 0, "warn": 1, "off": 2}
    return sorted(found, key=lambda one: order[one.look]) or [Finding("good", "good", gettext("All good."))]


def last_line(tx: Connection, person: Account, done: list[Visit]) -> str:
    """How the last exchange went, and when the next one is."""
    lines = []
    if done and done[0].result == End.OK:
        lines.append(
            gettext(
                "Last exchange %(when)s: %(out)s out, %(come)s in, %(waiting)s waiting.",
                when=long_when(done[0].started_at),
                out=done[0].letters_up,
                come=done[0].letters_down,
                waiting=packages.count_waiting(tx, person.tenant, "up"),
            )
        )
    elif done:
        lines.append(gettext("Last try %(when)s.", when=long_when(done[0].started_at)))
    lines.append(next_line(tx, person.tenant))
    return " ".join(lines)


def leaves_at(tx: Connection, tenant_no: int) -> datetime | None:
    """When the next package leaves; None when none does, whatever hours are set: nothing leaves a box that the server does not know."""
    planned = parts().ports.next_departure
    return planned() if planned is not None and is_registered(tx, tenant_no) else None


def went_wrong(tx: Connection, tenant_no: int, last: Visit) -> bool:
    """Whether somebody should hear how ``last`` ended: not when it went well, nor when a carrier has come since."""
    if last.result == End.OK:
        return False
    carried = visits.last_carrier(tx, tenant_no)
    return carried is None or carried < last.started_at


def next_line(tx: Connection, tenant_no: int) -> str:
    """When the next exchange is, as a sentence."""
    at = leaves_at(tx, tenant_no)
    if at is not None:
        return gettext("Next %(when)s.", when=departure(at))
    if parts().ports.next_departure is not None and not is_registered(tx, tenant_no):
        return gettext("The first exchange comes when the box is registered.")
    return gettext("None is planned.")


def is_registered(tx: Connection, tenant_no: int) -> bool:
    """Whether the box has its place at a server."""
    return get_tenant(tx, tenant_no).state == "claimed"


def _exchange(tx: Connection, person: Account, done: list[Visit], now: datetime, *, under_way: bool) -> list[Finding]:
    if not is_registered(tx, person.tenant):
        return [
            Finding(
                "unregistered",
                "warn",
                gettext("This box is not registered yet."),
                gettext("Letters to people here arrive. Letters into the world wait until it is."),
                (url_for("admin.registration"), gettext("Register it")),
            )
        ]
    if not done:
        return [Finding("new", "off", sentence(End.RUNNING) if under_way else gettext("No exchange yet."))]
    advice = gettext("Look whether the modem has power and the SIM card has money, then press “Send now”.")
    good = next((one for one in done if one.result == End.OK), None)
    since = (good or done[-1]).started_at
    carried = visits.last_carrier(tx, person.tenant)
    if carried is not None:
        since = max(since, carried)
    if now - since > NO_CONTACT:
        nights = (now - since).days
        return [
            Finding(
                "no-contact",
                "bad",
                ngettext("No contact for %(num)s night.", "No contact for %(num)s nights.", nights),
                advice,
            )
        ]
    if went_wrong(tx, person.tenant, done[0]):
        helps = done[0].result == End.NO_CONNECTION
        return [Finding("failed", "bad", sentence(done[0].result), advice if helps else "")]
    return []


def _twin(seen_at: datetime) -> Finding:
    return Finding(
        "twin",
        "bad",
        gettext("Another machine uses the key of this box."),
        gettext(
            "It was noticed %(when)s. If a card was copied, or a kept copy was started, let only one of the two run. No letter is lost by it.",
            when=long_when(seen_at),
        ),
    )


def _clock(now: datetime, last: Visit) -> Finding:
    return Finding(
        "clock",
        "warn",
        gettext("The clock of the box may be wrong."),
        gettext(
            "It says %(now)s, but the last exchange was %(last)s. Set it, or let the box run: it is set at the next exchange.",
            now=long_when(now),
            last=long_when(last.started_at),
        ),
    )


def _disk(free: int) -> Finding:
    return Finding(
        "disk",
        "warn",
        gettext("The disk is nearly full: %(size)s are free.", size=size(free)),
        gettext("Letters are still taken in. Let people delete old letters with large files."),
        (url_for("admin.storage"), gettext("See what takes the room")),
    )


def _apart(count: int) -> Finding:
    return Finding(
        "apart",
        "warn",
        ngettext("%(num)s thing was kept apart.", "%(num)s things were kept apart.", count),
        gettext("It could not be read. Everything that came with it was delivered."),
        (url_for("admin.kept_apart"), gettext("Look at them")),
    )
