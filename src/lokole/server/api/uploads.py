"""A box hands a package over, and after a cut goes on from the byte that is here (protocol 4.5 and 4.12).

"Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload-15) with the path of the package itself as the upload resource.
Chunks are durable as they come; nothing of them is read before the digest of the whole is right.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import IO, Any, BinaryIO, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import packages, uploads
from lokole.mailbox.database import Connection
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.tenants import TenantRow
from lokole.mailbox.uploads import Upload
from lokole.server import exchange
from lokole.server.api.body import Body, LineBroke, announced
from lokole.server.api.signed import authenticated, number, sha256_of
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem
from lokole.server.reconcile import ASKED_AGAIN
from lokole.sync.compression import CONTENT_TYPES
from lokole.sync.container import CONTENT_TYPE
from lokole.sync.package import JSONL_CONTENT_TYPE
from lokole.sync.signing import EMPTY_BODY_SHA256

CHUNK_BYTES = 16 * 1024
PACKAGE_TYPES = frozenset({*CONTENT_TYPES, JSONL_CONTENT_TYPE, CONTENT_TYPE})
#: What the signature of an upload, and of a part of one, covers besides the request line and the digest (protocol 4.2).
UPLOAD_HEADERS = ("Content-Type", "Lokole-Epoch", "Lokole-Seq")
PART_HEADERS = ("Upload-Complete", "Upload-Offset")
PART_TYPE = "application/partial-upload"
_IN_MEMORY = 1024 * 1024
_PROBLEMS = "https://iana.org/assignments/http-problem-types"
_COMPLETE = {"Upload-Complete": "?1"}
_NO_UPLOAD = "there is no such upload"

Endpoint = Callable[[ServerPorts, Request], Awaitable[Response]]


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""
    path = "/api/exchange/packages/{sha256}"
    endpoints: dict[str, Endpoint] = {"PUT": _put, "PATCH": _patch, "HEAD": _head, "DELETE": _delete}

    def bound(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        return functools.partial(endpoint, ports)

    return [Route(path, bound(endpoint), methods=[method]) for method, endpoint in endpoints.items()]


async def _put(ports: ServerPorts, request: Request) -> Response:
    """The whole from its first byte."""
    async with Body(request.receive) as body:
        wrong_path = Refused("the path must end in the SHA-256 of the package", code="digest", field="sha256")
        sha256 = sha256_of(request, wrong_path)
        row = await authenticated(ports, request, sha256, UPLOAD_HEADERS)
        type = request.headers.get("content-type", "").strip().lower()
        if type not in PACKAGE_TYPES:
            raise Refused("this is not a package", code="media-type", field="Content-Type")
        coming = _Coming(
            ports,
            row,
            sha256=sha256,
            epoch=number(request.headers.get("lokole-epoch", ""), "Lokole-Epoch"),
            seq=number(request.headers.get("lokole-seq", ""), "Lokole-Seq", least=1),
            type=type,
            length=_length(ports, request),
        )
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
            try:
                await coming.receive(body, cast(IO[bytes], spool))
            except LineBroke:
                await coming.broke(cast(IO[bytes], spool))
                return Response(status_code=400)  # nobody hears it
            created = await coming.take(cast(BinaryIO, spool))
        headers = _COMPLETE if "upload-complete" in request.headers else None
        return JSONResponse(_held(sha256, coming.seq), 201 if created else 200, headers=headers)


class _Coming:
    """One package on its way in, from its first byte."""

    def __init__(
        self, ports: ServerPorts, row: TenantRow, *, sha256: str, epoch: int, seq: int, type: str, length: int | None
    ) -> None:
        self.ports = ports
        self.row = row
        self.sha256 = sha256
        self.epoch, self.seq, self.type, self.length = epoch, seq, type, length
        self._digest, self._size = hashlib.sha256(), 0
        self._parts: _Parts | None = None

    async def receive(self, body: Body, spool: IO[bytes]) -> None:
        """Everything into ``spool``, and what is more than a chunk into parts; raises LineBroke."""
        long = self.length is None or self.length > CHUNK_BYTES
        if long and await run_in_threadpool(_find, self.ports, self.row, self.sha256) is None:
            self._parts = _Parts(self.ports, self.row, await run_in_threadpool(self._begin))
        async for piece in body.pieces():
            self._size += len(piece)
            _check_size(self.ports, self._size)
            self._digest.update(piece)
            spool.write(piece)
            if self._parts is not None:
                await self._parts.add(piece)

    async def broke(self, spool: IO[bytes]) -> None:
        """Keep what came of a chunk that is not whole."""
        if self._parts is None:
            held = await run_in_threadpool(_find, self.ports, self.row, self.sha256)
            begun = await run_in_threadpool(self._begin_if_new) if self._size and held is None else None
            if begun is None:
                return
            self._parts = _Parts(self.ports, self.row, begun)
            spool.seek(0)
            await self._parts.add(spool.read())
        await self._parts.add_rest()

    async def take(self, spool: BinaryIO) -> bool:
        """Hold the whole for good; raises Refused ``digest`` or ``seq``, and then nothing of it is kept."""
        if self._digest.hexdigest() != self.sha256:
            await self._drop()
            raise _wrong_digest()
        try:
            created = await run_in_threadpool(
                exchange.take,
                self.ports,
                self.row,
                spool,
                sha256=self.sha256,
                size=self._size,
                epoch=self.epoch,
                seq=self.seq,
                type=self.type,
            )
        except Refused:
            await self._drop()
            raise
        await self._drop()
        return created

    async def _drop(self) -> None:
        if self._parts is not None:
            await run_in_threadpool(_drop, self.ports, self.row, self.sha256)

    def _begin(self) -> Upload:
        with self.ports.database.write() as tx:
            return self._begin_in(tx)

    def _begin_if_new(self) -> Upload | None:
        """A package of one chunk is begun only when its line drops; what another request has begun stays."""
        with self.ports.database.write() as tx:
            if uploads.find(tx, self.row.no, self.sha256) is not None:
                return None
            return self._begin_in(tx)

    def _begin_in(self, tx: Connection) -> Upload:
        return uploads.begin(
            tx,
            self.row.no,
            sha256=self.sha256,
            length=self.length,
            epoch=self.epoch,
            seq=self.seq,
            type=self.type,
            now=self.ports.clock(),
        )


async def _patch(ports: ServerPorts, request: Request) -> Response:
    """The bytes from an offset on."""
    async with Body(request.receive) as body:
        sha256 = sha256_of(request, NotFound(_NO_UPLOAD))
        row = await authenticated(ports, request, sha256, PART_HEADERS)
        if request.headers.get("content-type", "").strip().lower() != PART_TYPE:
            raise Refused(f"a part of an upload is {PART_TYPE}", code="media-type", field="Content-Type")
        offset = number(request.headers.get("upload-offset", ""), "Upload-Offset")
        complete = request.headers.get("upload-complete", "").strip()
        if complete not in ("?0", "?1"):
            raise Refused("Upload-Complete must be ?0 or ?1", code="number", field="Upload-Complete")
        if await run_in_threadpool(_find, ports, row, sha256) is not None:
            raise _problem(400, "completed-upload", "the whole package is here", code="completed", headers=_COMPLETE)
        one = await run_in_threadpool(_resume, ports, row, sha256)
        if one.offset != offset:
            headers = {"Upload-Offset": str(one.offset), "Upload-Complete": "?0"}
            further = {"expected-offset": one.offset, "provided-offset": offset}
            detail = "the upload goes on from another byte"
            raise _problem(409, "mismatching-upload-offset", detail, code="offset", headers=headers, **further)
        one = await run_in_threadpool(_know_length, ports, row, one, _length(ports, request), complete == "?1")
        parts = _Parts(ports, row, one)
        try:
            async for piece in body.pieces():
                _check_size(ports, parts.coming + len(piece))
                _check_length(one, parts.coming + len(piece), whole=False)
                await parts.add(piece)
        except LineBroke:
            await parts.add_rest()
            return Response(status_code=400)  # nobody hears it
        await parts.add_rest()
        if complete == "?0":
            return Response(status_code=204, headers={"Upload-Complete": "?0", "Upload-Offset": str(parts.offset)})
        _check_length(one, parts.offset, whole=True)
        created = await run_in_threadpool(_put_together, ports, row, one)
        return JSONResponse(_held(sha256, one.seq), 201 if created else 200, headers=_COMPLETE)


async def _head(ports: ServerPorts, request: Request) -> Response:
    """From which byte to go on."""
    sha256 = sha256_of(request, NotFound(_NO_UPLOAD))
    row = await authenticated(ports, request, EMPTY_BODY_SHA256)
    headers = {"Cache-Control": "no-store", "Upload-Limit": _limit(ports)}
    held = await run_in_threadpool(_find, ports, row, sha256)
    if held is not None:
        headers |= {**_COMPLETE, "Upload-Offset": str(held.size), "Upload-Length": str(held.size)}
        return Response(status_code=204, headers=headers)
    # what an older request still adds would make the answer wrong
    one = await run_in_threadpool(_resume, ports, row, sha256)
    headers |= {"Upload-Complete": "?0", "Upload-Offset": str(one.offset)}
    if one.length is not None:
        headers["Upload-Length"] = str(one.length)
    return Response(status_code=204, headers=headers)


async def _delete(ports: ServerPorts, request: Request) -> Response:
    """Drop an unfinished upload."""
    sha256 = sha256_of(request, NotFound(_NO_UPLOAD))
    row = await authenticated(ports, request, EMPTY_BODY_SHA256)
    await run_in_threadpool(_drop, ports, row, sha256)
    return Response(status_code=204)


# --- parts ---------------------------------------------------------------------------------------


class _Parts:
    """Makes what comes durable chunk by chunk; ``offset`` bytes are, ``coming`` are here."""

    def __init__(self, ports: ServerPorts, row: TenantRow, one: Upload) -> None:
        self._ports = ports
        self._row = row
        self._one = one
        self._rest = bytearray()
        self.offset = one.offset

    @property
    def coming(self) -> int:
        return self.offset + len(self._rest)

    async def add(self, piece: bytes) -> None:
        self._rest += piece
        if len(self._rest) >= CHUNK_BYTES:
            await self._keep(len(self._rest) // CHUNK_BYTES * CHUNK_BYTES)

    async def add_rest(self) -> None:
        if self._rest:
            await self._keep(len(self._rest))

    async def _keep(self, size: int) -> None:
        await run_in_threadpool(_add, self._ports, self._row, self._one, self.offset, bytes(self._rest[:size]))
        del self._rest[:size]
        self.offset += size


def _add(ports: ServerPorts, row: TenantRow, one: Upload, offset: int, content: bytes) -> None:
    with ports.database.write() as tx:
        uploads.add_part(tx, row.no, one, offset, content)


def _find(ports: ServerPorts, row: TenantRow, sha256: str) -> PackageRow | None:
    """The package, when it is held for good."""
    with ports.database.read() as tx:
        found = packages.find_package(tx, row.no, sha256, "up")
    # one that a carrier brought under the number of another is not held under its own
    return None if found is None or found.state == ASKED_AGAIN or found.seq < 1 else found


def _resume(ports: ServerPorts, row: TenantRow, sha256: str) -> Upload:
    now: datetime = ports.clock()
    with ports.database.write() as tx:
        found = uploads.resume(tx, row.no, sha256, now)
    if found is None:
        raise NotFound(_NO_UPLOAD)
    return found


def _know_length(ports: ServerPorts, row: TenantRow, one: Upload, coming: int | None, whole: bool) -> Upload:
    """``one`` with the length that follows from a last part of ``coming`` bytes; raises Problem when it is another one."""
    if coming is None:
        return one
    _check_size(ports, one.offset + coming)
    _check_length(one, one.offset + coming, whole=whole)
    if whole and one.length is None:
        with ports.database.write() as tx:
            uploads.set_length(tx, row.no, one.sha256, one.offset + coming)
    return one


def _put_together(ports: ServerPorts, row: TenantRow, one: Upload) -> bool:
    """Hold the package that the parts make; returns False when it was held already."""
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        for piece in uploads.content(ports.database, row.no, one.sha256):
            digest.update(piece)
            size += len(piece)
            spool.write(piece)
        try:
            if digest.hexdigest() != one.sha256:
                raise _wrong_digest()
            created = exchange.take(
                ports,
                row,
                cast(BinaryIO, spool),
                sha256=one.sha256,
                size=size,
                epoch=one.epoch,
                seq=one.seq,
                type=one.type,
            )
        except (Problem, Refused):
            _drop(ports, row, one.sha256)
            raise
    _drop(ports, row, one.sha256)
    return created


def _drop(ports: ServerPorts, row: TenantRow, sha256: str) -> None:
    with ports.database.write() as tx:
        uploads.drop(tx, row.no, sha256)


# --- answers -------------------------------------------------------------------------------------


def _held(sha256: str, seq: int) -> dict[str, Any]:
    return {"sha256": sha256, "seq": seq, "held": True}


def _length(ports: ServerPorts, request: Request) -> int | None:
    try:
        return announced(request, ports.settings.max_package_bytes)
    except Refused:
        raise _too_large(ports) from None


def _check_size(ports: ServerPorts, size: int) -> None:
    if size > ports.settings.max_package_bytes:
        raise _too_large(ports)


def _check_length(one: Upload, size: int, *, whole: bool) -> None:
    if one.length is not None and (size > one.length or (whole and size != one.length)):
        raise _problem(400, "inconsistent-upload-length", "the upload had another length", code="length")


def _limit(ports: ServerPorts) -> str:
    return f"max-size={ports.settings.max_package_bytes}"


def _too_large(ports: ServerPorts) -> Problem:
    return Problem(413, "the request is too large", code="too-large", headers={"Upload-Limit": _limit(ports)})


def _wrong_digest() -> Problem:
    detail = "the bytes are not those that the path names"
    return Problem(400, detail, code="digest", field="sha256", headers=_COMPLETE)


def _problem(status: int, type: str, detail: str, **rest: Any) -> Problem:
    """A problem that the draft names."""
    return Problem(status, detail, type=f"{_PROBLEMS}#{type}", **rest)
