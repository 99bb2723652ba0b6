"""A letter on its way out: what is left to do of it, and the letter as the world gets it."""

from __future__ import annotations

from dataclasses import replace

from lokole.mail.errors import NotFound
from lokole.mail.mime import build_mime, message_id_for
from lokole.mail.model import Delivery, DeliveryState
from lokole.mailbox import attachments, letters, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.recipients import deliveries
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.server.addresses import outward_letter
from lokole.server.ports import ServerPorts


def find_standing(tx: Connection, job: Job) -> tuple[TenantRow, StoredEmail, list[Delivery]] | None:
    """The device and the letter that ``job`` is about (ids: ``email``), and who is still to get it; None when either is gone."""
    row = tenants.find_tenant(tx, no=job.tenant)
    if row is None or row.state == REMOVED:
        return None
    try:
        stored = letters.read_email(tx, row.no, int(job.ids["email"]))
    except NotFound:
        return None
    standing = [one for one in deliveries(tx, row.no, stored.no) if one.state is DeliveryState.AT_SERVER]
    return row, stored, standing


def to_message(ports: ServerPorts, row: TenantRow, stored: StoredEmail, *, outside: bool = True) -> bytes:
    """The letter in MIME with the bytes of its files: the same at every attempt. Raises NotFound when a file is gone.

    For another box of this server (not ``outside``) people stand in it as their boxes have them.
    """
    email = replace(stored.email, attachments=attachments.load_attachments(ports.blobs, row.domain, stored.attachments))
    if outside:
        email = outward_letter(ports.settings, email)
    # the box's clock may be nonsense; what the world sees then is when the letter reached us
    date = stored.received_at if email.sent_at is None or email.sent_at_doubtful else email.sent_at
    return build_mime(email, message_id=email.message_id or message_id_for(stored.id, row.domain), date=date)
