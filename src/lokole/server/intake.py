"""Mail from outside, durable first: its bytes go into the blob store, its job into the database, and only then is the sender answered.

The job behind (``server/receive.py``) reads the message and stores it.
The same bytes to the same recipient are one letter, however often and by whichever way they come.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from lokole.mail.errors import NotFound, Refused, Temporary
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
    digest = hashlib.sha256(raw).hexdigest()
    copies = [
        _Copy(row, group, _job_key(row, digest, sender, group), judgement) for row, group in served(ports, recipients)
    ]
    kept, _ = _keep(ports, copies, digest, lambda: raw, sender, source)
    ports.events.count("email_received_for_client", kept)
    ports.bell.ring()
    return kept


def accept_all(
    ports: ServerPorts, sender: str, recipients: Sequence[str], raw: bytes, *, judgement: Judgement | None = None
) -> None:
    """:func:`accept` for a sender who was told that each of ``recipients`` is here, and hears one answer for all.

    Raises Temporary when the domain of one has gone meanwhile: the sender comes again, and is told for whom; who has the letter already has it once.
    """
    if accept(ports, sender, recipients, raw, judgement=judgement) < len(_by_domain(ports, recipients)):
        raise Temporary(_HAS_GONE)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What one domain gets of a message: for whom it is there (None: nobody said), the key of its job, what is believed of it."""

    row: TenantRow
    to: list[str] | None
    job_key: str
    judgement: Judgement


def _keep(
    ports: ServerPorts,
    copies: list[_Copy],
    digest: str,
    raw: Callable[[], bytes | Iterable[bytes]],
    sender: str,
    source: str,
) -> tuple[int, int]:
    """Keep a message for each of these domains, durable when it returns; how many of them are still there, and for how many it is new."""
    now = ports.clock()
    copies = sorted(copies, key=lambda one: one.row.no)  # the order in which they are locked
    for one in copies:
        ports.blobs.put(raw_key(one.row, digest), raw())
    new = 0
    with ports.database.write() as tx:
        # a domain may have gone while the bytes were written: nobody would read what is kept for it
        gone = [one for one in copies if not _is_served(tx, one.row)]
        kept = [one for one in copies if one not in gone]
        for one in kept:
            new += jobs.enqueue(
                tx,
                "receive",
                one.job_key,
                {"raw": digest, "sender": sender, "to": one.to, "at": to_micros(now), "source": source}
                | one.judgement.ids(),
                tenant=one.row.no,
                now=now,
            )
    for one in gone:
        ports.blobs.delete(raw_key(one.row, digest))
    for one in kept:
        _keep_raw(ports, one.row, digest, raw)
    return len(kept), new


def served(ports: ServerPorts, recipients: Iterable[str]) -> list[tuple[TenantRow, list[str]]]:
    """The domains of ``recipients`` that live here, each with its people."""
    groups = _by_domain(ports, recipients)
    with ports.database.read() as tx:
        found = [(tenants.find_tenant(tx, domain=domain), group) for domain, group in groups.items()]
    return [(row, sorted(set(group))) for row, group in found if row is not None and row.state != REMOVED]


def valid_homes(ports: ServerPorts, recipients: Iterable[str]) -> list[str]:
    """Where these live, without what is no address."""
    found = []
    for text in recipients:
        with suppress(Refused):
            found.append(str(Address.parse(home(ports.settings, text))))
    return found


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
    """Keep the message that a webhook posted, byte for byte, for each domain here that its envelope names; durable when it returns.

    Of one that is too large only the beginning is kept, where people see it.
    An envelope that does not name the domain of ``row`` came by a wrong path: then it is for nobody, and set apart there.
    Whoever knows one domain's path cannot say that a letter to another owner's domain is proven, unless all posts are signed.
    Raises Refused when the form has no letter, and Temporary when a domain has gone meanwhile: whoever posts again loses nothing.
    """
    with reading(ports, body, content_type) as (form, message):
        if form.is_too_large:
            too_large.keep_beginning(ports, row, form)
            return
        to = None if form.recipients is None else [home(ports.settings, one) for one in form.recipients]
        envelope = [form.sender, *sorted(form.recipients or ())]
        judgement = of_form(form, form.head)
        copies = [_Copy(row, to, _job_key(row, form.sha256, "webhook", envelope), judgement)]
        named = served(ports, valid_homes(ports, form.recipients or ()))
        for other, group in named if any(one.no == row.no for one, _ in named) else []:
            if other.no != row.no:
                believed = other.owner == row.owner or ports.settings.sendgrid_parse_key is not None
                of_it = judgement if believed else replace(judgement, envelope_proven=False, proven=False)
                copies.append(_Copy(other, group, _job_key(other, form.sha256, form.sender, group), of_it))
        kept, new = _keep(ports, copies, form.sha256, lambda: _chunks(message), form.sender, "webhook")
    if kept < len(copies):
        raise Temporary(_HAS_GONE)
    if new:
        ports.events.count("email_received_for_client", new)
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
