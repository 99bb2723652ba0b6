"""The line between a box and the server: HTTP as it is, without a network.

The real client (``adapters/sync_peer``) writes its bytes into a :class:`Socket`; the request is read from them and handed to the real ASGI application;
what that answers becomes bytes again. Between them the line fails as ``faults.py`` says.
"""

from __future__ import annotations

import asyncio
import http.client
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from anyio import to_thread
from starlette.types import ASGIApp, Message, Scope

from lokole.adapters.sync_peer.line import Line
from lokole.simulate.faults import Chaos, Fault, PowerCut

#: the server as whoever calls it finds it: switched on, with its application; raises OSError when it is off
Reach = Callable[[], ASGIApp]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it was sent."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to it."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def as_bytes(self) -> bytes:
        """As it goes over the line."""
        head = f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, '')}\r\n".encode()
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers)
        if any(name.lower() == b"content-length" for name, _ in self.headers) or self.status == 204:
            return head + lines + b"\r\n" + self.body
        chunk = b"%x\r\n%b\r\n" % (len(self.body), self.body) if self.body else b""
        return head + lines + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"


class Town:
    """Calls the ASGI application of the server and waits for its whole answer."""

    def __init__(self, reach: Reach, after: Callable[[], None] = lambda: None) -> None:
        self._reach = reach
        self._after = after
        self._loop = asyncio.Runner()
        self._threads: asyncio.Task[None] | None = None

    def call(self, request: Request) -> Answer:
        """The answer; raises ConnectionError when the server is off, or dies over it."""
        app = self._reach()
        if self._threads is None:
            self._keep_threads()
        try:
            answer = self._loop.run(_call(app, request))
        except BaseException as error:
            # a power cut may come wrapped in the groups of concurrent code
            if _is_power_cut(error) or isinstance(error, ConnectionError):
                raise ConnectionResetError("the server is gone") from None
            raise
        self._after()
        return answer

    def _keep_threads(self) -> None:
        """Have one set of worker threads serve all requests: anyio ends them with the outermost task, so that one stays open."""
        loop = self._loop.get_loop()

        async def stay() -> None:
            await to_thread.run_sync(int)
            loop.stop()
            await asyncio.Event().wait()

        self._threads = loop.create_task(stay())
        with suppress(RuntimeError):  # it was stopped before its task was done: that is meant
            loop.run_until_complete(self._threads)

    def close(self) -> None:
        """Give the loop back."""
        self._loop.close()


def _is_power_cut(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_power_cut(one) for one in error.exceptions)
    return isinstance(error, PowerCut)


async def _call(app: ASGIApp, request: Request) -> Answer:
    path, _, query = request.target.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers],
        "client": ("192.0.2.1", 1),
        "server": ("server.invalid", 80),
        "state": {},
    }
    received: list[Message] = [{"type": "http.request", "body": request.body, "more_body": not request.complete}]
    status, headers, body = 0, (), bytearray()

    async def receive() -> Message:
        if received:
            return received.pop(0)
        if request.complete:
            await asyncio.Event().wait()  # the caller stays on the line until it has its answer
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], tuple(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, headers, bytes(body))


class SimulatedLine(Line):
    """A line of ``box`` to the town."""

    def __init__(self, town: Town, chaos: Chaos, tell: Callable[[str], None], recorded: list[Request]) -> None:
        super().__init__("http://server.invalid", idle_seconds=60, monotonic=lambda: 0.0)
        self._town = town
        self._chaos = chaos
        self._tell = tell
        self._recorded = recorded

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        line = self

        class Connection(http.client.HTTPConnection):
            def connect(self) -> None:
                socket: Any = Socket(line)
                self.sock = socket

        return Connection("server.invalid")

    def exchange(self, sent: bytes) -> bytes:
        """The bytes of the answer to the bytes of a request, as far as they come; raises OSError when the line breaks."""
        request = _read_request(sent)
        name = f"{request.method} {_short(request.target)}"
        fault = self._chaos.at("request", name)
        if fault is not None:
            match fault.kind:
                case "request-lost":
                    raise ConnectionResetError("lost")
                case "request-cut":
                    self._cut(request, fault)
                case "request-twice":
                    self._quietly(request)
                case "request-replayed" if self._recorded:
                    self._quietly(self._recorded[int(fault.dice * len(self._recorded))])
        self._recorded.append(request)
        del self._recorded[:-20]
        try:
            answer = self._town.call(request)
        except OSError:
            self._tell(f"{name} -> no answer")
            raise
        whole = answer.as_bytes()
        self._tell(f"{name} -> {answer.status}, {len(answer.body)} bytes")
        fault = self._chaos.at("answer", name)
        if fault is not None:
            if fault.kind == "answer-lost":
                raise TimeoutError("lost")
            whole = whole[: int(fault.dice * len(whole))]
        return whole

    def _cut(self, request: Request, fault: Fault) -> None:
        body = request.body[: int(fault.dice * len(request.body))]
        if body:
            self._quietly(Request(request.method, request.target, request.headers, body, complete=False))
        raise BrokenPipeError("cut")

    def _quietly(self, request: Request) -> None:
        """The server is asked and nobody hears its answer."""
        try:
            said = str(self._town.call(request).status)
        except OSError:
            said = "no answer"
        self._tell(f"({request.method} {_short(request.target)} -> {said}, unheard)")


class Socket:
    """As much of a socket as ``http.client`` needs."""

    def __init__(self, line: SimulatedLine) -> None:
        self._line = line
        self._sent = bytearray()

    def sendall(self, content: Any) -> None:
        self._sent += content
        self._line.bytes_up += len(content)

    def makefile(self, *_: Any, **__: Any) -> BinaryIO:
        sent, self._sent = bytes(self._sent), bytearray()
        answer = self._line.exchange(sent)
        self._line.bytes_down += len(answer)
        return io.BytesIO(answer)

    def settimeout(self, _seconds: float | None) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is held."""


def _read_request(sent: bytes) -> Request:
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Request(method, target, headers, body)


def _short(target: str) -> str:
    """A path with digests cut, for the trace."""
    return "/".join(part[:10] if len(part) >= 32 else part for part in target.removeprefix("/api/").split("/"))
