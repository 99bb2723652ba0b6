"""How many recipients outside one person may write to in a day, so that nobody gets everybody's letters refused.

A letter over it waits until the day is over; the one that reaches the limit still goes to all of its recipients.
"""

from __future__ import annotations

from datetime import timedelta

from lokole.mail.errors import Temporary
from lokole.mailbox import limits
from lokole.mailbox.database import Connection
from lokole.mailbox.tenants import TenantRow
from lokole.server.ports import ServerPorts

_DAY = timedelta(days=1)


def ask(ports: ServerPorts, tx: Connection, row: TenantRow, sender: str) -> None:
    """Raise Temporary when ``sender`` has written to as many as a day has."""
    most, now, key = ports.settings.recipients_a_day, ports.clock(), _key(row, sender)
    if most and limits.get_count(tx, key, now) >= most:
        left = limits.get_expiry(tx, key, now) - now
        raise Temporary(
            "this person has written to many today", retry_after=max(60.0, left.total_seconds()), reason="many-a-day"
        )


def count(ports: ServerPorts, row: TenantRow, sender: str, recipients: int) -> None:
    """So many more have been written to."""
    if ports.settings.recipients_a_day:
        with ports.database.write() as tx:
            limits.add_count(tx, _key(row, sender), _DAY, ports.clock(), recipients)


def _key(row: TenantRow, sender: str) -> str:
    return f"out:{row.no}:{sender.casefold()}"
