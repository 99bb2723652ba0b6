"""Mail from outside: durable first, everything else later.

``accept`` and ``take_form`` put the bytes into the blob store and queue a job in one transaction; only then is the sender answered.
The job (``run``) reads the message, makes its pictures smaller and stores it for the people whom the *envelope* addresses.
What cannot be read is kept apart with its raw bytes; it never stops another letter.

The same bytes to the same recipient are one letter, however often and by whichever way they come.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_bytes
from email.utils import getaddresses
from typing import BinaryIO, cast

from sqlalchemy import select

from lokole.mail.errors import LokoleError, NotFound, Refused, Temporary
from lokole.mail.mime import parse_email
from lokole.mail.model import Address, Email, EmailNo
from lokole.mail.slim import slim_email
from lokole.mailbox import jobs, tenants
from lokole.mailbox.accounts import find_account_no
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import StoredAttachment, mark_proven, put_attachments, store_email
from lokole.mailbox.packages import add_waiting
from lokole.mailbox.posting import BOARD_NAME
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.recipients import set_envelope
from lokole.mailbox.schema import address as address_table
from lokole.mailbox.schema import email as email_table
from lokole.mailbox.seen import remember
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.ports.judge import Posted
from lokole.server import complaints, judging, junk, logs
from lokole.server.addresses import home, home_letter
from lokole.server.devices import serves_v1
from lokole.server.form import InboundForm, read_form
from lokole.server.judgement import UNJUDGED, Judgement, of_form, of_opinion
from lokole.server.ports import ServerPorts
from lokole.server.provider_trouble import tell_of_post
from lokole.server.receipts import bounce_id, take_back
from lokole.server.strangers import OPERATOR_NAMES
from lokole.sync.ids import SERVER_ORIGIN

log = logging.getLogger(__name__)

_CHUNK = 256 * 1024
_IN_MEMORY = 1024 * 1024
_MAX_HEADER = 64 * 1024
_HAS_GONE = "a domain has gone while its letter came"
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


# --- durable -------------------------------------------------------------------------------------


def accept(
    ports: ServerPorts,
    sender: str,
    recipients: Sequence[str],
    raw: bytes,
    *,
    source: str = "smtp",
    judgement: Judgement | None = None,
) -> int:
    """Keep ``raw`` for those of ``recipients`` whose domains live here, each tenant a copy of its own; returns how many tenants.

    Durable when it returns. Recipients of other domains are left out: nothing is relayed.
    Without a ``judgement`` the judge is asked, when the letter came by SMTP.
    """
    if judgement is None:
        judgement = UNJUDGED
        if source == "smtp":
            judgement = of_opinion(judging.ask(ports, Posted(sender, tuple(recipients), raw)), sender, raw)
    now = ports.clock()
    groups = _by_domain(ports, recipients)
    with ports.database.read() as tx:
        found = [(tenants.find_tenant(tx, domain=domain), group) for domain, group in groups.items()]
    rows = [(row, sorted(set(group))) for row, group in found if row is not None and row.state != REMOVED]
    rows.sort(key=lambda one: one[0].no)  # the order in which they are locked
    digest = hashlib.sha256(raw).hexdigest()
    for row, _ in rows:
        ports.blobs.put(raw_key(row, digest), raw)
    with ports.database.write() as tx:
        # a domain may have gone while the bytes were written: nobody would read what is kept for it
        gone = [row for row, _ in rows if not _is_served(tx, row)]
        rows = [(row, group) for row, group in rows if row not in gone]
        for row, group in rows:
            jobs.enqueue(
                tx,
                "receive",
                _job_key(row, digest, sender, group),
                {"raw": digest, "sender": sender, "to": group, "at": to_micros(now), "source": source}
                | judgement.ids(),
                tenant=row.no,
                now=now,
            )
    for row in gone:
        ports.blobs.delete(raw_key(row, digest))
    for row, _ in rows:
        _keep_raw(ports, row, digest, lambda: raw)
    ports.events.count("email_received_for_client", len(rows))
    ports.bell.ring()
    return len(rows)


def accept_all(
    ports: ServerPorts, sender: str, recipients: Sequence[str], raw: bytes, *, judgement: Judgement | None = None
) -> None:
    """:func:`accept` for a sender who was told that each of ``recipients`` is here, and hears one answer for all.

    Raises Temporary when the domain of one has gone meanwhile: the sender comes again, and is told for whom; who has the letter already has it once.
    """
    if accept(ports, sender, recipients, raw, judgement=judgement) < len(_by_domain(ports, recipients)):
        raise Temporary(_HAS_GONE)


def _by_domain(ports: ServerPorts, recipients: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for text in recipients:
        address = Address.parse(home(ports.settings, text))
        groups.setdefault(address.domain, []).append(address.key)
    return groups


def _is_served(tx: Connection, row: TenantRow) -> bool:
    tenants.lock(tx, row.no)
    current = tenants.find_tenant(tx, no=row.no)
    return current is not None and current.state != REMOVED


def _keep_raw(ports: ServerPorts, row: TenantRow, digest: str, raw: Callable[[], bytes | Iterable[bytes]]) -> None:
    """The same message may have come long ago and be swept just now: from here on its job keeps it."""
    try:
        ports.blobs.size(raw_key(row, digest))
    except NotFound:
        ports.blobs.put(raw_key(row, digest), raw())


def take_form(ports: ServerPorts, row: TenantRow, body: BinaryIO, content_type: str) -> None:
    """Keep the message that a webhook posted, byte for byte; durable when it returns.

    Raises Refused when the form has no letter, and Temporary when the domain has gone meanwhile; nothing is kept then.
    """
    now = ports.clock()
    with reading(ports, body, content_type) as (form, message):
        key = raw_key(row, form.sha256)
        ports.blobs.put(key, _chunks(message))
        to = None if form.recipients is None else [home(ports.settings, one) for one in form.recipients]
        ids = {"raw": form.sha256, "sender": form.sender, "to": to, "at": to_micros(now), "source": "webhook"}
        envelope = [form.sender, *sorted(form.recipients or ())]
        with ports.database.write() as tx:
            served = _is_served(tx, row)
            created = served and jobs.enqueue(
                tx,
                "receive",
                _job_key(row, form.sha256, "webhook", envelope),
                ids | of_form(form, form.head).ids(),
                tenant=row.no,
                now=now,
            )
        if not served:
            ports.blobs.delete(key)
            raise Temporary(_HAS_GONE)
        _keep_raw(ports, row, form.sha256, lambda: _chunks(message))
    if created:
        ports.events.count("email_received_for_client")
    ports.bell.ring()


@contextmanager
def reading(ports: ServerPorts, body: BinaryIO, content_type: str) -> Iterator[tuple[InboundForm, BinaryIO]]:
    """What a webhook posted, and its message as a file that ends with the block.

    Raises Refused when the form has no letter; whatever is not taken, the operator is told.
    """
    body.seek(0)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        message = cast(BinaryIO, spool)
        try:
            form = read_form(body, content_type, message, max_bytes=ports.settings.max_letter_bytes)
        except LokoleError as error:
            tell_of_post(ports, error)
            raise
        message.seek(0)
        yield form, message


def raw_key(row: TenantRow, digest: str) -> str:
    """Where the raw bytes of an incoming message are kept."""
    return f"{row.domain}/raw/{digest}"


def _job_key(row: TenantRow, digest: str, sender: str, recipients: Iterable[str]) -> str:
    whole = "\n".join((str(row.no), digest, sender, *recipients))
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        yield chunk


# --- the work behind -----------------------------------------------------------------------------


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


def given_up(ports: ServerPorts, job: Job, told: str) -> None:
    """The job failed for good: the letter is kept apart, its bytes stay where they are."""
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=job.tenant,
            kind="mime",
            source=str(job.ids.get("source", "webhook")),
            reason=f"given up: {told.partition(' ')[0]}",
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
