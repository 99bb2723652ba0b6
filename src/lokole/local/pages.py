"""Plain pages of ``lokole local``: the outside world's letters, and the boxes with their pings.

Nothing here is for the field: no sign-in, loopback only. Everything shown is escaped; a letter is shown as text.
A form from another site is refused, because any page in the same browser could send one.
"""

from __future__ import annotations

import email.parser
import email.policy
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from lokole.local.world import Arrived, World
from lokole.mail.errors import LokoleError
from lokole.mail.model import Attachment

MAX_FORM_BYTES = 30 * 1024 * 1024
log = logging.getLogger(__name__)

_STYLE = """
body{font:17px/1.5 Roboto,system-ui,sans-serif;max-width:680px;margin:0 auto;padding:16px;color:#20140c;background:#fff}
header{background:#45230f;color:#fff3e6;margin:-16px -16px 24px;padding:12px 16px;font-size:20px}
a{color:#27377c}table{border-collapse:collapse;width:100%}th,td{text-align:start;padding:4px 8px 4px 0;border-bottom:1px solid #dccfc2;vertical-align:top}
article{border-bottom:1px solid #dccfc2;padding:12px 0}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit;background:#f7f1ea;padding:12px;border-radius:10px}
label{display:block;margin:12px 0 4px}input,textarea{font:inherit;width:100%;box-sizing:border-box;padding:8px;border:1px solid #806c5d;border-radius:10px}
button{font:inherit;margin-top:12px;padding:10px 24px;border:0;border-bottom:5px solid #260f05;border-radius:10px;background:#4f2815;color:#fff6ec}
.soft{color:#54443a;font-size:15px}.say{padding:12px;border-radius:10px;background:#fdeae7;color:#97120f}.good{background:#e3f3e9;color:#0d5631}
"""


_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}


@dataclass(frozen=True, slots=True)
class Page:
    """An answer; ``location`` makes it a redirect, ``headers`` stand instead of the ones that all pages have."""

    body: bytes
    type: str = "text/html; charset=utf-8"
    status: int = 200
    location: str | None = None
    filename: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """What a browser sent: fields by name, files in order."""

    fields: Mapping[str, str]
    files: tuple[Attachment, ...] = ()


Get = Callable[[str, Mapping[str, str]], Page | None]
Post = Callable[[str, Form], Page | None]


class PageServer:
    """Serves two functions on a bound socket, in threads of its own; what they return None for is a 404."""

    def __init__(self, listener: socket.socket, get: Get, post: Post | None = None) -> None:
        class Handler(_Handler):
            pages = (get, post)

        self._server = _Server(listener, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def page(title: str, content: str, *, links: Mapping[str, str], status: int = 200) -> Page:
    """A whole page around ``content``, which is HTML."""
    nav = " · ".join(f'<a href="{escape(url)}">{escape(name)}</a>' for name, url in links.items())
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header>{escape(title)}</header><main>{content}</main><footer><p class=soft>{nav}</p></footer></body></html>"
    )
    return Page(html.encode(), status=status)


# --- the outside world ---------------------------------------------------------------------------


class WorldPages:
    """What arrived in the outside world, and a form to write from there; ``/letters.json`` for programs."""

    def __init__(self, world: World, *, domain: Callable[[], str], links: Mapping[str, str]) -> None:
        self._world = world
        self._domain = domain
        self._links = links

    def get(self, path: str, query: Mapping[str, str]) -> Page | None:
        if path == "/":
            return self._list(query)
        if path == "/letters.json":
            letters = [_as_json(letter) for letter in self._world.letters()]
            return Page(json.dumps(letters).encode(), "application/json")
        if path == "/write":
            return self._form(query, "")
        match = re.fullmatch(r"/letters/(\d{1,9})(?:/(source|files/(\d{1,4})))?", path)
        letter = self._world.letter(int(match[1])) if match else None
        if match is None or letter is None:
            return None
        if match[2] is None:
            return self._letter(letter)
        if match[2] == "source":
            return Page(letter.raw, "text/plain; charset=utf-8")
        files = letter.email().attachments
        n = int(match[3])
        if n >= len(files):
            return None
        return Page(files[n].content, "application/octet-stream", filename=files[n].filename)

    def post(self, path: str, form: Form) -> Page | None:
        if path != "/write":
            return None
        fields = form.fields
        try:
            self._world.write(
                sender=fields.get("from", ""),
                to=fields.get("to", ""),
                subject=fields.get("subject", ""),
                text=fields.get("text", ""),
                attachments=form.files,
                in_reply_to=fields.get("in_reply_to", ""),
            )
        except LokoleError as error:
            return self._form(fields, f"It was not sent: {error}", status=422)
        return Page(b"", status=303, location=f"/?sent={quote(fields.get('to', ''))}")

    def _list(self, query: Mapping[str, str]) -> Page:
        said = ""
        if query.get("sent"):
            said = (
                f'<p class="say good">Sent to {escape(query["sent"])}; it waits for the next exchange of the box.</p>'
            )
        articles = "".join(_article(letter) for letter in self._world.letters())
        content = (
            "<p>This is everybody outside: whatever the people of the box write to the rest of the world arrives here. "
            "Nothing leaves this machine.</p>"
            f'{said}<p><a href="/write">Write to the people of {escape(self._domain())}</a></p>'
            f"{articles or '<p class=soft>No letter has come yet.</p>'}"
            "<p class=soft>A recipient whose name begins with temporary-failure, permanent-failure or timeout "
            "behaves like that, such as permanent-failure@example.org.</p>"
        )
        return page("The outside world", content, links=self._links)

    def _letter(self, letter: Arrived) -> Page:
        email = letter.email()
        again = (
            f"/write?from={quote(letter.recipients[0] if letter.recipients else '')}&to={quote(email.sender.address)}"
            f"&subject={quote(_answer_subject(email.subject))}&in_reply_to={quote(email.message_id)}"
        )
        content = (
            f"{_article(letter, whole=True)}"
            f'<p><a href="{escape(again)}">Answer</a> · <a href="/letters/{letter.no}/source">Source</a></p>'
        )
        return page(email.subject or "(no subject)", content, links={"All letters": "/", **self._links})

    def _form(self, values: Mapping[str, str], problem: str, *, status: int = 200) -> Page:
        def field(name: str, label: str, default: str = "") -> str:
            value = escape(values.get(name, default))
            return f'<label for="{name}">{label}</label><input id="{name}" name="{name}" value="{value}">'

        said = f'<p class="say" role="alert">{escape(problem)}</p>' if problem else ""
        content = (
            f'{said}<form method="post" action="/write" enctype="multipart/form-data">'
            f"{field('from', 'From', 'somebody@example.org')}"
            f"{field('to', f'To (at {escape(self._domain())})')}"
            f"{field('subject', 'Subject')}"
            f'<label for="text">Text</label><textarea id="text" name="text" rows="8">{escape(values.get("text", ""))}</textarea>'
            '<label for="files">Files</label><input id="files" name="files" type="file" multiple>'
            f'<input type="hidden" name="in_reply_to" value="{escape(values.get("in_reply_to", ""))}">'
            "<button>Send</button></form>"
        )
        return page("Write from outside", content, links={"All letters": "/", **self._links}, status=status)


def _article(letter: Arrived, *, whole: bool = False) -> str:
    email = letter.email()
    text = letter.text()
    shown = text if whole or len(text) <= 600 else text[:600] + "…"
    files = "".join(
        f'<li><a href="/letters/{letter.no}/files/{n}">{escape(file.filename)}</a> '
        f"<span class=soft>{len(file.content)} bytes, {escape(file.type)}</span></li>"
        for n, file in enumerate(email.attachments)
    )
    return (
        f'<article><h2><a href="/letters/{letter.no}">{escape(email.subject) or "(no subject)"}</a></h2>'
        f"<p class=soft>From {escape(str(email.sender))} to {escape(', '.join(letter.recipients))}, "
        f"{letter.at:%Y-%m-%d %H:%M} UTC</p><pre>{escape(shown)}</pre>{f'<ul>{files}</ul>' if files else ''}</article>"
    )


def _answer_subject(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"


def _as_json(letter: Arrived) -> dict[str, Any]:
    email = letter.email()
    return {
        "no": letter.no,
        "at": letter.at.isoformat(),
        "envelope_from": letter.sender,
        "envelope_to": list(letter.recipients),
        "from": email.sender.address,
        "to": [contact.address for contact in email.to],
        "cc": [contact.address for contact in email.cc],
        "subject": email.subject,
        "text": letter.text(),
        "message_id": email.message_id,
        "in_reply_to": email.in_reply_to,
        "attachments": [
            {"filename": file.filename, "type": file.type, "size": len(file.content)} for file in email.attachments
        ],
    }


# --- HTTP ----------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(listener.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = "localhost", listener.getsockname()[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    pages: tuple[Get, Post | None]

    def do_GET(self) -> None:  # the library's name
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self._answer(self.pages[0](parts.path, query))

    def do_POST(self) -> None:
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("Host"):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_FORM_BYTES:
            self.close_connection = True
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE if length.isdecimal() else HTTPStatus.LENGTH_REQUIRED)
            return
        body = self.rfile.read(int(length))
        post = self.pages[1]
        form = read_form(self.headers.get("Content-Type", ""), body)
        self._answer(None if post is None else post(urlsplit(self.path).path, form))

    def _answer(self, found: Page | None) -> None:
        if found is None:
            found = Page(b"Not found\n", "text/plain", HTTPStatus.NOT_FOUND)
        self.send_response(found.status)
        self.send_header("Content-Type", found.type)
        self.send_header("Content-Length", str(len(found.body)))
        for name, value in (_HEADERS | dict(found.headers)).items():
            self.send_header(name, value)
        if found.location is not None:
            self.send_header("Location", found.location)
        if found.filename is not None:
            self.send_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(found.filename, safe='')}")
        self.end_headers()
        self.wfile.write(found.body)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s", self.command)


def read_form(content_type: str, body: bytes) -> Form:
    """The form in ``body``, urlencoded or multipart (RFC 7578)."""
    if not content_type.startswith("multipart/form-data"):
        return Form({name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()})
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    fields: dict[str, str] = {}
    files: list[Attachment] = []
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            continue
        filename = part.get_filename()
        if filename is None:
            fields[name] = content.decode("utf-8", "replace")
        elif filename or content:
            files.append(Attachment(filename or "file", content, part.get_content_type()))
    return Form(fields, tuple(files))
