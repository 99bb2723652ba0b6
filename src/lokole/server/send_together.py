"""A letter to everybody outside in one call, for ways out that write To and Cc from the envelope (``ports.mail_out``).

Each recipient still has a state of their own: whoever is refused by name is left out, and the others get the letter.
Whoever lives at a domain of this server, and whatever is no address, gets a piece of work of its own (``send.py``).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from lokole.mail.errors import Permanent, Refused
from lokole.mail.model import Address, Delivery, DeliveryState
from lokole.mailbox import jobs, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.suppressions import is_suppressed
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.ports.mail_out import Recipient, RefusedRecipients, TogetherMailOut
from lokole.server import outbound_limit
from lokole.server.addresses import home, outward
from lokole.server.answering import is_service
from lokole.server.outgoing import find_standing, to_message
from lokole.server.ports import ServerPorts
from lokole.server.receipts import envelope_sender, settle

KEY = "together"


def run(ports: ServerPorts, job: Job) -> bool:
    """Hand one letter to all outside who are still to get it (ids: ``email``)."""
    found = _find(ports, job)
    if found is None:
        return False
    row, stored, outside, others = found
    with ports.database.write() as tx:
        for one in others:
            queue_one(tx, row, stored.no, one.address, ports.clock())
    if outside:
        with ports.database.read() as tx:
            held = [one.address for one in outside if is_suppressed(tx, row.no, one.address)]
        _refuse(ports, row, stored, held, "suppressed")
        _hand_over(ports, row, stored, [one for one in outside if one.address not in held])
    with ports.database.write() as tx:
        jobs.finish(tx, job)
    ports.bell.ring()
    return True


def give_up(ports: ServerPorts, job: Job, reason: str) -> None:
    """Tell the writer of everybody outside who has not got it."""
    found = _find(ports, job)
    if found is not None:
        row, stored, outside, _ = found
        _settle(ports, row, stored, [one.address for one in outside], DeliveryState.REFUSED, reason)


def queue_one(tx: Connection, row: TenantRow, no: int, address: str, now: datetime) -> None:
    """A piece of work for one recipient; a repeat changes nothing."""
    digest = hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()[:32]
    jobs.enqueue(tx, "send", f"{no}:{digest}", {"email": no, "address": address}, tenant=row.no, now=now)


def _hand_over(ports: ServerPorts, row: TenantRow, stored: StoredEmail, outside: list[Delivery]) -> None:
    way = ports.mail_out
    assert isinstance(way, TogetherMailOut)
    message = to_message(ports, row, stored) if outside else b""
    while outside:
        now_going, outside = outside[: way.most_together], outside[way.most_together :]
        addresses = [one.address for one in now_going]
        with ports.database.write() as tx:
            outbound_limit.ask(ports, tx, row, stored.email.sender.address)
            # one name for the letter at this call: who of them an event is about, the event says
            sender = outward(ports.settings, envelope_sender(tx, row, stored.no, addresses[0], ports.entropy))
        try:
            way.send_together(
                sender=sender, recipients=[Recipient(one.address, one.role) for one in now_going], message=message
            )
        except RefusedRecipients as error:
            refused = set(error.addresses) & set(addresses) or set(addresses)
            _refuse(ports, row, stored, sorted(refused), error.reason)
            outside = [one for one in now_going if one.address not in refused] + outside
        except Permanent as error:
            _refuse(ports, row, stored, addresses, error.reason)
        else:
            _settle(ports, row, stored, addresses, DeliveryState.ACCEPTED, "")
            outbound_limit.count(ports, row, stored.email.sender.address, len(addresses))
            ports.events.count("email_delivered_from_client", len(addresses))


def _refuse(ports: ServerPorts, row: TenantRow, stored: StoredEmail, addresses: list[str], reason: str) -> None:
    _settle(ports, row, stored, addresses, DeliveryState.REFUSED, reason)
    ports.events.count("letter_refused", len(addresses))


def _settle(
    ports: ServerPorts, row: TenantRow, stored: StoredEmail, addresses: list[str], state: DeliveryState, reason: str
) -> None:
    now = ports.clock()
    with ports.database.write() as tx:
        for address in addresses:
            settle(tx, row, stored.no, stored.email, address, state, now, reason=reason)


def _find(ports: ServerPorts, job: Job) -> tuple[TenantRow, StoredEmail, list[Delivery], list[Delivery]] | None:
    """The letter, who outside is still to get it, and who else is."""
    with ports.database.read() as tx:
        found = find_standing(tx, job)
        if found is None:
            return None
        row, stored, everybody = found
        standing = [one for one in everybody if not is_service(ports, one.address)]
        outside = [one for one in standing if _is_outside(ports, tx, one.address)]
    return row, stored, outside, [one for one in standing if one not in outside]


def _is_outside(ports: ServerPorts, tx: Connection, text: str) -> bool:
    try:
        known = tenants.find_tenant(tx, domain=Address.parse(home(ports.settings, text)).domain)
    except Refused:
        return False
    return known is None or known.state == REMOVED
