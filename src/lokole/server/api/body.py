"""The body of a request as it comes: what is here when the line drops is not lost with it, and nobody is waited for without end."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import IO

from starlette.requests import Request
from starlette.types import Receive

from lokole.mail.errors import Refused

#: seconds without a byte before a line counts as dead
IDLE_SECONDS = 120.0
#: what is kept of a body that comes faster than it is dealt with, in bytes
AHEAD_BYTES = 64 * 1024


class LineBroke(Exception):
    """The rest of the body will not come."""


class Body:
    """Receives ahead of who reads it, at most :data:`AHEAD_BYTES`; the pieces that came before a break are given first.

    A web server forgets what it has of a body as soon as the line drops, so it is taken from it at once. Nothing is looked at here.
    """

    def __init__(self, receive: Receive, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._receive = receive
        self._idle_seconds = idle_seconds
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended = self._broke = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def __aenter__(self) -> Body:
        self._task = asyncio.ensure_future(self._pump())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def pieces(self) -> AsyncIterator[bytes]:
        """Everything, in pieces that are not empty; raises :class:`LineBroke` after the last one when it is not all."""
        while True:
            while not self._pieces and not self._ended:
                self._changed.clear()
                await self._changed.wait()
            if not self._pieces:
                if self._broke:
                    raise LineBroke
                return
            pieces, self._pieces, self._size = self._pieces, [], 0
            self._room.set()
            yield b"".join(pieces)

    async def _pump(self) -> None:
        try:
            while not self._ended:
                if self._size >= AHEAD_BYTES:
                    self._room.clear()
                    await self._room.wait()
                message = await asyncio.wait_for(self._receive(), self._idle_seconds)
                if message["type"] != "http.request":
                    self._broke = self._ended = True
                else:
                    piece = message.get("body", b"")
                    if piece:
                        self._pieces.append(piece)
                        self._size += len(piece)
                    self._ended = not message.get("more_body", False)
                self._changed.set()
        except (TimeoutError, OSError):
            self._broke = self._ended = True
            self._changed.set()


def announced(request: Request, most: int) -> int | None:
    """How long the body says it is; None when it does not. Raises Refused with code ``too-large`` above ``most``."""
    text = request.headers.get("content-length", "")
    if not text.isdecimal() or len(text) > 18:
        return None
    if int(text) > most:
        raise Refused("the request is too large", code="too-large")
    return int(text)


async def spool_body(request: Request, spool: IO[bytes], most: int) -> tuple[str, int]:
    """Write the body to ``spool``; returns its SHA-256 and size. Raises Refused with code ``too-large`` as soon as it is."""
    announced(request, most)
    digest, size = hashlib.sha256(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise Refused("the request is too large", code="too-large")
        digest.update(chunk)
        spool.write(chunk)
    return digest.hexdigest(), size
