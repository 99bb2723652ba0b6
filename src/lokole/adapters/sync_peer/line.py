"""One connection to one server: kept open between calls, counted in bytes, never waited for without end.

Whatever breaks becomes :class:`Temporary`; the next call connects again.
It knows nothing of the exchange; ``adapters/sync_peer/http.py`` does.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from lokole.mail.errors import BadPackage, Refused, Temporary

#: seconds without a single byte before the line counts as dead
IDLE_SECONDS = 60.0
CHUNK_BYTES = 16 * 1024
#: what is sent at once: on a slow line a larger piece would look like a dead one
_PIECE_BYTES = 4 * 1024
#: an answer that is no package is never longer
MAX_ANSWER_BYTES = 1_000_000


class HungUp(Temporary):
    """The connection was kept from an earlier call and the server had closed it; a new one may do."""


class Line:
    """``url`` is http:// or https:// with an optional path that all calls begin with; ``monotonic`` gives seconds.

    Raises Refused (code ``url``) for any other address.
    """

    def __init__(self, url: str, *, idle_seconds: float, monotonic: Callable[[], float]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused("the address of the server must begin with http:// or https://", code="url")
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._idle_seconds = idle_seconds
        self._monotonic = monotonic
        self._connection: http.client.HTTPConnection | None = None
        self.bytes_up = 0
        self.bytes_down = 0

    def path(self, path: str) -> str:
        """``path`` as the server sees it."""
        return self._prefix + path

    def deadline(self, seconds: float) -> float:
        """The moment of ``monotonic`` that is ``seconds`` from now."""
        return self._monotonic() + seconds

    def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        body: BinaryIO | bytes | None,
        size: int,
        deadline: float,
    ) -> http.client.HTTPResponse:
        """Send a request with a body of ``size`` bytes and read the head of its answer; raises Temporary, of it HungUp."""
        kept = self._connection is not None
        try:
            return self._ask(method, path, headers, body, size, deadline)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if kept and isinstance(error, http.client.RemoteDisconnected | BrokenPipeError | ConnectionResetError):
                raise HungUp("the server had hung up") from error
            raise _broken(error) from error

    def read(self, response: http.client.HTTPResponse, length: int, deadline: float) -> bytes:
        """What is here of an answer, up to ``length`` bytes, waiting for at least one; none at its end.

        Bytes that came before a break have been given out by then, and need not come again.
        """
        try:
            self._patience(deadline)
            chunk = response.read1(length)
            if not chunk:
                if response.length:
                    raise http.client.IncompleteRead(b"", response.length)
                response.close()  # so that the connection takes the next request
            return chunk
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _broken(error) from error

    def read_all(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        """A whole short answer; raises BadPackage for a long one."""
        parts: list[bytes] = []
        total = 0
        while chunk := self.read(response, CHUNK_BYTES, deadline):
            total += len(chunk)
            if total > MAX_ANSWER_BYTES:
                self.close()
                raise BadPackage("the server's answer is too long")
            parts.append(chunk)
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
            self._connection = None

    def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: BinaryIO | bytes | None,
        size: int,
        deadline: float,
    ) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._connect(deadline)
        connection = self._connection
        self._patience(deadline)
        connection.putrequest(method, self.path(path), skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(size))
        connection.endheaders()
        try:
            if isinstance(body, bytes):
                connection.send(body)
            elif body is not None:
                while chunk := body.read(_PIECE_BYTES):
                    self._patience(deadline)
                    connection.send(chunk)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses may answer and hang up before it has read the body: its answer says why.
            with suppress(OSError, http.client.HTTPException):
                return connection.getresponse()
            raise
        self._patience(deadline)
        return connection.getresponse()

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        timeout = self._seconds(deadline)
        connection: http.client.HTTPConnection
        if self._tls:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        line = self

        class Response(http.client.HTTPResponse):
            def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
                super().__init__(sock, *args, **kwargs)
                self.fp = io.BufferedReader(_Counting(self.fp.detach(), line))

        connection.response_class = Response
        connection.connect()
        connection.sock = _CountingSocket(connection.sock, line)
        return connection

    def _seconds(self, deadline: float) -> float:
        left = deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        return min(left, self._idle_seconds)

    def _patience(self, deadline: float) -> None:
        """Let the next wait end with the deadline at the latest."""
        seconds = self._seconds(deadline)
        if self._connection is not None and self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)


class _CountingSocket:
    """A connected socket that counts what is sent through it."""

    def __init__(self, sock: socket.socket, line: Line) -> None:
        self._sock = sock
        self._line = line

    def sendall(self, content: Any) -> None:
        self._sock.sendall(content)
        self._line.bytes_up += memoryview(content).nbytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Counting(io.RawIOBase):
    """The reading half, counted."""

    def __init__(self, raw: Any, line: Line) -> None:
        self._raw = raw
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        got: int | None = self._raw.readinto(buffer)
        self._line.bytes_down += got or 0
        return got

    def close(self) -> None:
        self._raw.close()
        super().close()


def _broken(error: Exception) -> Temporary:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (9, 10):  # not yet valid, has expired: the usual sign of a wrong clock
            return Temporary("the server's certificate is not valid at this time; is the clock of the box wrong?")
        return Temporary("the server's certificate is not the one of its name")
    if isinstance(error, TimeoutError):
        return Temporary("the server did not answer in time")
    return Temporary(f"the line to the server broke ({type(error).__name__})")
