"""Letting letters go again to an address that was held back: here at once, at the provider by work that is tried again.

Until the provider has heard of it, it may drop a letter once more; then the address is held back anew, and nothing is lost.
"""

from __future__ import annotations

from lokole.mailbox import jobs, suppressions
from lokole.mailbox.database import to_micros
from lokole.mailbox.jobs import Job
from lokole.mailbox.tenants import TenantRow
from lokole.ports.mail_out import LiftingMailOut
from lokole.server.ports import ServerPorts

KIND = "lift"


def lift(ports: ServerPorts, row: TenantRow, address: str) -> None:
    """Durable when it returns; raises NotFound when ``address`` is not held back for this domain."""
    now = ports.clock()
    with ports.database.write() as tx:
        held = suppressions.lift(tx, row.no, address)
        if isinstance(ports.mail_out, LiftingMailOut):
            ids = {"address": held.address, "cause": held.cause}
            jobs.enqueue(tx, KIND, f"{row.no}:{to_micros(now)}:{held.address}", ids, tenant=row.no, now=now)
    ports.bell.ring()


def run(ports: ServerPorts, job: Job) -> bool:
    """Tell the provider (ids: ``address``, ``cause``)."""
    if isinstance(ports.mail_out, LiftingMailOut):
        ports.mail_out.lift(str(job.ids["address"]), str(job.ids["cause"]))
    return False
