"""``POST /api/email/sendgrid/service``: mail from outside to services, where the first Lokole's provider still posts it.

Nobody outside is answered, or anybody's markup could be sent to anybody: what comes is kept apart for the operator, so much of it a day, and that is all.
"""

from __future__ import annotations

import functools
import io
import tempfile
from datetime import timedelta
from typing import BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lokole.mail.errors import Refused, Temporary
from lokole.mailbox.limits import add_count
from lokole.mailbox.quarantine import quarantine
from lokole.server.api.body import spool_body
from lokole.server.form import MEDIA_TYPES, media_type_of, read_form
from lokole.server.ports import ServerPorts
from lokole.server.unowned import SERVICES

#: anybody may post here, so this is all that it may cost in a day
MOST_A_DAY = 200
MOST_BYTES = 1024 * 1024
_A_DAY = timedelta(days=1)


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module; they come before the one whose last segment is a secret."""
    return [Route("/api/email/sendgrid/service", functools.partial(_keep_apart, ports), methods=["POST"])]


async def _keep_apart(ports: ServerPorts, request: Request) -> Response:
    content_type = request.headers.get("content-type", "")
    if media_type_of(content_type) not in MEDIA_TYPES:
        raise Refused("post a form", code="media-type", field="Content-Type")
    with tempfile.SpooledTemporaryFile(max_size=MOST_BYTES) as spool:
        try:
            await spool_body(request, spool, MOST_BYTES)
        except ClientDisconnect:
            raise Refused("the form was cut off", code="form") from None
        await run_in_threadpool(_store, ports, cast(BinaryIO, spool), content_type)
    return JSONResponse("received")


def _store(ports: ServerPorts, body: BinaryIO, content_type: str) -> None:
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
