"""The exchange paths: signed requests of our boxes, streamed both ways (protocol 4).

Who asks is known before a byte of a body is read; a package goes to a file first and is compared with its name before it is kept.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Any, BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox.tenants import TenantRow
from lokole.server import exchange, offer
from lokole.server.ports import ServerPorts
from lokole.sync.compression import CONTENT_TYPES
from lokole.sync.package import JSONL_CONTENT_TYPE
from lokole.sync.signing import EMPTY_BODY_SHA256, body_sha256

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_RANGE = re.compile(r"bytes=(\d{1,18})-")
_MAX_NUMBER = 2**63 - 1
_MAX_ACK = 64 * 1024
_IN_MEMORY = 1024 * 1024
#: What the signature of an upload covers besides the request line and the body (protocol 4.2).
UPLOAD_HEADERS = ("Content-Type", "Lokole-Epoch", "Lokole-Seq")

Endpoint = Callable[[ServerPorts, Request], Awaitable[Response]]


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""

    def bound(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        return functools.partial(endpoint, ports)

    packages = "/api/exchange/packages"
    return [
        Route(packages, bound(_list), methods=["GET"]),
        Route(packages + "/{sha256}", bound(_put), methods=["PUT"]),
        Route(packages + "/{sha256}", bound(_get), methods=["GET"]),
        Route("/api/exchange/ack", bound(_acknowledge), methods=["POST"]),
    ]


async def _list(ports: ServerPorts, request: Request) -> Response:
    row = await _authenticated(ports, request, EMPTY_BODY_SHA256)
    after = _number(request.query_params.get("after", "0"), "after", least=0)
    await run_in_threadpool(offer.build_pending, ports, row)
    found = await run_in_threadpool(exchange.offered, ports, row, after)
    return JSONResponse(
        {
            "packages": [
                {"sha256": one.sha256, "epoch": one.epoch, "seq": one.seq, "size": one.size, "type": one.type}
                for one in found
            ]
        }
    )


async def _get(ports: ServerPorts, request: Request) -> Response:
    row = await _authenticated(ports, request, EMPTY_BODY_SHA256)
    package = await run_in_threadpool(exchange.find, ports, row, _sha256(request, NotFound("no such package")))
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    start = int(asked[1]) if asked else 0
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{package.sha256}"', "Content-Length": str(package.size - start)}
    if asked and start >= package.size:
        raise Refused("the package is not that long", code="range", field="Range")
    if asked:
        headers["Content-Range"] = f"bytes {start}-{package.size - 1}/{package.size}"
    status = 206 if asked else 200
    return StreamingResponse(exchange.chunks(ports, package, start), status, headers=headers, media_type=package.type)


async def _put(ports: ServerPorts, request: Request) -> Response:
    sha256 = _sha256(request, Refused("the path must end in the SHA-256 of the package", code="digest", field="sha256"))
    headers = {name: request.headers[name] for name in UPLOAD_HEADERS if name in request.headers}
    row = await _authenticated(ports, request, sha256, headers)
    type = request.headers.get("content-type", "").strip().lower()
    if type not in CONTENT_TYPES and type != JSONL_CONTENT_TYPE:
        raise Refused("this is not a package", code="media-type", field="Content-Type")
    epoch = _number(request.headers.get("lokole-epoch", ""), "Lokole-Epoch", least=0)
    seq = _number(request.headers.get("lokole-seq", ""), "Lokole-Seq", least=1)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        found, size = await spool_body(request, spool, ports.settings.max_package_bytes)
        if found != sha256:
            raise Refused("the bytes are not those that the path names", code="digest", field="sha256")
        created = await run_in_threadpool(
            exchange.take, ports, row, cast(BinaryIO, spool), sha256=sha256, size=size, epoch=epoch, seq=seq, type=type
        )
    return JSONResponse({"sha256": sha256, "seq": seq, "held": True}, 201 if created else 200)


async def _acknowledge(ports: ServerPorts, request: Request) -> Response:
    body = await _small_body(request)
    row = await _authenticated(ports, request, body_sha256(body))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("an acknowledgement is JSON", code="media-type", field="Content-Type")
    epoch, seq, beyond = _read_acknowledgement(body)
    delivered = await run_in_threadpool(exchange.acknowledge, ports, row, epoch=epoch, seq=seq, beyond=beyond)
    return JSONResponse({"delivered": delivered})


# --- reading requests ----------------------------------------------------------------------------


async def _authenticated(
    ports: ServerPorts, request: Request, digest: str, headers: dict[str, str] | None = None
) -> TenantRow:
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
        headers=headers or {},
    )


async def spool_body(request: Request, spool: IO[bytes], most: int) -> tuple[str, int]:
    """Write the body to ``spool``; returns its SHA-256 and size. Raises Refused with code ``too-large`` as soon as it is."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > most:
        raise Refused("the request is too large", code="too-large")
    digest, size = hashlib.sha256(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise Refused("the request is too large", code="too-large")
        digest.update(chunk)
        spool.write(chunk)
    return digest.hexdigest(), size


async def _small_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_ACK:
            raise Refused("the request is too large", code="too-large")
    return bytes(body)


def _read_acknowledgement(body: bytes) -> tuple[int, int, list[int]]:
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("an acknowledgement is JSON", code="json") from None
    if not isinstance(said, dict):
        raise Refused("an acknowledgement is an object", code="json")
    for name in ("epoch", "seq"):
        if not _is_number(said.get(name), 0):
            raise Refused(f"{name} must be a whole number", code="number", field=name)
    beyond = said.get("beyond", [])
    if not isinstance(beyond, list) or len(beyond) > 1000 or not all(_is_number(one, 1) for one in beyond):
        raise Refused("beyond must be a list of at most 1000 whole numbers", code="number", field="beyond")
    return said["epoch"], said["seq"], beyond


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MAX_NUMBER


def _number(text: str, field: str, *, least: int) -> int:
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= _MAX_NUMBER:
        raise Refused(f"{field} must be a whole number", code="number", field=field)
    return int(text)


def _sha256(request: Request, otherwise: Exception) -> str:
    text: str = request.path_params["sha256"]
    if not _SHA256.fullmatch(text):
        raise otherwise
    return text
