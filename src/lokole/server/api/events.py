"""SendGrid's event webhook: what became of letters that it took. Nothing is answered with 200 before it is durable."""

from __future__ import annotations

import functools
import tempfile
from typing import BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lokole.mail.errors import Refused
from lokole.server import events
from lokole.server.api.body import spool_body
from lokole.server.ports import ServerPorts

#: SendGrid sends at most 768 kB at once
MAX_BYTES = 4 * 1024 * 1024


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""
    return [Route("/api/email/sendgrid/events", functools.partial(_events, ports), methods=["POST"])]


async def _events(ports: ServerPorts, request: Request) -> Response:
    with tempfile.SpooledTemporaryFile(max_size=MAX_BYTES) as spool:
        try:
            await spool_body(request, spool, MAX_BYTES)
        except ClientDisconnect:
            raise Refused("the events were cut off", code="events") from None
        body = cast(BinaryIO, spool)
        if ports.settings.sendgrid_events_key is not None:
            from lokole.server import signed_webhook  # 8 MB that only such a server needs

            key = signed_webhook.load_key(ports.settings.sendgrid_events_key)
            signed_webhook.check(key, request.headers, body, ports.clock())
        body.seek(0)
        await run_in_threadpool(events.take_events, ports, body.read())
    return JSONResponse("received")
