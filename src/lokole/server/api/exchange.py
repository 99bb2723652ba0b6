"""The exchange paths: signed requests of our boxes, streamed both ways (protocol 4).

Who asks is known before a byte of a body is looked at. How packages come up has a module of its own, ``uploads.py``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lokole.mail.errors import BadPackage, NotFound, Refused
from lokole.server import exchange, offer, reconcile
from lokole.server.api import uploads
from lokole.server.api.signed import MAX_NUMBER, authenticated, number, sha256_of
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem
from lokole.sync import digest
from lokole.sync.bodies import MAX_PACKAGES, read_package_digest
from lokole.sync.records import AckRecord, PackageDigest
from lokole.sync.signing import EMPTY_BODY_SHA256, body_sha256

#: Packages built at once in a process. Each takes up to 30 MB, and one core at most carries all of them;
#: boxes that wait for their turn hold no thread that others need.
BUILDERS = 3

_CHECK = re.compile(r"[0-9a-f]{16}")
_RANGE = re.compile(r"bytes=(\d{1,18})-")
_MAX_ACK = 64 * 1024
_MAX_DIGEST = 1024 * 1024

Endpoint = Callable[[ServerPorts, Request], Awaitable[Response]]


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""

    def bound(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        return functools.partial(endpoint, ports)

    packages = "/api/exchange/packages"
    builders = CapacityLimiter(BUILDERS)
    return [
        Route(packages, functools.partial(_list, ports, builders), methods=["GET"]),
        *uploads.routes(ports),
        Route(packages + "/{sha256}", bound(_get), methods=["GET"]),
        Route("/api/exchange/ack", bound(_acknowledge), methods=["POST"]),
        Route("/api/exchange/digest", bound(_compare), methods=["POST"]),
    ]


async def _list(ports: ServerPorts, builders: CapacityLimiter, request: Request) -> Response:
    said = request.headers.get("lokole-digest")
    row = await authenticated(ports, request, EMPTY_BODY_SHA256, ("Lokole-Digest",))
    after = number(request.query_params.get("after", "0"), "after")
    theirs = None if said is None else digest.read_header(said)
    word = "none" if theirs is None else await run_in_threadpool(reconcile.hear_summary, ports, row, theirs)
    # unless both agree the box may be about to send again what a restored server has forgotten (8.6)
    news = "unsent" not in request.query_params and (theirs is None or word == "ok")
    await to_thread.run_sync(offer.build_pending, ports, row, limiter=builders)
    found = await run_in_threadpool(exchange.offered, ports, row, after, news=news)
    answer: dict[str, Any] = {
        "packages": [
            {"sha256": one.sha256, "epoch": one.epoch, "seq": one.seq, "size": one.size, "type": one.type}
            for one in found
        ]
    }
    if theirs is not None:
        answer |= {"epoch": await run_in_threadpool(exchange.present_epoch, ports), "digest": word}
    return JSONResponse(answer)


async def _compare(ports: ServerPorts, request: Request) -> Response:
    body = await _small_body(request, _MAX_DIGEST)
    row = await authenticated(ports, request, body_sha256(body))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("a digest is JSON", code="media-type", field="Content-Type")
    found = await run_in_threadpool(reconcile.compare, ports, row, _read_digests(body))
    return JSONResponse(reconcile.compared_fields(found))


async def _get(ports: ServerPorts, request: Request) -> Response:
    row = await authenticated(ports, request, EMPTY_BODY_SHA256)
    package = await run_in_threadpool(exchange.find, ports, row, sha256_of(request, NotFound("no such package")))
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{package.sha256}"'}
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        asked = None  # RFC 9110 section 13.1.5: what the box has is of something else
    start = int(asked[1]) if asked else 0
    if asked and start >= package.size:
        headers["Content-Range"] = f"bytes */{package.size}"
        raise Problem(416, "the package is not that long", code="range", field="Range", headers=headers)
    if asked:
        headers["Content-Range"] = f"bytes {start}-{package.size - 1}/{package.size}"
    headers["Content-Length"] = str(package.size - start)
    status = 206 if asked else 200
    return StreamingResponse(exchange.chunks(ports, package, start), status, headers=headers, media_type=package.type)


async def _acknowledge(ports: ServerPorts, request: Request) -> Response:
    body = await _small_body(request)
    row = await authenticated(ports, request, body_sha256(body))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("an acknowledgement is JSON", code="media-type", field="Content-Type")
    delivered = await run_in_threadpool(exchange.acknowledge, ports, row, _read_acknowledgement(body))
    return JSONResponse({"delivered": delivered})


# --- reading requests ----------------------------------------------------------------------------


async def _small_body(request: Request, most: int = _MAX_ACK) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refused("the request is too large", code="too-large")
    return bytes(body)


def _read_acknowledgement(body: bytes) -> AckRecord:
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
    check = said.get("check")
    if check is not None and not (isinstance(check, str) and _CHECK.fullmatch(check)):
        raise Refused("check must be 16 hexadecimal digits", code="number", field="check")
    return AckRecord(said["epoch"], said["seq"], tuple(beyond), bytes.fromhex(check or ""))


def _read_digests(body: bytes) -> list[PackageDigest]:
    try:
        said: Any = json.loads(body)
        items = said["packages"]
        if not isinstance(items, list) or len(items) > MAX_PACKAGES:
            raise ValueError("no list")
        found = [read_package_digest(item) for item in items]
    except (ValueError, RecursionError, KeyError, TypeError, BadPackage):
        raise Refused("the digest cannot be read", code="digest") from None
    if len({(one.direction, one.epoch, one.seq) for one in found}) < len(found):
        raise Refused("a package is there once", code="digest")
    return found


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_NUMBER
