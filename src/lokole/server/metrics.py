"""Numbers for the status page and for the operator; nothing of any letter."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import accounts, jobs, packages, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.quarantine import list_quarantine
from lokole.mailbox.schema import quarantine as quarantine_table
from lokole.mailbox.tenants import CLAIMED, WAITING, TenantRow
from lokole.ports.identity import Caller
from lokole.server.boxes import list_boxes
from lokole.server.ports import ServerPorts

_NEWEST = 50


def count_pending(ports: ServerPorts, domain: str) -> int:
    """How many letters wait for the box of ``domain``; raises NotFound."""
    with ports.database.read() as tx:
        return packages.count_waiting(tx, _served(tx, domain).no, "down")


def count_users(ports: ServerPorts, domain: str) -> int:
    """How many people of ``domain`` the server knows; raises NotFound."""
    with ports.database.read() as tx:
        return accounts.count_accounts(tx, _served(tx, domain).no)


def trouble(ports: ServerPorts, caller: Caller) -> dict[str, Any]:
    """What was set apart and what was given up, for the operator; raises Refused (``not-yours``) for anybody else."""
    if not caller.may_override:
        raise Refused("this is for the operator", code="not-yours")
    with ports.database.read() as tx:
        kinds = select(quarantine_table.c.kind, func.count().label("count")).where(
            quarantine_table.c.resolved_at.is_(None)
        )
        counts = {row.kind: row.count for row in tx.execute(kinds.group_by(quarantine_table.c.kind))}
        newest = list_quarantine(tx, everybody=True, limit=_NEWEST)
        twins = tenants.twins_seen(tx)
        found = list_boxes(tx, ports.clock())
        domains = {one.no: one.domain for one in found}
        ready, dead = jobs.count_jobs(tx, "ready"), jobs.count_jobs(tx, "dead")
    return {
        "quarantined": counts,
        "jobs": {"ready": ready, "dead": dead},
        "held": {
            one.domain: {"missing": one.missing, "letters": one.letters} for one in found if one.missing is not None
        },
        "twins": {domain: at.isoformat() for domain, at in twins.items()},
        "boxes": [one.fields() for one in found],
        "newest": [
            {
                "kind": one.kind,
                "domain": None if one.tenant is None else domains.get(one.tenant),
                "reason": one.reason,
                "at": one.at.isoformat(),
            }
            for one in newest
        ],
    }


def _served(tx: Connection, domain: str) -> TenantRow:
    row = tenants.find_tenant(tx, domain=domain)
    if row is None or row.state not in (WAITING, CLAIMED):
        raise NotFound("this domain is not registered")
    return row
