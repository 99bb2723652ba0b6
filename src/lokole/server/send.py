"""A written letter leaves: one job for each recipient, so that each has a delivery state of their own.

Where the way out writes To and Cc from the envelope, those outside get it in one call instead (``send_together.py``).
A recipient at a domain of this very server gets it without a detour, under the same rules as one outside.
A temporary failure is tried again (``jobs.py`` says how long), a permanent one becomes the recipient's state and a receipt (``receipts.py``).
The Message-ID is the same at every attempt, so that a letter sent twice, because the answer to the first was lost, can be told.
"""

from __future__ import annotations

from lokole.mail.errors import Permanent, Temporary
from lokole.mail.model import Address, DeliveryState, Email, EmailNo
from lokole.mailbox import jobs, packages, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.recipients import deliveries, move_waiting
from lokole.mailbox.suppressions import BOUNCE, hold_back, is_hard, is_suppressed
from lokole.mailbox.tenants import TenantRow
from lokole.ports.mail_out import TogetherMailOut
from lokole.server import answering, intake, outbound_limit, send_together, strangers
from lokole.server.addresses import home, outward
from lokole.server.judgement import OF_A_BOX
from lokole.server.outgoing import find_standing, to_message
from lokole.server.ports import ServerPorts
from lokole.server.receipts import envelope_sender, settle
from lokole.server.strangers import Verdict


def run(ports: ServerPorts, job: Job) -> bool:
    """Hand one letter to one recipient (ids: ``email``, ``address``), or to all outside (``email`` alone)."""
    if "address" not in job.ids:
        return send_together.run(ports, job)
    found = _find(ports, job)
    if found is None:
        return False
    row, stored = found
    recipient = str(job.ids["address"])
    sender = str(Address.parse(stored.email.sender.address))
    try:
        _hand_over(ports, row, stored, sender, recipient)
    except Permanent as error:
        _refuse(ports, job, row, stored.email, recipient, error.reason)
        ports.events.count("letter_refused")
        return True
    with ports.database.write() as tx:
        settle(tx, row, stored.no, stored.email, recipient, DeliveryState.ACCEPTED, ports.clock())
        jobs.finish(tx, job)
    ports.events.count("email_delivered_from_client")
    return True


def given_up(ports: ServerPorts, job: Job, error: Exception) -> None:
    """The time is up, or a fault of ours stays: the writer is told."""
    reason = error.reason if isinstance(error, Temporary) else "fault"
    if "address" not in job.ids:
        send_together.give_up(ports, job, reason)
        return
    found = _find(ports, job)
    if found is not None:
        row, stored = found
        _refuse(ports, job, row, stored.email, str(job.ids["address"]), reason, finish=False)


def queue_sending(ports: ServerPorts, tx: Connection, row: TenantRow, no: EmailNo) -> None:
    """One piece of work for each recipient who is still to get the letter, or one for all of them; a repeat changes nothing.

    Services are answered here (``answering.py``), whichever way letters leave.
    """
    now = ports.clock()
    standing = []
    for one in deliveries(tx, row.no, no):
        if one.state is not DeliveryState.AT_SERVER:
            continue
        if answering.is_service(ports, one.address):
            answering.queue_answering(ports, tx, row, no, one.address)
        else:
            standing.append(one.address)
    if standing and isinstance(ports.mail_out, TogetherMailOut):
        jobs.enqueue(tx, "send", f"{no}:{send_together.KEY}", {"email": no}, tenant=row.no, now=now)
        return
    for address in standing:
        send_together.queue_one(tx, row, no, address, now)


def leave_from_here(ports: ServerPorts, tx: Connection, tenant: int, no: int) -> None:
    """Somebody in town has written a letter on the pages of the server: it leaves from here, and their box gets to know it."""
    row = tenants.get_tenant(tx, tenant)
    letter = EmailNo(no)
    move_waiting(tx, row.no, [letter], DeliveryState.AT_SERVER)
    queue_sending(ports, tx, row, letter)
    packages.turn_round(tx, row.no, letter, "down")


def _find(ports: ServerPorts, job: Job) -> tuple[TenantRow, StoredEmail] | None:
    """The letter, when this recipient is still to get it."""
    with ports.database.read() as tx:
        found = find_standing(tx, job)
    if found is None:
        return None
    row, stored, standing = found
    return (row, stored) if any(one.address == str(job.ids["address"]) for one in standing) else None


def _hand_over(ports: ServerPorts, row: TenantRow, stored: StoredEmail, sender: str, recipient: str) -> None:
    here = home(ports.settings, recipient)
    match strangers.decide(ports, sender, here):
        case Verdict.HERE:
            message = to_message(ports, row, stored, outside=False)
            if not intake.accept(ports, sender, [here], message, source="box", judgement=OF_A_BOX):
                raise Temporary("the domain of this person has gone just now")
        case Verdict.LATER:
            raise Temporary("the box of this person has not been here since")
        case Verdict.NOBODY:
            raise Permanent("nobody there has this name", reason="nobody")
        case Verdict.MALFORMED:
            raise Permanent("this is not a valid address", reason="address")
        case Verdict.NO_DOMAIN:
            with ports.database.write() as tx:
                if is_suppressed(tx, row.no, recipient):
                    raise Permanent("letters to this address came back", reason="suppressed")
                outbound_limit.ask(ports, tx, row, sender)
                back = outward(ports.settings, envelope_sender(tx, row, stored.no, recipient, ports.entropy))
            message = to_message(ports, row, stored)
            ports.mail_out.send(sender=back, recipient=recipient, message=message)
            outbound_limit.count(ports, row, sender, 1)


def _refuse(
    ports: ServerPorts, job: Job, row: TenantRow, email: Email, recipient: str, reason: str, *, finish: bool = True
) -> None:
    now = ports.clock()
    with ports.database.write() as tx:
        settle(tx, row, int(job.ids["email"]), email, recipient, DeliveryState.REFUSED, now, reason=reason)
        if is_hard(reason):
            hold_back(tx, row.no, recipient, BOUNCE, reason, now)
        if finish:
            jobs.finish(tx, job)
