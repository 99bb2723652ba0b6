"""What every request of a box has: its signature, numbers in their range, a digest in its path (protocol 4.2)."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from lokole.mail.errors import Refused
from lokole.mailbox.tenants import TenantRow
from lokole.server import exchange
from lokole.server.ports import ServerPorts

MAX_NUMBER = 2**63 - 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


async def authenticated(ports: ServerPorts, request: Request, digest: str, covered: tuple[str, ...] = ()) -> TenantRow:
    """The box that signed this request with a body of ``digest`` and the headers ``covered``, as far as they are there."""
    raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode("utf-8")
    query: bytes = request.scope.get("query_string", b"")
    target = (raw_path + (b"?" + query if query else b"")).decode("latin-1")
    return await run_in_threadpool(
        exchange.authenticate,
        ports,
        authorization=request.headers.get("authorization", ""),
        method=request.method,
        target=target,
        body_sha256=digest,
        headers={name: request.headers[name] for name in covered if name in request.headers},
    )


def number(text: str, field: str, *, least: int = 0) -> int:
    """A whole number in the range of the protocol; raises Refused with code ``number``."""
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= MAX_NUMBER:
        raise Refused(f"{field} must be a whole number", code="number", field=field)
    return int(text)


def sha256_of(request: Request, otherwise: Exception) -> str:
    """The digest that the path names; raises ``otherwise`` when it is none."""
    text: str = request.path_params["sha256"]
    if not _SHA256.fullmatch(text):
        raise otherwise
    return text
