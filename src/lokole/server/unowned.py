"""What was kept of letters that are no box's: posts from outside to services, and letters to the flat domain that name nobody.

They stand on the operator's page as long as other letters are kept, and go then, row and bytes.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from lokole.mailbox import tenants
from lokole.mailbox.database import to_micros
from lokole.mailbox.schema import quarantine
from lokole.server.ports import ServerPorts

#: where posts from outside to services are kept
SERVICES = "services/raw/"
_MOST = 1000


def sweep(ports: ServerPorts, before: datetime) -> int:
    """Let go of what came before ``before``; returns how many blobs."""
    places = [SERVICES]
    flat = ports.settings.flat_domain
    with ports.database.read() as tx:
        if flat is not None and tenants.find_tenant(tx, domain=flat) is None:
            places.append(f"{flat}/raw/")
        old = select(quarantine.c.no, quarantine.c.raw_ref).where(
            quarantine.c.tenant.is_(None), quarantine.c.raw_ref.is_not(None), quarantine.c.at < to_micros(before)
        )
        found = [one for one in tx.execute(old.limit(_MOST)).all() if one.raw_ref.startswith(tuple(places))]
    with ports.database.write() as tx:
        tx.execute(delete(quarantine).where(quarantine.c.no.in_([one.no for one in found])))
    for one in found:
        ports.blobs.delete(one.raw_ref)
    return len(found)


def orphans(ports: ServerPorts) -> set[str]:
    """Posts to services that no row names: somebody was about to write one, or died over it."""
    keys = set(ports.blobs.list(SERVICES))
    if not keys:
        return set()
    with ports.database.read() as tx:
        query = select(quarantine.c.raw_ref).where(quarantine.c.tenant.is_(None), quarantine.c.raw_ref.is_not(None))
        return keys - set(tx.execute(query).scalars())
