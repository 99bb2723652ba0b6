"""``POST /api/email/sendgrid/service``: mail from outside to services, where the first Lokole's provider still posts it.

Nobody outside is answered, or anybody's markup could be sent to anybody: what comes is kept apart for the operator, so much of it a day, and that is all.
"""

from __future__ import annotations

import functools
import tempfile
from typing import BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lokole.mail.errors import Refused
from lokole.server.api.body import spool_body
from lokole.server.form import MEDIA_TYPES, media_type_of
from lokole.server.outside_services import MOST_BYTES, keep_apart
from lokole.server.ports import ServerPorts


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module; they come before the one whose last segment is a secret."""
    return [Route("/api/email/sendgrid/service", functools.partial(_receive, ports), methods=["POST"])]


async def _receive(ports: ServerPorts, request: Request) -> Response:
    content_type = request.headers.get("content-type", "")
    if media_type_of(content_type) not in MEDIA_TYPES:
        raise Refused("post a form", code="media-type", field="Content-Type")
    with tempfile.SpooledTemporaryFile(max_size=MOST_BYTES) as spool:
        try:
            await spool_body(request, spool, MOST_BYTES)
        except ClientDisconnect:
            raise Refused("the form was cut off", code="form") from None
        await run_in_threadpool(keep_apart, ports, cast(BinaryIO, spool), content_type)
    return JSONResponse("received")
