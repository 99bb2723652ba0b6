"""The work behind the intake: read a message and store it for the people whom its *envelope* addresses, with smaller pictures.

What cannot be read is kept apart with its raw bytes; it never stops another letter.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_bytes
from email.utils import getaddresses

from sqlalchemy import select

from lokole.mail.errors import LokoleError, Refused
from lokole.mail.mime import parse_email
from lokole.mail.model import Address, Email, EmailNo
from lokole.mail.slim import slim_email
from lokole.mailbox import jobs, tenants
from lokole.mailbox.accounts import find_account_no
from lokole.mailbox.attachments import StoredAttachment, put_attachments
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import mark_proven, store_email
from lokole.mailbox.packages import add_waiting
from lokole.mailbox.posting import BOARD_NAME
from lokole.mailbox.quarantine import quarantine, settle_bytes
from lokole.mailbox.recipients import set_envelope
from lokole.mailbox.schema import address as address_table
from lokole.mailbox.schema import email as email_table
from lokole.mailbox.seen import remember
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.server import complaints, junk, logs
from lokole.server.addresses import home, home_letter
from lokole.server.devices import serves_v1
from lokole.server.intake import raw_key
from lokole.server.judgement import UNJUDGED, Judgement
from lokole.server.ports import ServerPorts
from lokole.server.receipts import bounce_id, take_back
from lokole.server.strangers import OPERATOR_NAMES
from lokole.sync.ids import SERVER_ORIGIN

log = logging.getLogger(__name__)

_MAX_HEADER = 64 * 1024
#: Machines that answer must not be answered (RFC 3834 section 2).
_AUTOMATIC = re.compile(
    rb"^(?:auto-submitted:(?!\s*no\b)|list-id:|list-unsubscribe:|precedence:\s*(?:bulk|junk|list))",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message and its envelope; ``recipients`` is None when nobody said for whom it is, ``judgement`` what was found out about it."""

    raw: bytes
    sender: str
    recipients: tuple[str, ...] | None
    received_at: datetime
    source: str
    judgement: Judgement = UNJUDGED


def run(ports: ServerPorts, job: Job) -> bool:
    """Read one message and store it for its recipients."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, no=job.tenant)
    if row is None or row.state == REMOVED:
        return False
    # without its bytes it is given up, where the operator sees it: they go in no other way than with the job that needs them
    arrival = _load(ports, row, job)
    digest = str(job.ids["raw"])
    try:
        _take_in(ports, row, job, arrival, digest)
    except LokoleError:
        raise
    except Exception as error:
        # whatever this letter is, its neighbours are waiting
        log.error("a letter could not be read: %s", logs.place(error))
        _set_apart(ports, row, job, arrival, digest, f"not readable: {type(error).__name__}")
    return True


def given_up(ports: ServerPorts, job: Job, error: Exception) -> None:
    """The job failed for good: the letter is kept apart, its bytes stay where they are."""
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=job.tenant,
            kind="mime",
            source=str(job.ids.get("source", "webhook")),
            reason=f"given up: {type(error).__name__}",
            raw_ref=_ref_of(tx, job),
            key=f"receive:{job.no}",
            now=ports.clock(),
        )


def _ref_of(tx: Connection, job: Job) -> str | None:
    row = tenants.find_tenant(tx, no=job.tenant)
    return None if row is None else raw_key(row, str(job.ids["raw"]))


def _load(ports: ServerPorts, row: TenantRow, job: Job) -> Arrival:
    raw = ports.blobs.read(raw_key(row, str(job.ids["raw"])))
    sender, source = str(job.ids["sender"]), str(job.ids.get("source", "smtp"))
    judgement = Judgement.from_ids(job.ids)
    to = None if job.ids["to"] is None else tuple(job.ids["to"])
    return Arrival(raw, sender, to, from_micros(int(job.ids["at"])), source, judgement)


def _take_in(ports: ServerPorts, row: TenantRow, job: Job, arrival: Arrival, digest: str) -> None:
    back, others = _sent_back(ports, row, arrival)
    if back:
        with ports.database.write() as tx:
            for address in back:
                key = hashlib.sha256(f"{digest}\n{address.key}".encode("utf-8", "replace")).hexdigest()
                if not remember(tx, row.no, "incoming", key, ports.clock()):
                    continue
                if not complaints.take_report(ports, tx, arrival.raw, ports.clock()):
                    take_back(tx, row, address, arrival.raw, raw_key(row, digest), arrival.source, ports.clock())
            if not others:
                jobs.finish(tx, job)
        if not others:
            return
        arrival = replace(arrival, recipients=others)
    if junk.is_junk(ports, arrival.judgement) and not job.ids.get("let_through"):
        to = None if arrival.recipients is None else list(arrival.recipients)
        ids = {
            "raw": digest,
            "sender": arrival.sender,
            "to": to,
            "at": to_micros(arrival.received_at),
            "source": arrival.source,
        }
        junk.set_apart(ports, job, row, digest, ids | arrival.judgement.ids(), arrival.judgement.score)
        return
    try:
        parsed = parse_email(arrival.raw, received_at=arrival.received_at)
    except Refused as error:
        _set_apart(ports, row, job, arrival, digest, str(error))
        return
    limits = ports.settings.pictures(v1=serves_v1(row))
    email = home_letter(ports.settings, slim_email(parsed.email, ports.shrink, limits))
    recipients = _recipients(row, arrival, email)
    if not recipients:
        _set_apart(ports, row, job, arrival, digest, "nobody at this domain is addressed", kind="dead-letter")
        return
    stored = put_attachments(ports.blobs, row.domain, email.attachments)
    with ports.database.write() as tx:
        _store(ports, tx, row, arrival, digest, email, recipients, stored)
        if job.asked > 1:
            settle_bytes(tx, row.no, "mime", raw_key(row, digest), ports.clock())
        jobs.finish(tx, job)
    ports.events.count("email_stored_for_client")
    ports.bell.ring()


def _sent_back(ports: ServerPorts, row: TenantRow, arrival: Arrival) -> tuple[list[Address], tuple[str, ...]]:
    """The envelope senders of our letters among the recipients, which are nobody's mailbox, and all others."""
    back: dict[str, Address] = {}
    others = []
    texts = arrival.recipients
    if texts is None:
        head = message_from_bytes(arrival.raw[:_MAX_HEADER])
        named = getaddresses([str(one) for one in head.get_all("To", [])])
        texts = tuple(home(ports.settings, address) for _, address in named)
        kept: tuple[str, ...] = ()
    else:
        kept = texts
    for text in texts:
        try:
            address = Address.parse(text)
        except Refused:
            others.append(text)
            continue
        if address.domain == row.domain and bounce_id(address.local) is not None:
            back.setdefault(address.key, address)
        else:
            others.append(text)
    if arrival.recipients is None and not back:
        return [], kept
    return list(back.values()), tuple(others)


def _recipients(row: TenantRow, arrival: Arrival, email: Email) -> list[Address]:
    """The envelope's recipients at this domain; without an envelope those of To and Cc."""
    texts = arrival.recipients
    if texts is None:
        texts = tuple(contact.address for contact in (*email.to, *email.cc))
    found: dict[str, Address] = {}
    for text in texts:
        try:
            address = Address.parse(text)
        except Refused:
            continue
        if address.domain == row.domain:
            found.setdefault(address.key, address)
    return list(found.values())


def _store(
    ports: ServerPorts,
    tx: Connection,
    row: TenantRow,
    arrival: Arrival,
    digest: str,
    email: Email,
    recipients: list[Address],
    stored: list[StoredAttachment],
) -> None:
    now = ports.clock()
    v1 = serves_v1(row)
    raw_ref = raw_key(row, digest)
    states: dict[str, str] = {}
    people: list[int] = []
    for address in recipients:
        key = hashlib.sha256(f"{digest}\n{address.key}".encode("utf-8", "replace")).hexdigest()
        if not remember(tx, row.no, "incoming", key, now):
            continue
        if _is_own_echo(tx, row, email, address):
            continue
        person = find_account_no(tx, row.no, address.local)
        if person is not None:
            people.append(person)
        if person is not None or v1:
            states[address.key] = "delivered"
        elif address.local.casefold() == BOARD_NAME and arrival.judgement.proven:
            states[address.key] = "delivered"  # whether it hangs there, the box decides (ADR 17)
        elif address.local.casefold() in OPERATOR_NAMES:
            if complaints.take_report(ports, tx, arrival.raw, now):
                continue
            _to_operator(tx, row, arrival, raw_ref, key, now)
        else:
            states[address.key] = "unknown"
    if not states:
        return
    no, _ = store_email(
        tx,
        row.no,
        email,
        id=next_email_id(tx, SERVER_ORIGIN),
        received_at=arrival.received_at,
        attachments=stored,
        deliver_to=people,
        raw_ref=raw_ref,
    )
    set_envelope(tx, row.no, no, states)
    if arrival.judgement.proven:
        mark_proven(tx, row.no, no)
    if "delivered" in states.values():
        add_waiting(tx, row.no, no, "down")
    for text, state in states.items():
        if state == "unknown":
            _let_wait(tx, row, arrival, no, text, now)


def _let_wait(tx: Connection, row: TenantRow, arrival: Arrival, no: EmailNo, address: str, now: datetime) -> None:
    jobs.enqueue(
        tx,
        "stranger",
        hashlib.sha256(f"{row.no}:{no}:{address}".encode("utf-8", "replace")).hexdigest(),
        {
            "email": no,
            "address": address,
            "visits": row.visits,
            "sender": arrival.sender,
            "notify": may_be_answered(arrival),
        },
        tenant=row.no,
        now=now,
    )


def may_be_answered(arrival: Arrival) -> bool:
    """Whether a notice may go to the sender: a proved one, and neither a machine nor a list (RFC 3834, RFC 5321 section 6.1)."""
    if not arrival.sender or not arrival.judgement.envelope_proven:
        return False
    end = arrival.raw.find(b"\r\n\r\n", 0, _MAX_HEADER)
    if end < 0:
        end = arrival.raw.find(b"\n\n", 0, _MAX_HEADER)
    return _AUTOMATIC.search(arrival.raw[: end if end >= 0 else _MAX_HEADER]) is None


def _is_own_echo(tx: Connection, row: TenantRow, email: Email, recipient: Address) -> bool:
    """Whether this is a letter of this very box that came back to its writer, or to somebody who had it there already."""
    if not email.message_id.rstrip(">").lower().endswith(f"@{row.domain}"):
        return False
    query = select(email_table.c.order_no, email_table.c.sender_address).where(
        email_table.c.tenant == row.no, email_table.c.message_id == email.message_id, email_table.c.uid.is_not(None)
    )
    original = tx.execute(query).first()
    if original is None or not _same(original.sender_address, email.sender.address):
        return False
    if _same(original.sender_address, recipient.key):
        return True
    had = select(address_table.c.address).where(
        address_table.c.tenant == row.no,
        address_table.c.email == original.order_no,
        address_table.c.role.in_(("to", "cc")),
    )
    return any(_same(text, recipient.key) for text in tx.execute(had).scalars())


def _same(one: str, other: str) -> bool:
    try:
        return Address.parse(one).key == Address.parse(other).key
    except Refused:
        return False


def _to_operator(tx: Connection, row: TenantRow, arrival: Arrival, raw_ref: str, key: str, now: datetime) -> None:
    quarantine(
        tx,
        tenant=row.no,
        kind="dead-letter",
        source=arrival.source,
        reason="for the operator of this domain",
        raw_ref=raw_ref,
        key=f"operator:{row.no}:{key}",
        now=now,
    )


def _set_apart(
    ports: ServerPorts, row: TenantRow, job: Job, arrival: Arrival, digest: str, reason: str, *, kind: str = "mime"
) -> None:
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=row.no,
            kind=kind,
            source=arrival.source,
            reason=reason,
            raw_ref=raw_key(row, digest),
            key=f"{kind}:{row.no}:{digest}",
            now=ports.clock(),
        )
        jobs.finish(tx, job)
