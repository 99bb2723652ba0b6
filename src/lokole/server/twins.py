"""Two machines with one key: the operator is warned, and nobody is locked out (protocol 8.7, 8.8)."""

from __future__ import annotations

from datetime import datetime

from lokole.mailbox import tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.tenants import TenantRow


def tell_twin(tx: Connection, row: TenantRow, name: str, reason: str, now: datetime) -> None:
    """Something came under ``name`` that belongs to something else: two machines count from the same number."""
    quarantine(
        tx,
        tenant=row.no,
        kind="twin",
        source="box",
        reason=reason,
        raw_ref=None,
        key=f"twin:{row.no}:{name}",
        now=now,
    )
    known = tenants.find_credential(tx, row.device_id)
    if known is not None:
        tenants.mark_twin(tx, known.no, now)
