"""Lokole's own programs as real processes: ``lokole server``, ``worker``, ``device``, ``sync`` and ``local``.

Each takes a folder of its own and free ports; what it printed stands in a file beside its data.
The functions here talk to them as a stranger does: by HTTP, by SMTP, by the command line.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.servers_mail import free_port, stop, wait_for_port

LOKOLE = (sys.executable, "-m", "lokole")
REGISTRATION = ("operator", "a long enough password")


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: ours without any setting of Lokole, plus ``settings``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOKOLE_", "OPWEN_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def run(*arguments: str, settings: Mapping[str, str], seconds: float = 120) -> str:
    """Run a ``lokole`` command to its end and return what it printed; raises CalledProcessError with stderr in ``__notes__``."""
    done = subprocess.run(
        [*LOKOLE, *arguments], env=environment(settings), capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode != 0:
        error = subprocess.CalledProcessError(done.returncode, done.args)
        error.add_note(done.stdout + done.stderr)
        raise error
    return done.stdout


@contextmanager
def process(*arguments: str, settings: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A ``lokole`` command that runs until the block ends; all it prints goes to ``log``."""
    with log.open("ab") as out:
        started = subprocess.Popen([*LOKOLE, *arguments], env=environment(settings), stdout=out, stderr=out)
    try:
        yield started
    finally:
        stop(started, seconds=20)


@dataclass(frozen=True)
class Answer:
    """What an HTTP server said."""

    status: int
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One kept-open HTTP connection to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request; a connection that the server closed meanwhile is opened once more."""
        for attempt in (1, 2):
            try:
                self._connection.request(method, path, body, dict(headers or {}))
                response = self._connection.getresponse()
                headers_told = response.getheaders()
                cookies = tuple(value for name, value in headers_told if name.lower() == "set-cookie")
                return Answer(response.status, dict(headers_told), cookies, response.read())
            except (http.client.HTTPException, ConnectionError):
                self._connection.close()
                if attempt == 2:
                    raise
        raise AssertionError("not reached")

    def close(self) -> None:
        self._connection.close()


@dataclass
class Server:
    """A running ``lokole server``."""

    folder: Path
    http_port: int
    smtp_port: int
    settings: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def register(self, domain: str, *, seconds: float = 30) -> dict[str, Any]:
        """Register ``domain`` through the API and return its details, among them the one-time ``code``."""
        secret = base64.b64encode(":".join(REGISTRATION).encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        with closing(Line(self.http_port)) as line:
            made = line("POST", "/api/email/register/", json.dumps({"domain": domain}).encode(), headers)
            assert made.status == 201, (made.status, made.body)
            deadline = time.monotonic() + seconds
            while True:
                answer = line("GET", f"/api/email/register/{domain}", headers=headers)
                if answer.status == 200:
                    details: dict[str, Any] = answer.json()
                    return details
                assert time.monotonic() < deadline, (answer.status, answer.body)
                time.sleep(0.1)

    def pending(self, domain: str) -> int:
        """How many letters wait for the box of ``domain``."""
        return self._metric("pending", domain, "pending_emails")

    def people(self, domain: str) -> int:
        """How many people of ``domain`` the server knows."""
        return self._metric("users", domain, "users")

    def wait_for_people(self, domain: str, count: int, *, seconds: float = 30) -> None:
        """Return when the server knows ``count`` people of ``domain``: a package is read after the box has gone."""
        deadline = time.monotonic() + seconds
        while self.people(domain) < count:
            assert time.monotonic() < deadline, "the server did not read the package in time"
            time.sleep(0.1)

    def wait_for_letters(self, domain: str, *, seconds: float = 30) -> None:
        """Return when at least one letter waits for the box of ``domain``: it is stored after its sender has gone."""
        deadline = time.monotonic() + seconds
        while self.pending(domain) == 0:
            assert time.monotonic() < deadline, "the server stored no letter in time"
            time.sleep(0.1)

    def _metric(self, name: str, domain: str, field: str) -> int:
        with closing(Line(self.http_port)) as line:
            answer = line("GET", f"/api/email/metrics/{name}/{domain}")
        assert answer.status == 200, (answer.status, answer.body)
        return int(answer.json()[field])


def webhook_form(raw: bytes, recipients: list[str], *, sender: str = "sender@example.org") -> tuple[bytes, str]:
    """A SendGrid inbound parse post with ``raw`` as its text field ``email``: the body and its content type."""
    boundary = uuid.uuid4().hex
    fields = {
        "headers": b"X-Ignored: yes",
        "envelope": json.dumps({"to": recipients, "from": sender}).encode(),
        "email": raw,
        "charsets": b'{"to":"UTF-8"}',
    }
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in fields.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def server_settings(folder: Path, *, mail_out: str = "recorder:") -> dict[str, str]:
    """The settings of a server that keeps everything in ``folder`` and listens on free ports."""
    return {
        "LOKOLE_DATA": str(folder / "data"),
        "LOKOLE_LISTEN": f"127.0.0.1:{free_port()}",
        "LOKOLE_SMTP_LISTEN": f"127.0.0.1:{free_port()}",
        "LOKOLE_HOST_NAME": "lokole.test",
        "LOKOLE_MAIL_OUT": mail_out,
        "LOKOLE_RECIPIENTS_A_DAY": "0",
        "LOKOLE_REGISTRATION_USERNAME": REGISTRATION[0],
        "LOKOLE_REGISTRATION_PASSWORD": REGISTRATION[1],
    }


@contextmanager
def server(folder: Path, *, mail_out: str = "recorder:", settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A ``lokole server`` with data, log and ports of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    used = {**server_settings(folder, mail_out=mail_out), **(settings or {})}
    http_port, smtp_port = (int(used[name].rpartition(":")[2]) for name in ("LOKOLE_LISTEN", "LOKOLE_SMTP_LISTEN"))
    with process("server", settings=used, log=folder / "server.log") as started:
        _wait(started, http_port, folder / "server.log")
        _wait(started, smtp_port, folder / "server.log")
        yield Server(folder, http_port, smtp_port, used, started)


@dataclass
class Device:
    """A box: its folder, its settings, and its web pages once they run."""

    folder: Path
    port: int
    settings: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def register(self, server_url: str, code: str) -> None:
        """Claim the row that waits at the server under the one-time ``code``."""
        run("device", "register", code, "--server", server_url, settings=self.settings)

    def sync(self, *, seconds: float = 300) -> dict[str, Any]:
        """One ``lokole sync --json``; what it reported."""
        report: dict[str, Any] = json.loads(run("sync", "--json", settings=self.settings, seconds=seconds))
        return report

    @contextmanager
    def pages(self) -> Iterator[Visitor]:
        """``lokole device`` for the length of the block."""
        with process("device", settings=self.settings, log=self.log) as started:
            self.process = started
            _wait(started, self.port, self.log)
            with closing(Visitor(self.port)) as visitor:
                yield visitor
        self.process = None


def device(folder: Path, *, settings: Mapping[str, str] | None = None) -> Device:
    """A box that is not running yet."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    all_settings = {
        "LOKOLE_DATA": str(folder / "data"),
        "LOKOLE_LISTEN": f"127.0.0.1:{port}",
        "PYTHONOPTIMIZE": "2",  # as its service has it (docs/operate-device.md)
        **(settings or {}),
    }
    return Device(folder, port, all_settings, folder / "device.log")


class Visitor:
    """A person at the pages without a browser: keeps cookies, fills forms in."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._line = Line(port)
        self._cookies: dict[str, str] = {}

    def beside(self) -> Visitor:
        """The same person on another connection."""
        other = Visitor(self._port)
        other._cookies = dict(self._cookies)
        return other

    def cookie_header(self) -> str:
        """What the person's browser sends of cookies."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def close(self) -> None:
        self._line.close()

    def post(
        self,
        path: str,
        fields: Mapping[str, str],
        *,
        files: Sequence[tuple[str, str, bytes]] | None = None,
        form: str | None = None,
    ) -> Answer:
        """Submit ``fields`` to ``path`` with the hidden fields of the form that stands on ``form`` (the same page when None).

        ``files`` are (name, media type, content) for the form's field ``files``; the form is sent as a browser does (RFC 7578).
        """
        filled = {**_hidden_fields(self.get(form or path).body.decode()), **fields}
        if files is None:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._ask("POST", path, urlencode(filled).encode(), headers)
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in filled.items()
        ]
        for name, media_type, content in files:
            head = f'Content-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: {media_type}'
            parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        return self._ask("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        cookies = self.cookie_header()
        answer = self._line(method, path, body, {**(headers or {}), **({"Cookie": cookies} if cookies else {})})
        for told in answer.cookies:
            cookie, _, content = told.partition(";")[0].partition("=")
            self._cookies[cookie] = content
        return answer


class _Hidden(HTMLParser):
    """The hidden fields of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "input" and values.get("type") == "hidden":
            self.found[values.get("name") or ""] = values.get("value") or ""


def _hidden_fields(page: str) -> dict[str, str]:
    parser = _Hidden()
    parser.feed(page)
    return parser.found


def _wait(started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    try:
        wait_for_port(port, started, seconds=60)
    except RuntimeError as error:
        error.add_note(log.read_text(errors="replace")[-4000:])
        raise
