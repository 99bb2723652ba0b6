"""What a carrier's browser or tool calls: a file of a box in, its return file out (protocol 9.3).

Tools post the file itself to ``/api/exchange/carry``; browsers post the form of the page ``/carry`` (``webmail/views/town.py``).
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from typing import Any, BinaryIO, cast

from a2wsgi import WSGIMiddleware
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lokole.mail.errors import Refused
from lokole.mailbox import limits
from lokole.server import carry
from lokole.server.api.body import Body, LineBroke, spool_body
from lokole.server.attempts import network_of
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem
from lokole.sync.bundle import BUNDLE_EXTENSION, CONTENT_TYPE, MAX_BUNDLE_BYTES

#: files of one network in an hour
MOST_FILES = 60
_HOUR = timedelta(hours=1)
_IN_MEMORY = 1024 * 1024
_PIECE = 64 * 1024
_MOST_OF_A_FORM = MAX_BUNDLE_BYTES + 64 * 1024


def routes(ports: ServerPorts, pages: Any = None) -> list[Route]:
    """The routes of this module; ``pages`` is the WSGI application that shows the page ``/carry``."""

    async def endpoint(request: Request) -> Response:
        return await _carry(ports, request)

    found = [Route("/api/exchange/carry", endpoint, methods=["POST"])]
    if pages is not None:
        from lokole.webmail.views.town import HELD_BACK  # only who has pages pays for them

        # threads of its own: a slow telephone in town keeps nobody from reading their mail
        town = _Town(ports, cast(ASGIApp, WSGIMiddleware(pages, workers=4)), HELD_BACK.lower().encode())
        found += [Route(path, town, methods=["GET", "POST"]) for path in ("/carry", "/web/carry")]
    return found


async def _carry(ports: ServerPorts, request: Request) -> Response:
    seconds = await run_in_threadpool(count_one, ports, network_of(request.scope))
    if seconds:
        headers = {"Retry-After": str(seconds)}
        raise Problem(429, "too many files, try again later", code="too-many", headers=headers)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        await spool_body(request, spool, MAX_BUNDLE_BYTES)
        spool.seek(0)
        try:
            domain, bundle = await run_in_threadpool(carry.hand_in, ports, cast(BinaryIO, spool))
        except Refused as error:
            # a word of protocol 6.6, which is 400 whatever it means elsewhere
            raise Problem(400, str(error), code=error.code) from error
    headers = {
        "Content-Disposition": f'attachment; filename="return-{domain}{BUNDLE_EXTENSION}"',
        "Content-Length": str(bundle.size),
        "Cache-Control": "no-store",
    }
    return StreamingResponse(iter(bundle), media_type=CONTENT_TYPE, headers=headers)


def count_one(ports: ServerPorts, network: str) -> int:
    """Count a file of a network; 0, or how many seconds it has to wait when there were too many within the hour."""
    key, now = f"carry:{network}", ports.clock()
    with ports.database.write() as tx:
        if limits.get_count(tx, key, now) < MOST_FILES:
            limits.add_count(tx, key, _HOUR, now)
            return 0
        return max(1, round((limits.get_expiry(tx, key, now) - now).total_seconds()))


class _Town:
    """In front of the page: a form is on the disk as a whole before a thread is taken for it, and is counted and measured here.

    One that is too large or comes too often goes on without its body and with a header that says so; the page has the sentence.
    """

    def __init__(self, ports: ServerPorts, pages: ASGIApp, held_back: bytes) -> None:
        self._ports = ports
        self._pages = pages
        self._held_back = held_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self._pages(self._to_page(scope), _nothing, send)
            return
        if await run_in_threadpool(count_one, self._ports, network_of(scope)):
            await self._pages(self._to_page(scope, held_back=b"too-many"), _nothing, send)
            return
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
            size = 0
            async with Body(receive) as body:
                try:
                    async for piece in body.pieces():
                        size += len(piece)
                        if size > _MOST_OF_A_FORM:
                            break
                        spool.write(piece)
                except LineBroke:
                    return  # nobody is there to be told
            if size > _MOST_OF_A_FORM:
                await self._pages(self._to_page(scope, held_back=b"too-large"), _nothing, send)
                return
            spool.seek(0)

            async def again() -> Message:
                piece = spool.read(_PIECE)
                return {"type": "http.request", "body": piece, "more_body": bool(piece)}

            await self._pages(self._to_page(scope, size=size), again, send)

    def _to_page(self, scope: Scope, *, size: int = 0, held_back: bytes = b"") -> Scope:
        """``scope`` as the pages get it: the path below theirs, the true length, and the header that only we may set."""
        ours = (self._held_back, b"content-length", b"transfer-encoding")
        headers = [(name, value) for name, value in scope["headers"] if name not in ours]
        headers.append((b"content-length", str(size).encode()))
        if held_back:
            headers.append((self._held_back, held_back))
        return {**scope, "path": "/carry", "root_path": "", "headers": headers}


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
