"""The boxes as the status page shows them: how each is, what waits for it, what it carried, and the whole day by day.

An owner sees their own boxes, whoever may override sees all of them. Nothing of any letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import tenants, traffic
from lokole.mailbox.database import Connection
from lokole.mailbox.traffic import Traffic
from lokole.ports.identity import Caller
from lokole.server.boxes import BoxState, list_boxes
from lokole.server.ports import ServerPorts

#: how far back numbers of traffic and days go, in days
DAYS = 30


def fleet(ports: ServerPorts, caller: Caller) -> dict[str, Any]:
    """Who is asking, their boxes by domain, and the last :data:`DAYS` days of all of these together."""
    now = ports.clock()
    with ports.database.read() as tx:
        rows = tenants.list_tenants(tx, owner=None if caller.may_override else caller.name)
        shown = list_boxes(tx, now, rows)
        more = _more(tx, now)
        days = _days(tx, now, None if caller.may_override else [row.no for row in rows])
    numbers = {row.domain: int(row.no) for row in rows}
    return {
        "caller": {"name": caller.name, "sees_all": caller.may_override},
        "boxes": [_fields(box, more, numbers[box.domain]) for box in shown],
        "days": days,
    }


def box(ports: ServerPorts, caller: Caller, domain: str) -> dict[str, Any]:
    """One box with its own days; raises NotFound and Refused (``not-yours``)."""
    now = ports.clock()
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain=domain)
        if row is None:
            raise NotFound("this domain is not registered")
        if row.owner != caller.name and not caller.may_override:
            raise Refused("this domain is somebody else's", code="not-yours", field="domain")
        (shown,) = list_boxes(tx, now, [row])
        return _fields(shown, _more(tx, now), row.no) | {"days": _days(tx, now, [row.no])}


More = tuple[Mapping[int, Traffic], Mapping[int, int], Mapping[str, datetime]]


def _more(tx: Connection, now: datetime) -> More:
    return traffic.by_tenant(tx, now - timedelta(days=DAYS)), traffic.waiting_bytes(tx), tenants.twins_seen(tx)


def _fields(shown: BoxState, more: More, no: int) -> dict[str, Any]:
    carried, waiting, twins = more
    twin = twins.get(shown.domain)
    return shown.fields() | {
        "waiting_bytes": waiting.get(no, 0),
        "traffic": carried.get(no, Traffic()).fields(),
        "twin_seen": None if twin is None else twin.isoformat(),
    }


def _days(tx: Connection, now: datetime, numbers: list[int] | None) -> list[dict[str, Any]]:
    return [
        {"day": day.isoformat(), "boxes": found.devices} | found.fields()
        for day, found in traffic.by_day(tx, now, DAYS, tenants=numbers)
    ]
