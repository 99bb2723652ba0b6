"""The box at a glance: how it is in one sentence, the last nights, what waits."""

from __future__ import annotations

from flask import flash, redirect, url_for
from werkzeug.wrappers import Response

from lokole import __version__
from lokole.mailbox import accounts, bag, options, packages, quarantine, visits
from lokole.mailbox.allowances import box_limits
from lokole.mailbox.visits import Visit
from lokole.webmail import access, cost, health, schedule, setting_up
from lokole.webmail.pages import page, sentence
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.views.admin.exchange import planned
from lokole.webmail.views.mailbox import tonight

#: what the last comparison with the server found: {"missing", "letters", "at"}
HELD_OPTION = "held_together"
_NIGHTS = 14


@blueprint.get("/admin")
def overview() -> str | Response:
    """The one sentence, the last nights, what waits; before the box is set up, the next step of that."""
    person = access.account()
    with parts().ports.database.read() as tx:
        if setting_up.pending(tx, person.tenant):
            return redirect(url_for("admin.first"), 303)
        nights = visits.last_visits(tx, person.tenant, limit=_NIGHTS)
        done = [night for night in nights if night.ended_at is not None]
        price = cost.price(tx, person.tenant)
        bound = box_limits(tx, person.tenant).night_bytes
        in_bag = packages.count_waiting(tx, person.tenant, "up")
        said = health.findings(tx, person)
        return page(
            "admin.html",
            tx,
            place="more",
            nights=[(night, price.said(night.bytes_up + night.bytes_down)) for night in nights],
            sentence_of=sentence,
            priced=price.per_mb is not None,
            found=said,
            line=health.last_line(tx, person, done),
            next_line=health.next_line(tx, person.tenant),
            bars=_bars([night.bytes_up + night.bytes_down for night in reversed(nights)], bound),
            limit_at=_height(bound, _most(nights, bound)) if bound else None,
            limit=(bound, price.said(bound)) if bound else None,
            bag_cost=price.about(bag.bag_bytes(tx, person.tenant, "up") + in_bag * cost.LETTER_BYTES),
            version=__version__,
            people_count=accounts.count_accounts(tx, person.tenant),
            apart=quarantine.count_quarantine(tx, person.tenant),
            together=options.get_option(tx, person.tenant, HELD_OPTION),
            in_bag=in_bag,
            hours=schedule.explain(planned(tx, person)),
            registered=health.is_registered(tx, person.tenant),
            has_room=parts().ports.room is not None,
            has_modem=parts().ports.mobile_networks is not None,
            **tonight(tx),
        )


@blueprint.post("/admin/twin")
def twin() -> Response:
    """The warning of a second box with this one's key was read; it comes back when that box does."""
    ports, person = parts().ports, access.account()
    with ports.database.write() as tx:
        options.set_option(tx, person.tenant, health.TWIN_OPTION, None)
        note(tx, "twin")
    flash("resolved")
    return redirect(url_for("admin.overview"), 303)


def _most(nights: list[Visit], bound: int | None) -> int:
    return max([night.bytes_up + night.bytes_down for night in nights] + [bound or 0, 1])


def _height(value: int, most: int) -> float:
    return max(1, 50 * value / most)


def _bars(values: list[int], bound: int | None) -> list[tuple[int, float, float]]:
    """(x, y, height) of one bar per night in a picture of 300 by 64, in which there is room for the limit of a night."""
    most = max([*values, bound or 0, 1])
    return [(n * 22, 62 - _height(value, most), _height(value, most)) for n, value in enumerate(values)]
