"""The server over HTTP: the exchange paths, one connection, a deadline on everything.

Only the standard library: a box keeps this in memory for ever and uses it for minutes a day.
Every request is signed over method, path, digest of the body and a counter (protocol, "requests");
the counter is written down before a request leaves.
When the server knows a higher one it answers 409 with it: it is taken over, the request is made again once,
and ``on_twin`` is told, because another machine may be using this box's key.

Redirects are not followed: a signature is for one path at one server.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

from lokole.adapters.sync_peer.line import CHUNK_BYTES, IDLE_SECONDS, HungUp, Line
from lokole.mail.errors import BadPackage, LokoleError, Refused, Temporary
from lokole.mail.model import DeviceId, PackageRef
from lokole.ports.sync_peer import Offered
from lokole.sync.signing import sign_request

#: headers of an upload that its signature covers (protocol 4.2)
COVERED = ("Content-Type", "Lokole-Epoch", "Lokole-Seq")
#: seconds for everything but the body of a request
CALL_SECONDS = 120.0
#: bytes a second that a line must bring on average, below which a body is given up
SLOWEST_RATE = 200
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Counter(Protocol):
    """The counter of signed requests; both write it down before they return."""

    def next(self) -> int:
        """A number higher than every one before."""

    def jump(self, at_least: int) -> None:
        """Let the next number be higher than ``at_least``."""


class HttpSyncPeer:
    """Implements :class:`lokole.ports.sync_peer.SyncPeer` for the server at ``url`` (protocol, "exchange").

    ``seed`` is the box's Ed25519 seed. ``traffic`` counts bytes as they go over the connection, without TLS.
    ``monotonic`` gives seconds, for deadlines only. ``line`` stands in for the connection to ``url``, in simulations.
    """

    def __init__(
        self,
        url: str,
        *,
        device_id: DeviceId,
        seed: bytes,
        counter: Counter,
        on_twin: Callable[[], None] = lambda: None,
        idle_seconds: float = IDLE_SECONDS,
        call_seconds: float = CALL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        line: Line | None = None,
    ) -> None:
        self._line = line or Line(url, idle_seconds=idle_seconds, monotonic=monotonic)
        self._device_id = device_id
        self._seed = seed
        self._counter = counter
        self._on_twin = on_twin
        self._call_seconds = call_seconds

    @property
    def bytes_up(self) -> int:
        return self._line.bytes_up

    @property
    def bytes_down(self) -> int:
        return self._line.bytes_down

    def upload(self, ref: PackageRef, *, epoch: int, seq: int, type: str, size: int, content: BinaryIO) -> None:
        headers = {"Content-Type": type, "Lokole-Epoch": str(epoch), "Lokole-Seq": str(seq)}
        answer = self._json("PUT", f"/api/exchange/packages/{ref}", headers, body=content, size=size, sha256=ref)
        if answer.get("held") is not True or answer.get("sha256") != ref:
            raise Temporary("the server did not say that it holds the package")

    def offers(self, *, after: int) -> list[Offered]:
        answer = self._json("GET", f"/api/exchange/packages?after={after}")
        try:
            found = [
                Offered(
                    PackageRef(str(item["sha256"])),
                    int(item["epoch"]),
                    int(item["seq"]),
                    int(item["size"]),
                    str(item["type"]),
                )
                for item in answer["packages"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise BadPackage("the server's list of packages cannot be read") from error
        if any(len(offered.ref) != 64 or offered.size < 0 or offered.seq < 1 for offered in found):
            raise BadPackage("the server's list of packages cannot be right")
        return sorted(found, key=lambda offered: (offered.epoch, offered.seq))

    def download(self, offered: Offered) -> Iterator[bytes]:
        path = f"/api/exchange/packages/{offered.ref}"
        response, deadline = self._call("GET", path, {}, expected_bytes=offered.size)
        left = offered.size
        while chunk := self._line.read(response, CHUNK_BYTES, deadline):
            left -= len(chunk)
            if left < 0:
                self._line.close()
                raise BadPackage("the package is longer than the server said")
            yield chunk
        if left:
            self._line.close()
            raise Temporary("the line broke before the package was complete")

    def acknowledge(self, *, epoch: int, seq: int, beyond: list[int]) -> None:
        self._json("POST", "/api/exchange/ack", body={"epoch": epoch, "seq": seq, "beyond": beyond})

    def close(self) -> None:
        """Hang up; the next call connects again."""
        self._line.close()

    # --- one signed call ---------------------------------------------------------------------

    def _json(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        body: BinaryIO | dict[str, Any] | None = None,
        size: int = 0,
        sha256: str = EMPTY_SHA256,
    ) -> dict[str, Any]:
        sent = dict(headers or {})
        content: BinaryIO | bytes | None
        if isinstance(body, dict):
            content = json.dumps(body, separators=(",", ":")).encode()
            size, sha256 = len(content), hashlib.sha256(content).hexdigest()
            sent["Content-Type"] = "application/json"
        else:
            content = body
        response, deadline = self._call(method, path, sent, body=content, size=size, sha256=sha256)
        return _object(self._line.read_all(response, deadline))

    def _call(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        body: BinaryIO | bytes | None = None,
        size: int = 0,
        sha256: str = EMPTY_SHA256,
        expected_bytes: int = 0,
    ) -> tuple[http.client.HTTPResponse, float]:
        """One answered request; a wrong counter is set right and the request made once more."""
        covered = {name: headers[name] for name in COVERED if name in headers} if method == "PUT" else {}
        hung_up = corrected = False
        while True:
            if body is not None and not isinstance(body, bytes):
                body.seek(0)
            signed = sign_request(
                self._seed,
                device_id=self._device_id,
                method=method,
                path_and_query=self._line.path(path),
                body_sha256=sha256,
                counter=self._counter.next(),
                headers=covered,
            )
            deadline = self._line.deadline(self._call_seconds + (size + expected_bytes) / SLOWEST_RATE)
            signed_headers = {**headers, "Authorization": signed}
            try:
                response = self._line.ask(method, path, signed_headers, body=body, size=size, deadline=deadline)
            except HungUp:
                if hung_up:
                    raise
                hung_up = True  # once more, with a counter of its own
                continue
            if 200 <= response.status < 300:
                return response, deadline
            problem = _object(self._line.read_all(response, deadline), strict=False)
            theirs = problem.get("counter")
            if response.status == 409 and type(theirs) is int and not corrected:
                corrected = True
                self._counter.jump(theirs)
                self._on_twin()
                continue
            raise _failure(response, problem)


def claim(url: str, *, code: str, public_key: bytes, call_seconds: float = CALL_SECONDS) -> tuple[DeviceId, str]:
    """Claim the row that waits for a box with the one-time ``code``; returns the device id and the domain.

    Raises Refused (code wrong or used, key taken), NotFound, Temporary.
    """
    line = Line(url, idle_seconds=IDLE_SECONDS, monotonic=time.monotonic)
    body = json.dumps({"code": code, "public_key": base64.b64encode(public_key).decode("ascii")}).encode()
    try:
        deadline = line.deadline(call_seconds)
        headers = {"Content-Type": "application/json"}
        response = line.ask("POST", "/api/exchange/claim", headers, body=body, size=len(body), deadline=deadline)
        answer = _object(line.read_all(response, deadline), strict=200 <= response.status < 300)
        if not 200 <= response.status < 300:
            raise _failure(response, answer)
        try:
            return DeviceId(str(answer["device_id"])), str(answer["domain"])
        except KeyError as error:
            raise BadPackage("the server's answer to the claim cannot be read") from error
    finally:
        line.close()


def _object(text: bytes, *, strict: bool = True) -> dict[str, Any]:
    """The JSON object that ``text`` is; without ``strict`` anything else is an empty one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if strict:
        raise BadPackage("the server's answer is not what was asked for")
    return {}


def _failure(response: http.client.HTTPResponse, problem: dict[str, Any]) -> LokoleError:
    """The error that an answer outside 2xx stands for; only our own problem details are believed to be of the server."""
    code = problem.get("code")
    word = code if isinstance(code, str) and len(code) <= 40 else f"http-{response.status}"
    if response.status in (400, 401, 403, 404, 409, 410, 413, 415, 422):
        detail = problem.get("detail") or problem.get("title")
        said = str(detail)[:200] if isinstance(detail, str) else http.client.responses.get(response.status, "no reason")
        return Refused(f"the server refused: {said}", code=word)
    retry_after = response.headers.get("Retry-After", "")
    seconds = float(retry_after) if retry_after.isdecimal() else None
    return Temporary(f"the server answered {response.status}", retry_after=seconds)
