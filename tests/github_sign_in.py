"""GitHub's two answers of the device flow (RFC 8628) on a port of this machine, with state: codes, impatience, yes and no."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

CLIENT_ID = "Iv1.0123456789abcdef"


@dataclass
class FakeGitHub:
    """``token`` is what whoever types the code gets; ``answers`` of a code is what was said of it: "yes", "no", "late"."""

    url: str = ""
    token: str = "gho_of_the_test"
    interval: int = 1
    codes: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    #: answered instead of anything else, status and body, as a provider with a fault does
    fault: tuple[int, bytes] | None = None
    impatient: int = 0

    def type(self, user_code: str, answer: str = "yes") -> None:
        """Somebody types the code at GitHub's page and says yes or no, or comes too late."""
        self.answers[self.codes[user_code]] = answer

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append({"path": path, **form})
        if form.get("client_id") != CLIENT_ID:
            return 404, {"error": "Not Found"}
        if path == "/login/device/code":
            number = len(self.codes) + 1
            user_code, device_code = f"WDJB-{number:04}", f"{number:040x}"
            self.codes[user_code] = device_code
            return 200, {
                "device_code": device_code, "user_code": user_code, "verification_uri": f"{self.url}/login/device",
                "expires_in": 899, "interval": self.interval,
            }  # fmt: skip
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:device_code":
            return 200, {"error": "unsupported_grant_type"}
        code = form.get("device_code", "")
        if code not in self.codes.values():
            return 200, {"error": "incorrect_device_code"}
        match self.answers.get(code):
            case "yes":
                return 200, {"access_token": self.token, "token_type": "bearer", "scope": "read:org"}
            case "no":
                return 200, {"error": "access_denied"}
            case "late":
                return 200, {"error": "expired_token"}
        if self.impatient:
            self.impatient -= 1
            return 200, {"error": "slow_down", "interval": self.interval + 5}
        return 200, {"error": "authorization_pending"}


@contextmanager
def fake_github() -> Iterator[FakeGitHub]:
    """A GitHub while the block lasts."""
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if github.fault is not None:
                status, body = github.fault
            else:
                status, told = github.answer(self.path, {name: values[0] for name, values in form.items()})
                body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
