"""The webhook: mail from outside, as SendGrid's Inbound Parse posts it.

The last path segment is the domain's secret; nothing is read from anybody who does not know it.
Whoever knows it is answered 200 or 5xx and never 4xx: SendGrid brings again what was answered with 5xx, and drops the rest.
"""

from __future__ import annotations

import functools
import hmac
import tempfile
from collections.abc import Mapping
from typing import BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lokole.mail.errors import Refused, Temporary
from lokole.mailbox import tenants
from lokole.mailbox.tenants import PREPARING, REMOVED, TenantRow
from lokole.server import intake, shared_intake
from lokole.server.api.body import spool_body
from lokole.server.form import MEDIA_TYPES, URLENCODED, media_type_of
from lokole.server.ports import ServerPorts
from lokole.server.problems import Words
from lokole.server.provider_trouble import tell_of_post

_IN_MEMORY = 1024 * 1024
#: What other fields and files of the form may add, in bytes, and a letter that is too large; they are read past.
_FURTHER = 32 * 1024 * 1024
_UNSIGNED = (
    "A post with the right secret path has no right signature: does Inbound Parse use the security policy whose key is"
    " LOKOLE_SENDGRID_PARSE_KEY? Such letters wait at SendGrid for three days."
)


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""
    return [Route("/api/email/sendgrid/{client_id}", functools.partial(_webhook, ports), methods=["POST"])]


async def _webhook(ports: ServerPorts, request: Request) -> Response:
    secret = request.path_params["client_id"]
    shared = ports.settings.flat_webhook is not None and hmac.compare_digest(
        secret.encode("utf-8", "replace"), ports.settings.flat_webhook.encode()
    )
    row = None if shared else await run_in_threadpool(_find, ports, secret)
    if row is None and not shared:
        ports.events.count("unregistered_client")
        raise Words(403, "client is not registered")
    try:
        await _take(ports, row, request)
    except Refused as error:
        # SendGrid drops what is answered with 4xx, and nobody would hear of the letter again
        await run_in_threadpool(tell_of_post, ports, error)
        raise Temporary("the post was not understood") from error
    except Temporary as error:
        await run_in_threadpool(tell_of_post, ports, error)
        raise
    return JSONResponse("received")


async def _take(ports: ServerPorts, row: TenantRow | None, request: Request) -> None:
    """Keep what was posted for ``row``, or without one for the flat domain. Raises Refused for what is no letter."""
    content_type = request.headers.get("content-type", "")
    media_type = media_type_of(content_type)
    if media_type not in MEDIA_TYPES:
        raise Refused("it is no form", code="media-type", field="Content-Type")
    # three characters stand for a byte in the one form, one in the other
    most = ports.settings.max_letter_bytes * (3 if media_type == URLENCODED else 1) + _FURTHER
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        try:
            await spool_body(request, spool, most)
        except ClientDisconnect:
            raise Temporary("the form was cut off") from None
        body = cast(BinaryIO, spool)
        if ports.settings.sendgrid_parse_key is not None:
            await run_in_threadpool(_check_signature, ports, ports.settings.sendgrid_parse_key, request.headers, body)
        if row is None:
            await run_in_threadpool(shared_intake.take_form, ports, body, content_type)
        else:
            await run_in_threadpool(intake.take_form, ports, row, body, content_type)


def _check_signature(ports: ServerPorts, key: str, headers: Mapping[str, str], body: BinaryIO) -> None:
    """Take nothing that SendGrid has not signed, where it signs. It drops what is answered with 4xx, so a wrong setting must not say that."""
    from lokole.server import signed_webhook  # 8 MB that only such a server needs

    try:
        signed_webhook.check(signed_webhook.load_key(key), headers, body, ports.clock())
    except Refused as error:
        raise Temporary("the signature is missing or wrong", operator=_UNSIGNED) from error


def _find(ports: ServerPorts, secret: str) -> TenantRow | None:
    """The domain of a secret; raises Temporary for one that is still being made, whose letters would be lost by a refusal."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, webhook_secret=secret)
    if row is not None and row.state == PREPARING:
        raise Temporary("this domain is not ready yet")
    return None if row is None or row.state == REMOVED else row
