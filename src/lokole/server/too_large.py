"""A letter by webhook that is larger than any may be: its beginning stands apart for the operator, and whom it is for reads who wrote.

By SMTP its sender is told at once (552). A provider has taken it already: refused it would be dropped without a word,
and put off it would come for three days and then be dropped all the same. So it is taken, and nothing of that is silent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from lokole.mail.errors import Refused, Temporary
from lokole.mail.mime import parse_email
from lokole.mail.model import Address, Contact, Email
from lokole.mailbox import tenants
from lokole.mailbox.accounts import find_account
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.seen import remember
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.server import junk, notices
from lokole.server.addresses import home
from lokole.server.devices import serves_v1
from lokole.server.form import InboundForm
from lokole.server.judgement import of_form
from lokole.server.ports import ServerPorts
from lokole.server.receipts import bounce_id

#: of what is kept apart here, and of the notes that somebody was told
KIND = "too-large"


def keep_beginning(ports: ServerPorts, row: TenantRow | None, form: InboundForm) -> None:
    """Set the beginning of the message apart, and write to the people of ``row`` whom it is for; durable when it returns.

    Without a ``row`` it is for nobody here. The same message is set apart once, and each of its recipients told once.
    Raises Temporary when the domain has gone meanwhile; nothing is kept then.
    """
    now = ports.clock()
    place = ports.settings.flat_domain if row is None else row.domain
    ref = f"{place}/{KIND}/{form.sha256}"
    ports.blobs.put(ref, form.head)
    with ports.database.write() as tx:
        served = True
        if row is not None:
            tenants.lock(tx, row.no)
            current = tenants.find_tenant(tx, no=row.no)
            served = current is not None and current.state != REMOVED
        if served:
            quarantine(
                tx,
                tenant=None if row is None else row.no,
                kind=KIND,
                source="webhook",
                reason=f"larger than LOKOLE_MAX_LETTER_MB ({ports.settings.max_letter_mb}): only its beginning is kept",
                raw_ref=ref,
                key=f"{KIND}:{'' if row is None else row.no}:{form.sha256}",
                now=now,
            )
        if served and row is not None and not junk.is_junk(ports, of_form(form, form.head)):
            letter = _letter(ports, form)
            for address in _addressed(ports, row, form, letter):
                person = find_account(tx, row.no, address.local)
                if person is None and not serves_v1(row):
                    continue
                key = hashlib.sha256(f"{form.sha256}\n{address.key}".encode("utf-8", "replace")).hexdigest()
                if remember(tx, row.no, KIND, key, now):
                    notices.write_too_large(tx, row, address, letter, ports.settings.max_letter_mb, now)
    if not served:
        ports.blobs.delete(ref)
        raise Temporary("a domain has gone while its letter came")
    ports.events.count("letter_too_large")
    ports.bell.ring()


def _letter(ports: ServerPorts, form: InboundForm) -> Email:
    """Who wrote it to whom and about what, as far as its beginning says."""
    try:
        return parse_email(form.head, received_at=ports.clock()).email
    except Refused:
        return Email(sender=Contact(form.sender))


def _addressed(ports: ServerPorts, row: TenantRow, form: InboundForm, letter: Email) -> Iterable[Address]:
    """The envelope's recipients at this domain, without an envelope those of To and Cc; none is where notifications go."""
    texts = form.recipients
    if texts is None:
        texts = tuple(contact.address for contact in (*letter.to, *letter.cc))
    found: dict[str, Address] = {}
    for text in texts:
        try:
            address = Address.parse(home(ports.settings, text))
        except Refused:
            continue
        if address.domain == row.domain and bounce_id(address.local) is None:
            found.setdefault(address.key, address)
    return found.values()
