"""The boxes as the status page shows them: how each is, what waits for it, what it carried, and the whole day by day.

An owner sees their own boxes, whoever may override sees all of them. Nothing of any letter.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import tenants, traffic
from lokole.mailbox.database import Connection
from lokole.mailbox.traffic import Traffic
from lokole.ports.identity import Caller
from lokole.server.boxes import list_boxes
from lokole.server.ports import ServerPorts

#: how far back numbers of traffic and days go, in days
DAYS = 30


def fleet(ports: ServerPorts, caller: Caller) -> dict[str, Any]:
    """Who is asking, their boxes by domain, and the last :data:`DAYS` days of all of these together."""
    now = ports.clock()
    whose = None if caller.may_override else tenants.numbers(owner=caller.name)
    with ports.database.read() as tx:
        boxes, days = _boxes(tx, now, whose), _days(tx, now, whose)
    return {"caller": {"name": caller.name, "sees_all": caller.may_override}, "boxes": boxes, "days": days}


def box(ports: ServerPorts, caller: Caller, domain: str) -> dict[str, Any]:
    """One box with its own days; raises NotFound and Refused (``not-yours``)."""
    now = ports.clock()
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain=domain)
        if row is None:
            raise NotFound("this domain is not registered")
        if row.owner != caller.name and not caller.may_override:
            raise Refused("this domain is somebody else's", code="not-yours", field="domain")
        only = tenants.numbers(no=row.no)
        (shown,) = _boxes(tx, now, only)
        return shown | {"days": _days(tx, now, only)}


def _boxes(tx: Connection, now: datetime, whose: Select[tuple[int]] | None) -> list[dict[str, Any]]:
    carried = traffic.by_tenant(tx, now - timedelta(days=DAYS), whose)
    waiting = traffic.waiting_bytes(tx, whose)
    twins = tenants.twins_seen(tx)
    return [
        one.fields()
        | {
            "waiting_bytes": waiting.get(one.no, 0),
            "traffic": carried.get(one.no, Traffic()).fields(),
            "twin_seen": twins[one.domain].isoformat() if one.domain in twins else None,
        }
        for one in list_boxes(tx, now, whose)
    ]


def _days(tx: Connection, now: datetime, whose: Select[tuple[int]] | None) -> list[dict[str, Any]]:
    return [
        {"day": day.isoformat(), "boxes": found.devices} | found.fields()
        for day, found in traffic.by_day(tx, now, DAYS, whose)
    ]
