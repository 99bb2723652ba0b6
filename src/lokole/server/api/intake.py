"""The webhook: mail from outside, as SendGrid's Inbound Parse posts it.

The last path segment is the domain's secret; nothing is read from anybody who does not know it.
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
from lokole.mailbox import tenants
from lokole.mailbox.tenants import TenantRow
from lokole.server import receive
from lokole.server.api.body import spool_body
from lokole.server.devices import PREPARING, REMOVED
from lokole.server.form import MEDIA_TYPES, URLENCODED, media_type_of
from lokole.server.ports import ServerPorts
from lokole.server.problems import Words

_IN_MEMORY = 1024 * 1024
#: What other fields and files of the form may add, in bytes; they are read past.
_FURTHER = 32 * 1024 * 1024


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""
    return [Route("/api/email/sendgrid/{client_id}", functools.partial(_webhook, ports), methods=["POST"])]


async def _webhook(ports: ServerPorts, request: Request) -> Response:
    row = await run_in_threadpool(_find, ports, request.path_params["client_id"])
    if row is None:
        ports.events.count("unregistered_client")
        raise Words(403, "client is not registered")
    content_type = request.headers.get("content-type", "")
    media_type = media_type_of(content_type)
    if media_type not in MEDIA_TYPES:
        raise Refused("post a form", code="media-type", field="Content-Type")
    # three characters stand for a byte in the one form, one in the other
    most = ports.settings.max_letter_bytes * (3 if media_type == URLENCODED else 1) + _FURTHER
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        try:
            await spool_body(request, spool, most)
        except ClientDisconnect:
            raise Refused("the form was cut off", code="form") from None
        await run_in_threadpool(receive.take_form, ports, row, cast(BinaryIO, spool), content_type)
    return JSONResponse("received")


def _find(ports: ServerPorts, secret: str) -> TenantRow | None:
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, webhook_secret=secret)
    return None if row is None or row.state in (PREPARING, REMOVED) else row
