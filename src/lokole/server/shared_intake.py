"""Mail for the flat domain by webhook: one path for all boxes, whose people are written ``user-box@domain``.

The letter is read at once, and each domain that its envelope names gets a copy of its own, as by SMTP.
What names nobody of ours is nobody's, and kept for the operator: a refusal would be the end of it.
"""

from __future__ import annotations

from email import message_from_bytes
from email.utils import getaddresses
from typing import BinaryIO

from lokole.mailbox.quarantine import quarantine
from lokole.server import intake, too_large
from lokole.server.judgement import of_form
from lokole.server.ports import ServerPorts


def take_form(ports: ServerPorts, body: BinaryIO, content_type: str) -> None:
    """Keep what was posted; durable when it returns. Raises Refused when the form has no letter."""
    with intake.reading(ports, body, content_type) as (form, message):
        raw = message.read()
    named = _named(form.head) if form.recipients is None else form.recipients
    valid = intake.valid_homes(ports, named)
    if form.is_too_large:
        rows = [row for row, _ in intake.served(ports, valid)]
        for row in rows:
            too_large.keep_beginning(ports, row, form)
        if not rows:
            too_large.keep_beginning(ports, None, form)
        return
    if intake.accept(ports, form.sender, valid, raw, source="webhook", judgement=of_form(form, form.head)):
        return
    key = f"{ports.settings.flat_domain}/raw/{form.sha256}"
    ports.blobs.put(key, raw)
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=None,
            kind="dead-letter",
            source="webhook",
            reason="nobody here is addressed",
            raw_ref=key,
            key=f"shared:{form.sha256}",
            now=ports.clock(),
        )


def _named(head: bytes) -> tuple[str, ...]:
    read = message_from_bytes(head)
    fields = [str(one) for name in ("To", "Cc") for one in read.get_all(name, [])]
    return tuple(address for _, address in getaddresses(fields))
