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
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from lokole.adapters.sync_peer.line import CHUNK_BYTES, IDLE_SECONDS, HungUp, Line
from lokole.mail.errors import BadPackage, LokoleError, Refused, Temporary
from lokole.mail.model import DeviceId, PackageRef
from lokole.ports.sync_peer import Compared, Offered, Offers
from lokole.sync.bodies import package_digest_fields
from lokole.sync.container import PayloadKind
from lokole.sync.digest import Summary, write_header
from lokole.sync.records import PackageDigest
from lokole.sync.signing import decode_key, sign_request

#: headers that a signature covers, by the method of the request (protocol 4.2)
COVERED = {
    "GET": ("Lokole-Digest",),
    "PUT": ("Content-Type", "Lokole-Epoch", "Lokole-Seq"),
    "PATCH": ("Upload-Complete", "Upload-Offset"),
}
#: seconds for everything but the body of a request
CALL_SECONDS = 120.0
#: bytes a second that a line must bring on average, below which a body is given up
SLOWEST_RATE = 200
#: seconds for everything between one connection and hanging up, whatever moves
VISIT_SECONDS = 3 * 3600.0
#: what a server says when an upload cannot go on where the box thought
_FROM_ANOTHER_BYTE = frozenset({"offset", "length", "completed", "not-found"})
PART_TYPE = "application/partial-upload"
_REF = re.compile(r"[0-9a-f]{64}")
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Counter(Protocol):
    """The counter of signed requests; both write it down before they return."""

    def next(self) -> int:
        """A number higher than every one before."""

    def jump(self, at_least: int) -> None:
        """Let the next number be higher than ``at_least``."""


class HttpSyncPeer:
    """Implements :class:`lokole.ports.sync_peer.SyncPeer` for the server at ``url`` (protocol, "exchange").

    One object is one visit, which ends ``visit_seconds`` after it was made.
    ``seed`` is the box's Ed25519 seed.
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
        visit_seconds: float = VISIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        line: Line | None = None,
    ) -> None:
        self._line = line or Line(url, idle_seconds=idle_seconds, monotonic=monotonic)
        self._device_id = device_id
        self._seed = seed
        self._counter = counter
        self._on_twin = on_twin
        self._call_seconds = call_seconds
        self._end = self._line.deadline(visit_seconds)

    @property
    def bytes_up(self) -> int:
        return self._line.bytes_up

    @property
    def bytes_down(self) -> int:
        return self._line.bytes_down

    def upload(
        self, ref: PackageRef, *, epoch: int, seq: int, type: str, size: int, content: BinaryIO, again: bool = False
    ) -> None:
        path = f"/api/exchange/packages/{ref}"
        whole = {"Upload-Complete": "?1", "Content-Type": type, "Lokole-Epoch": str(epoch), "Lokole-Seq": str(seq)}
        for last in (False, False, True):
            offset = self._offset(path, size, last) if again else 0
            if offset == size:
                return
            again = True
            try:
                if offset:
                    part = {"Content-Type": PART_TYPE, "Upload-Complete": "?1", "Upload-Offset": str(offset)}
                    answer = self._send(path, part, "PATCH", content, offset, size, ref)
                else:
                    answer = self._send(path, whole, "PUT", content, 0, size, ref)
            except HungUp:
                if last:
                    raise
                continue  # some of it may have come before the server hung up
            except Refused as error:
                if last or not offset or error.code not in _FROM_ANOTHER_BYTE:
                    raise
                continue
            if answer.get("held") is not True or answer.get("sha256") != ref:
                raise Temporary("the server did not say that it holds the package")
            return

    def offers(self, *, after: int, digest: Summary | None = None, unsent: bool = False) -> Offers:
        headers = {} if digest is None else {"Lokole-Digest": write_header(digest)}
        more = "&unsent=1" if unsent else ""
        answer = self._json("GET", f"/api/exchange/packages?after={after}{more}", headers)
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
            epoch = None if answer.get("epoch") is None else int(answer["epoch"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadPackage("the server's list of packages cannot be read") from error
        if any(not _REF.fullmatch(offered.ref) or offered.size < 0 or offered.seq < 1 for offered in found):
            raise BadPackage("the server's list of packages cannot be right")
        waiting = sorted(found, key=lambda offered: (offered.epoch, offered.seq))
        return Offers(waiting, digest=str(answer.get("digest", "none")), epoch=epoch)

    def compare(self, packages: Sequence[PackageDigest]) -> Compared:
        body = {"packages": [package_digest_fields(one) for one in packages]}
        answer = self._json("POST", "/api/exchange/digest", body=body)
        try:
            return Compared(
                up=tuple((int(epoch), int(seq)) for epoch, seq in answer["up"]),
                withdrawn=tuple(
                    (str(direction), int(epoch), int(seq)) for direction, epoch, seq in answer["withdrawn"]
                ),
                again=int(answer["again"]),
                missing=int(answer["missing"]),
                letters=int(answer["letters"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadPackage("the server's comparison cannot be read") from error

    def download(self, offered: Offered, *, start: int = 0) -> Iterator[bytes]:
        headers = {"Range": f"bytes={start}-", "If-Range": f'"{offered.ref}"'} if start else {}
        path = f"/api/exchange/packages/{offered.ref}"
        response, deadline = self._call("GET", path, headers, expected_bytes=offered.size - start)
        # a server that sends the whole sends the same bytes: its name is their digest
        here = start if response.status == 206 else 0
        if here and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            self._line.close()
            raise BadPackage("the server sent another part of the package")
        while chunk := self._line.read(response, CHUNK_BYTES, deadline):
            here += len(chunk)
            if here > offered.size:
                self._line.close()
                raise BadPackage("the package is longer than the server said")
            if here > start:
                yield chunk[-(here - start) :]
        if here < offered.size:
            self._line.close()
            raise Temporary("the line broke before the package was complete")

    def acknowledge(self, *, epoch: int, seq: int, beyond: list[int], check: str = "") -> None:
        said: dict[str, Any] = {"epoch": epoch, "seq": seq, "beyond": beyond}
        if check:
            said["check"] = check
        self._json("POST", "/api/exchange/ack", body=said)

    def close(self) -> None:
        """Hang up; the next call connects again."""
        self._line.close()

    # --- an upload that goes on ---------------------------------------------------------------

    def _offset(self, path: str, size: int, last: bool) -> int:
        """How many bytes of an upload of ``size`` bytes the server has; ``size`` only when it holds the whole for good."""
        try:
            response, deadline = self._call("HEAD", path, {})
        except Refused as error:
            if error.code == "http-404":
                return 0
            if last:
                raise
            # an answer to HEAD has no words: this one says what is wrong, or sets the counter right
            self.offers(after=0, unsent=True)
            return self._offset(path, size, True)
        self._line.read_all(response, deadline)
        if response.headers.get("Upload-Complete") == "?1":
            return size
        offset = response.headers.get("Upload-Offset", "")
        # all bytes and yet not held: the last step was lost, and a PUT repeats it
        return int(offset) if offset.isdecimal() and len(offset) < 19 and int(offset) < size else 0

    def _send(
        self, path: str, headers: dict[str, str], method: str, content: BinaryIO, start: int, size: int, ref: str
    ) -> dict[str, Any]:
        return self._json(method, path, headers, body=content, start=start, size=size - start, sha256=ref)

    # --- one signed call ---------------------------------------------------------------------

    def _json(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        body: BinaryIO | dict[str, Any] | None = None,
        start: int = 0,
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
        response, deadline = self._call(method, path, sent, body=content, start=start, size=size, sha256=sha256)
        return _object(self._line.read_all(response, deadline))

    def _call(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        body: BinaryIO | bytes | None = None,
        start: int = 0,
        size: int = 0,
        sha256: str = EMPTY_SHA256,
        expected_bytes: int = 0,
    ) -> tuple[http.client.HTTPResponse, float]:
        """One answered request; a wrong counter is set right and the request made once more.

        Of a ``body`` that is a stream ``size`` bytes are sent from ``start`` on; a server that hangs up over one raises HungUp.
        """
        covered = {name: headers[name] for name in COVERED.get(method, ()) if name in headers}
        hung_up = corrected = False
        while True:
            if body is not None and not isinstance(body, bytes):
                body.seek(start)
            signed = sign_request(
                self._seed,
                device_id=self._device_id,
                method=method,
                path_and_query=self._line.path(path),
                body_sha256=sha256,
                counter=self._counter.next(),
                headers=covered,
            )
            seconds = self._call_seconds + (size + expected_bytes) / SLOWEST_RATE
            deadline = min(self._line.deadline(seconds), self._end)
            signed_headers = {**headers, "Authorization": signed}
            try:
                response = self._line.ask(method, path, signed_headers, body=body, size=size, deadline=deadline)
            except HungUp:
                if hung_up or (body is not None and not isinstance(body, bytes)):
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


def claim(
    url: str, *, code: str, public_key: bytes, call_seconds: float = CALL_SECONDS
) -> tuple[DeviceId, str, bytes | None]:
    """Claim the row that waits for a box with the one-time ``code``; returns the device id, the domain and the server's public key.

    The key is None when the server knows no sealed packages.

    Raises Refused (code wrong or used, key taken), BadPackage when it is no Lokole server that answers, Temporary.
    """
    line = Line(url, idle_seconds=IDLE_SECONDS, monotonic=time.monotonic)
    key = base64.b64encode(public_key).decode("ascii")
    reads = [int(kind) for kind in PayloadKind]
    body = json.dumps({"code": code, "public_key": key, "reads": reads}).encode()
    try:
        deadline = line.deadline(call_seconds)
        headers = {"Content-Type": "application/json"}
        response = line.ask("POST", "/api/exchange/claim", headers, body=body, size=len(body), deadline=deadline)
        answer = _object(line.read_all(response, deadline), strict=200 <= response.status < 300)
        if not 200 <= response.status < 300:
            if _is_another_site(response.status, answer):
                raise BadPackage("there is no Lokole server at this address")
            raise _failure(response, answer)
        try:
            said = answer.get("server_key")
            server_key = None if said is None else decode_key(str(said))
            return DeviceId(str(answer["device_id"])), str(answer["domain"]), server_key
        except KeyError as error:
            raise BadPackage("the server's answer to the claim cannot be read") from error
    finally:
        line.close()


def _is_another_site(status: int, problem: dict[str, Any]) -> bool:
    """Whether this answer to a claim is not of our server, which gives its refusals a word, or not at the path where it takes claims."""
    if status >= 500 or status == 429 or "code" in problem:
        return False
    return status < 400 or status in (404, 405) or not problem


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
