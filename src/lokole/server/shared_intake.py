"""Mail for the flat domain by webhook: one path for all boxes, whose people are written ``user-box@domain``.

The letter is read at once, and each domain that its envelope names gets a copy of its own, as by SMTP.
What names nobody of ours is nobody's, and kept for the operator: a refusal would be the end of it.
"""

from __future__ import annotations

import hashlib
from email import message_from_bytes
from email.utils import getaddresses
from typing import BinaryIO

from lokole.mail.errors import LokoleError, Refused
from lokole.mail.model import Address
from lokole.mailbox.quarantine import quarantine
from lokole.server import receive
from lokole.server.addresses import home
from lokole.server.form import read_form
from lokole.server.judgement import of_form
from lokole.server.ports import ServerPorts
from lokole.server.provider_trouble import tell_of_post

_MAX_HEADER = 64 * 1024


def take_form(ports: ServerPorts, body: BinaryIO, content_type: str) -> None:
    """Keep what was posted; durable when it returns. Raises Refused when the form has no letter."""
    body.seek(0)
    try:
        form = read_form(body, content_type, max_bytes=ports.settings.max_letter_bytes, keep=True)
    except LokoleError as error:
        tell_of_post(ports, error)
        raise
    assert form.email is not None
    named = _named(form.email) if form.recipients is None else form.recipients
    homes = [home(ports.settings, one) for one in named]
    valid = [one for one in homes if _is_address(one)]
    judgement = of_form(form, form.email)
    if receive.accept(ports, form.sender, valid, form.email, source="webhook", judgement=judgement):
        return
    digest = hashlib.sha256(form.email).hexdigest()
    key = f"{ports.settings.flat_domain}/raw/{digest}"
    ports.blobs.put(key, form.email)
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=None,
            kind="dead-letter",
            source="webhook",
            reason="nobody here is addressed",
            raw_ref=key,
            key=f"shared:{digest}",
            now=ports.clock(),
        )


def _named(raw: bytes) -> tuple[str, ...]:
    head = message_from_bytes(raw[:_MAX_HEADER])
    fields = [str(one) for name in ("To", "Cc") for one in head.get_all(name, [])]
    return tuple(address for _, address in getaddresses(fields))


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except Refused:
        return False
    return True
