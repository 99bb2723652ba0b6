"""Somebody outside marked a letter as unwanted: its writer reads that, and the address is held back from then on.

Such reports come by SendGrid's events or by mail (RFC 5965), to ``abuse@`` and ``postmaster@`` of a domain, or to the envelope sender of the letter.
Each is matched by the envelope id that the letter carried, 128 random bits, and by nothing else that it says.
"""

from __future__ import annotations

import logging
from datetime import datetime

from lokole.mail.complaint import read_complaint
from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Address, DeliveryState
from lokole.mailbox import letters, recipients, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.suppressions import COMPLAINT, UNSUBSCRIBED, hold_back
from lokole.mailbox.tenants import TenantRow
from lokole.server.addresses import home
from lokole.server.ports import ServerPorts
from lokole.server.receipts import bounce_id, settle

log = logging.getLogger(__name__)

#: RFC 5965 section 7.3: its holder says that it was no junk after all, or that it was sent on by somebody
_NO_COMPLAINT = frozenset(("not-spam", "auth-failure", "dmarc"))
_OPT_OUT = frozenset(("opt-out", "opt-out-list", "unsubscribe"))


def take_report(ports: ServerPorts, tx: Connection, raw: bytes, now: datetime) -> bool:
    """Take a report by mail in, in the caller's transaction; may be repeated. False when it is none, or about no letter of ours."""
    report = read_complaint(raw)
    if report is None or report.kind in _NO_COMPLAINT:
        return False
    for sender in report.senders:
        found = find_named(ports, tx, sender, report.recipient) or find_named(ports, tx, sender)
        if found is not None:
            row, email_no, address = found
            if report.kind in _OPT_OUT:
                hold_back(tx, row.no, address, UNSUBSCRIBED, "", now)
            else:
                complained(tx, row, email_no, address, "", now)
            log.info("a complaint by mail about letter %d", email_no)
            return True
    return False


def complained(tx: Connection, row: TenantRow, email_no: int, address: str, said: str, now: datetime) -> None:
    """Note that ``address`` does not want letters of this domain."""
    hold_back(tx, row.no, address, COMPLAINT, said, now)
    try:
        letter = letters.read_email(tx, row.no, email_no).email
    except NotFound:
        return
    settle(tx, row, email_no, letter, address, DeliveryState.REFUSED, now, reason="complaint")


def find_named(
    ports: ServerPorts, tx: Connection, envelope: str, about: str | None = None
) -> tuple[TenantRow, int, str] | None:
    """The domain, the letter and the recipient of the letter that left with ``envelope`` as its sender; None when none did.

    ``about`` is which of its recipients is meant, None the one that the envelope names.
    """
    try:
        sender = Address.parse(home(ports.settings, envelope))
        wanted = None if about is None else Address.parse(about).key
    except Refused:
        return None
    id = bounce_id(sender.local)
    row = tenants.find_tenant(tx, domain=sender.domain)
    named = None if id is None or row is None else recipients.find_by_envelope_id(tx, row.no, id)
    if row is None or named is None:
        return None
    if wanted is None:
        return row, named[0], named[1]
    for one in recipients.deliveries(tx, row.no, named[0]):
        try:
            if Address.parse(one.address).key == wanted:
                return row, named[0], one.address
        except Refused:
            continue
    return None
