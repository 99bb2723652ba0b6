"""What all fakes of providers stand on: a real HTTP server on this machine, whose troubles tests choose.

A fake has state and answers from it; :attr:`FakeProvider.troubles` come first, one for each request.
``asked`` keeps every request that came, so that a test can say what went over the line, and what did not.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Said:
    """An answer; ``content`` is written as JSON unless it is bytes, None is no body. ``seconds`` pass before it."""

    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0
    #: the request is carried out all the same, and only its answer is lost
    after: bool = False


HANG_UP = Said(0)
LOST_ANSWER = Said(0, after=True)
NONSENSE = Said(200, b"<html>Service temporarily under construction</html>")

#: so many pieces of one byte as a slow provider sends
DRIP = Said(200, b" " * 200, seconds=-1)


class FakeProvider:
    """A server from ``with`` to its end; ``url`` is its address."""

    def __init__(self) -> None:
        self.troubles: list[Said] = []
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, asked: Asked) -> Said:
        """What a fake says when nothing is wrong."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, asked: Asked) -> Said:
        with self._lock:
            self.asked.append(asked)
            trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None and not trouble.after:
            return trouble
        said = self.answer(asked)  # without the lock: a test may have something else asked meanwhile
        return said if trouble is None else trouble

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take: Callable[[Asked], Said] = self._take

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                said = take(Asked(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body))
                if said.status == 0:
                    self.close_connection = True
                    return
                if said.seconds > 0:
                    time.sleep(said.seconds)
                content = said.content if isinstance(said.content, bytes) else json.dumps(said.content).encode()
                if said.content is None:
                    content = b""
                self.send_response(said.status)
                if "Content-Type" not in said.headers:
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    if said.seconds < 0:
                        for at in range(len(content)):
                            self.wfile.write(content[at : at + 1])
                            time.sleep(0.02)
                    else:
                        self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # whoever asked has lost patience

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815  # the names are http.server's

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
