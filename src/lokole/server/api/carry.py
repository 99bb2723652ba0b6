"""What a carrier's browser or tool calls: a file of a box in, its return file out (protocol 9.3)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from typing import BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from lokole.mailbox import limits
from lokole.server import carry
from lokole.server.api.body import spool_body
from lokole.server.attempts import network_of
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem
from lokole.sync.bundle import BUNDLE_EXTENSION, CONTENT_TYPE

#: bytes of a file, and files of one network in an hour
MOST_BYTES = 64 * 1024 * 1024
MOST_FILES = 60
_HOUR = timedelta(hours=1)
_IN_MEMORY = 1024 * 1024


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""

    async def endpoint(request: Request) -> Response:
        return await _carry(ports, request)

    return [Route("/api/exchange/carry", endpoint, methods=["POST"])]


async def _carry(ports: ServerPorts, request: Request) -> Response:
    await run_in_threadpool(count_one, ports, network_of(request.scope))
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        await spool_body(request, spool, MOST_BYTES)
        spool.seek(0)
        pieces = await run_in_threadpool(answer_to, ports, cast(BinaryIO, spool))
    headers = {"Content-Disposition": f'attachment; filename="return{BUNDLE_EXTENSION}"', "Cache-Control": "no-store"}
    return StreamingResponse(pieces, media_type=CONTENT_TYPE, headers=headers)


def count_one(ports: ServerPorts, network: str) -> None:
    """Count a file of a network; raises Problem 429 when there were too many within the hour."""
    key, now = f"carry:{network}", ports.clock()
    with ports.database.write() as tx:
        if limits.get_count(tx, key, now) < MOST_FILES:
            limits.add_count(tx, key, _HOUR, now)
            return
        seconds = max(1, round((limits.get_expiry(tx, key, now) - now).total_seconds()))
    raise Problem(429, "too many files, try again later", code="too-many", headers={"Retry-After": str(seconds)})


def answer_to(ports: ServerPorts, stream: BinaryIO) -> Iterator[bytes]:
    """The return file for what a carrier brought; raises Problem 400 with a word of protocol 6.6 when no package could be opened."""
    brought = carry.take(ports, stream)
    if brought.row is None:
        code = next(iter(brought.refused), "not-sealed")
        raise Problem(400, "no package of this file is one that a box of ours has made", code=code)
    return carry.give(ports, brought.row, new=brought.new > 0)
