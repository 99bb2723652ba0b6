"""A written letter leaves: one job for each recipient, so that each has a delivery state of their own.

A recipient at a domain of this very server gets it without a detour, under the same rules as one outside.
A temporary failure is tried again (``jobs.py`` says how long), a permanent one becomes the recipient's state and a receipt (``receipts.py``).
The Message-ID is the same at every attempt, so that a letter sent twice, because the answer to the first was lost, can be told.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from lokole.mail.errors import NotFound, Permanent, Temporary
from lokole.mail.mime import build_mime, message_id_for
from lokole.mail.model import Address, Attachment, DeliveryState, Email, EmailNo
from lokole.mailbox import jobs, letters, packages, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.recipients import deliveries, move_waiting
from lokole.mailbox.tenants import TenantRow
from lokole.server import answering, receive, strangers
from lokole.server.devices import REMOVED
from lokole.server.ports import ServerPorts
from lokole.server.receipts import envelope_sender, settle
from lokole.server.strangers import Verdict


def run(ports: ServerPorts, job: Job) -> bool:
    """Hand one letter to one recipient (ids: ``email``, ``address``)."""
    found = _find(ports, job)
    if found is None:
        return False
    row, stored = found
    recipient = str(job.ids["address"])
    files = letters.load_attachments(ports.blobs, row.domain, stored.attachments)
    message = to_message(row, stored, files)
    sender = str(Address.parse(stored.email.sender.address))
    try:
        _hand_over(ports, row, stored, sender, recipient, message)
    except Permanent as error:
        _refuse(ports, job, row, stored.email, recipient, error.reason)
        return True
    with ports.database.write() as tx:
        settle(tx, row, stored.no, stored.email, recipient, DeliveryState.ACCEPTED, ports.clock())
        jobs.finish(tx, job)
    return True


def given_up(ports: ServerPorts, job: Job, told: str) -> None:
    """The time is up, or a fault of ours stays: the writer is told."""
    found = _find(ports, job)
    if found is not None:
        row, stored = found
        reason = "expired" if told.startswith("Temporary") else "fault"
        _refuse(ports, job, row, stored.email, str(job.ids["address"]), reason, finish=False)


def to_message(row: TenantRow, stored: StoredEmail, files: tuple[Attachment, ...]) -> bytes:
    """The letter as the world gets it: the same bytes at every attempt."""
    email = replace(stored.email, attachments=files)
    # the box's clock may be nonsense; what the world sees then is when the letter reached us
    date = stored.received_at if email.sent_at is None or email.sent_at_doubtful else email.sent_at
    return build_mime(email, message_id=email.message_id or message_id_for(stored.id, row.domain), date=date)


def queue_sending(ports: ServerPorts, tx: Connection, row: TenantRow, no: EmailNo) -> None:
    """One piece of work for each recipient who is still to get the letter; a repeat changes nothing."""
    now = ports.clock()
    for one in deliveries(tx, row.no, no):
        if one.state is not DeliveryState.AT_SERVER:
            continue
        if answering.is_service(ports, one.address):
            answering.queue_answering(ports, tx, row, no, one.address)
        else:
            digest = hashlib.sha256(one.address.encode("utf-8", "replace")).hexdigest()[:32]
            jobs.enqueue(tx, "send", f"{no}:{digest}", {"email": no, "address": one.address}, tenant=row.no, now=now)


def leave_from_here(ports: ServerPorts, tx: Connection, tenant: int, no: int) -> None:
    """Somebody in town has written a letter on the pages of the server: it leaves from here, and their box gets to know it."""
    row = tenants.get_tenant(tx, tenant)
    letter = EmailNo(no)
    move_waiting(tx, row.no, [letter], DeliveryState.AT_SERVER)
    queue_sending(ports, tx, row, letter)
    packages.turn_round(tx, row.no, letter, "down")


def _find(ports: ServerPorts, job: Job) -> tuple[TenantRow, StoredEmail] | None:
    """The letter, when this recipient is still to get it."""
    recipient = str(job.ids["address"])
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, no=job.tenant)
        if row is None or row.state == REMOVED:
            return None
        try:
            stored = letters.read_email(tx, row.no, int(job.ids["email"]))
        except NotFound:
            return None
        state = {one.address: one.state for one in deliveries(tx, row.no, stored.no)}.get(recipient)
    return (row, stored) if state is DeliveryState.AT_SERVER else None


def _hand_over(
    ports: ServerPorts, row: TenantRow, stored: StoredEmail, sender: str, recipient: str, message: bytes
) -> None:
    verdict = strangers.decide(ports, sender, recipient)
    match verdict:
        case Verdict.HERE:
            receive.accept(ports, sender, [recipient], message, source="box")
        case Verdict.LATER:
            raise Temporary("the box of this person has not been here since")
        case Verdict.NOBODY:
            raise Permanent("nobody there has this name", reason="nobody")
        case Verdict.MALFORMED:
            raise Permanent("this is not a valid address", reason="address")
        case Verdict.NO_DOMAIN:
            with ports.database.write() as tx:
                back = envelope_sender(tx, row, stored.no, recipient, ports.entropy)
            ports.mail_out.send(sender=back, recipient=recipient, message=message)


def _refuse(
    ports: ServerPorts, job: Job, row: TenantRow, email: Email, recipient: str, reason: str, *, finish: bool = True
) -> None:
    now = ports.clock()
    with ports.database.write() as tx:
        settle(tx, row, int(job.ids["email"]), email, recipient, DeliveryState.REFUSED, now, reason=reason)
        if finish:
            jobs.finish(tx, job)
