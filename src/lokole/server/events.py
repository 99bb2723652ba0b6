"""What SendGrid tells of letters that it took: bounces, drops, complaints. Each is matched by the envelope id that the letter carried.

The id is 128 random bits that only SendGrid was given, so that even without a signature nobody else can speak of a letter.
An event may come twice, late and out of order: states move forward only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import DeliveryState
from lokole.mailbox import letters
from lokole.mailbox.database import Connection
from lokole.mailbox.suppressions import BOUNCE, COMPLAINT, UNSUBSCRIBED, hold_back
from lokole.mailbox.tenants import TenantRow
from lokole.ports.mail_out import ENVELOPE_ARGUMENT
from lokole.server.complaints import complained, find_named
from lokole.server.ports import ServerPorts
from lokole.server.receipts import settle

log = logging.getLogger(__name__)

_AT_ONCE = 200
#: why SendGrid dropped a letter without trying, by the beginning of its reason in lower case
_DROPPED = (("bounced", BOUNCE), ("spam reporting", COMPLAINT), ("unsubscribed", UNSUBSCRIBED), ("invalid", BOUNCE))


def take_events(ports: ServerPorts, body: bytes) -> int:
    """Take a batch of events in; durable when it returns. Returns how many were about letters of ours.

    Raises Refused with code ``events`` when it is no batch. An event that says nothing known is passed over.
    """
    try:
        events: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("this is no JSON", code="events") from error
    if not isinstance(events, list):
        raise Refused("a list of events is expected", code="events")
    now = ports.clock()
    known = 0
    for some in _batches([one for one in events if isinstance(one, dict)]):
        with ports.database.write() as tx:
            known += sum(_take(ports, tx, one, now) for one in some)
    log.info("events: %d, of letters of ours %d", len(events), known)
    ports.bell.ring()
    return known


def _batches(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for at in range(0, len(events), _AT_ONCE):
        yield events[at : at + _AT_ONCE]


def _take(ports: ServerPorts, tx: Connection, event: dict[str, Any], now: datetime) -> bool:
    found = find_named(ports, tx, str(event.get(ENVELOPE_ARGUMENT, "")), str(event.get("email", "")))
    if found is None:
        return False
    row, email_no, address = found
    said = " ".join(str(event.get("reason") or "").split())[:300]
    status = str(event.get("status") or "")
    match event.get("event"):
        case "bounce":
            _refused(tx, row, email_no, address, said or status or "bounce", status, now)
            if event.get("type") != "blocked":  # a block is about this letter or our name, not about the address
                hold_back(tx, row.no, address, BOUNCE, said or status, now)
        case "dropped":
            _refused(tx, row, email_no, address, said or "dropped", status, now)
            for beginning, cause in _DROPPED:
                if said.lower().startswith(beginning):
                    hold_back(tx, row.no, address, cause, said, now)
        case "spamreport":
            complained(tx, row, email_no, address, said, now)
        case "unsubscribe" | "group_unsubscribe":
            hold_back(tx, row.no, address, UNSUBSCRIBED, said, now)
        case "delivered":
            _settle(tx, row, email_no, address, DeliveryState.ACCEPTED, "", "", now)
        case _:
            pass  # processed, deferred, opened: SendGrid still has it, or it is nobody's business
    return True


def _refused(
    tx: Connection, row: TenantRow, email_no: int, address: str, reason: str, status: str, now: datetime
) -> None:
    _settle(tx, row, email_no, address, DeliveryState.REFUSED, reason, status, now)


def _settle(
    tx: Connection,
    row: TenantRow,
    email_no: int,
    address: str,
    state: DeliveryState,
    reason: str,
    status: str,
    now: datetime,
) -> None:
    try:
        letter = letters.read_email(tx, row.no, email_no).email
    except NotFound:
        return
    settle(tx, row, email_no, letter, address, state, now, reason=reason, code=status)
