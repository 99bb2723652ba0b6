"""A post from outside to a service is kept apart for the operator: services answer people of boxes only.

Anybody may post, so what is kept in a day is bounded.
"""

from __future__ import annotations

import io
from datetime import timedelta
from typing import BinaryIO

from lokole.mail.errors import Temporary
from lokole.mailbox.limits import add_count
from lokole.mailbox.quarantine import quarantine
from lokole.server.form import read_form
from lokole.server.ports import ServerPorts
from lokole.server.unowned import SERVICES

#: anybody may post here, so this is all that it may cost in a day
MOST_A_DAY = 200
MOST_BYTES = 1024 * 1024
_A_DAY = timedelta(days=1)


def keep_apart(ports: ServerPorts, body: BinaryIO, content_type: str) -> None:
    """Keep the letter in the form ``body`` apart; the same one again changes nothing.

    Raises what ``form.read_form`` raises, and Temporary when so much is kept in a day, or the store is out of reach.
    """
    body.seek(0)
    message = io.BytesIO()
    digest = read_form(body, content_type, message, max_bytes=MOST_BYTES).sha256
    now = ports.clock()
    with ports.database.write() as tx:
        if add_count(tx, "outside-services", _A_DAY, now) > MOST_A_DAY:
            raise Temporary("so much is kept in a day", retry_after=3600)
    key = f"{SERVICES}{digest}"
    ports.blobs.put(key, message.getvalue())
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=None,
            kind="dead-letter",
            source="webhook",
            reason="a letter from outside to a service, which answers people of boxes only",
            raw_ref=key,
            key=f"services:{digest}",
            now=now,
        )
