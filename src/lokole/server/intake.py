"""Mail from outside, durable first: its bytes go into the blob store, its job into the database, and only then is the sender answered.

The job behind (``server/receive.py``) reads the message and stores it.
The same bytes to the same recipient are one letter, however often and by whichever way they come.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from lokole.mail.errors import NotFound, Temporary
from lokole.mail.model import Address
from lokole.mailbox import jobs, tenants
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.ports.judge import Posted
from lokole.server import judging, too_large
from lokole.server.addresses import home
from lokole.server.form import InboundForm, read_form
from lokole.server.judgement import UNJUDGED, Judgement, of_form, of_opinion
from lokole.server.ports import ServerPorts

_CHUNK = 256 * 1024
_IN_MEMORY = 1024 * 1024
_HAS_GONE = "a domain has gone while its letter came"


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

    Of one that is too large only the beginning is kept, where people see it. Raises Refused when the form has no letter,
    and Temporary when the domain has gone meanwhile; nothing is kept then.
    """
    now = ports.clock()
    with reading(ports, body, content_type) as (form, message):
        if form.is_too_large:
            too_large.keep_beginning(ports, row, form)
            return
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
    """What a webhook posted, and its message as a file that ends with the block. Raises Refused when the form has no letter."""
    body.seek(0)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        message = cast(BinaryIO, spool)
        form = read_form(body, content_type, message, max_bytes=ports.settings.max_letter_bytes)
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
