"""A SendGrid of our own for tests: it checks what it is sent against the published schema, keeps it, and misbehaves when told to.

The schema is that of ``POST /v3/mail/send`` in Twilio's OpenAPI document (tsg_mail_v3, MIT), with the further rules of its page of errors:
a known key, a sender whose domain is authenticated, each recipient once, at most 1,000 of them, no header that is SendGrid's own.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

KEY = "SG.the-key"
_RESERVED = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding",
    "to", "from", "subject", "reply-to", "cc", "bcc",
}  # fmt: skip
_ADDRESS = re.compile(r"[^@\s]+@[a-z0-9-]+(\.[a-z0-9-]+)+", re.IGNORECASE)
_TOP = {
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "headers",
    "custom_args", "tracking_settings", "mail_settings",
}  # fmt: skip


@dataclass
class SendGrid:
    """What it has taken, and how it answers: ``next`` first, one for each call, each a status or ``never``, ``nonsense``, ``slowly``."""

    url: str = ""
    domains: set[str] = field(default_factory=set)  # authenticated; empty: all
    taken: list[dict[str, Any]] = field(default_factory=list)
    #: which of them nobody heard a yes to
    unheard: set[int] = field(default_factory=set)
    calls: int = 0
    next: list[int | str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    max_bytes: int = 31_457_280
    #: its lists of addresses that it brings nothing to, by the end of their path
    held: dict[str, set[str]] = field(
        default_factory=lambda: {
            name: set()
            for name in (
                "suppression/bounces",
                "suppression/invalid_emails",
                "suppression/spam_reports",
                "asm/suppressions/global",
            )
        }
    )
    may_lift: bool = True
    #: what its key may
    scopes: list[str] = field(default_factory=lambda: ["mail.send", "suppression.read"])

    def recipients(self) -> list[str]:
        """Everybody who was sent something, in order."""
        return [
            one["email"]
            for mail in self.taken
            for copy in mail["personalizations"]
            for role in ("to", "cc", "bcc")
            for one in copy.get(role, [])
        ]

    def events(self, event: str, email: str, **more: Any) -> list[dict[str, Any]]:
        """The event webhook's payload about ``email``, in the letter that was taken last."""
        copy = next(
            copy
            for mail in reversed(self.taken)
            for copy in mail["personalizations"]
            if any(one["email"].lower() == email.lower() for role in ("to", "cc", "bcc") for one in copy.get(role, []))
        )
        known = {"email": email, "event": event, "timestamp": 1772366400, "sg_event_id": f"{event}-{email}"}
        return [known | {"sg_message_id": "sg.1", "smtp-id": "<x@sg>"} | copy.get("custom_args", {}) | more]


def problems(mail: Any) -> list[tuple[str | None, str]]:
    """Everything that the schema and the page of errors say against ``mail``, as (field, message)."""
    found: list[tuple[str | None, str]] = []
    if not isinstance(mail, dict):
        return [(None, "Bad Request")]
    found += [(name, "unknown field") for name in mail.keys() - _TOP]
    copies = mail.get("personalizations")
    if not isinstance(copies, list) or not 1 <= len(copies) <= 1000:
        return [
            ("personalizations", "The personalizations field is required and must have at least one personalization.")
        ]
    total = 0
    for n, copy in enumerate(copies):
        place = f"personalizations.{n}"
        if not copy.get("to"):
            found.append((f"{place}.to", "The to array is required for all personalization objects."))
        seen: set[str] = set()
        for role in ("to", "cc", "bcc"):
            for m, one in enumerate(copy.get(role, [])):
                total += 1
                found += _contact(one, f"{place}.{role}.{m}.email")
                if one.get("email", "").lower() in seen:
                    found.append((place, "Each email address in the personalization block should be unique"))
                seen.add(one.get("email", "").lower())
        if copy.keys() - {"to", "cc", "bcc", "custom_args"}:
            found.append((place, "unknown field"))
        arguments = copy.get("custom_args", {})
        if not all(isinstance(value, str) for value in arguments.values()) or len(json.dumps(arguments)) > 10_000:
            found.append((f"{place}.custom_args", "custom_args"))
    if total > 1000:
        found.append(("personalizations", "There is a limit of 1000 total recipients (to + cc + bcc) per request."))
    found += _contact(mail.get("from", {}), "from.email")
    for n, one in enumerate([mail["reply_to"]] if "reply_to" in mail else mail.get("reply_to_list", [])):
        found += _contact(one, f"reply_to.{n}")
    if {"reply_to", "reply_to_list"} <= mail.keys():
        found.append(("reply_to", "not both"))
    if not mail.get("subject"):
        found.append(("subject", "The subject is required."))
    kinds = [one.get("type") for one in mail.get("content", [])]
    if not kinds or kinds != sorted(kinds, key=["text/plain", "text/html"].index):
        found.append(("content", "text/plain first, then text/html"))
    if not all(one.get("value") for one in mail.get("content", [])):
        found.append(("content.0.value", "The content value must be a string at least one character in length."))
    for n, one in enumerate(mail.get("attachments", [])):
        found += _attachment(one, f"attachments.{n}")
    found += [
        (f"headers.{name}", "reserved or not a header")
        for name, value in mail.get("headers", {}).items()
        if name.lower() in _RESERVED or not isinstance(value, str) or "\n" in value or "\r" in value
    ]
    return found


def _contact(one: Any, place: str) -> list[tuple[str | None, str]]:
    if not isinstance(one, dict) or not _ADDRESS.fullmatch(str(one.get("email", ""))) or one.keys() - {"email", "name"}:
        return [(place, "Does not contain a valid address.")]
    if not one["email"].isascii():
        return [(place, "Does not contain a valid address.")]
    return []


def _attachment(one: dict[str, Any], place: str) -> list[tuple[str | None, str]]:
    wrong = one.keys() - {"content", "type", "filename", "disposition", "content_id"}
    if wrong or not one.get("content") or not one.get("filename"):
        return [(place, "content and filename are required")]
    base64.b64decode(one["content"], validate=True)
    if one.get("disposition", "attachment") not in ("inline", "attachment") or ";" in one.get("type", ""):
        return [(place, "disposition or type")]
    return []


class _Handler(BaseHTTPRequestHandler):
    world: SendGrid
    over: threading.Event

    def do_POST(self) -> None:
        world = self.world
        world.calls += 1
        size = int(self.headers["Content-Length"])
        if size > world.max_bytes:
            self._answer(413, {"errors": [{"message": "content too large", "field": None}]})
            self.close_connection = True
            return
        body = self.rfile.read(size)
        if self.path != "/v3/mail/send":
            self._answer(404, {"errors": [{"message": "not found"}]})
            return
        told = world.next.pop(0) if world.next else 202
        match told:
            case "never":
                self.over.wait(20)
                self.close_connection = True
                return
            case "drop-after-taking" if not problems(json.loads(body)):
                world.unheard.add(len(world.taken))
                self._take(json.loads(body))
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            case "nonsense":
                self.wfile.write(b"\x00\xffwhat?\r\n\r\n")
                self.close_connection = True
                return
            case "slowly":
                time.sleep(0.3)
            case int() if told != 202:
                self._answer(told, "<html>not JSON" if told == 400 else {"errors": [{"message": "as told"}]})
                return
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self._answer(401, {"errors": [{"message": "authorization required", "field": None}]})
            return
        mail = json.loads(body)
        wrong = problems(mail)
        if wrong:
            self._answer(400, {"errors": [{"message": text, "field": place, "help": None} for place, text in wrong]})
        elif world.domains and mail["from"]["email"].rpartition("@")[2] not in world.domains:
            self._answer(403, {"errors": [{"message": "The from address does not match a verified Sender Identity."}]})
        else:
            self._take(mail)
            self._answer(202, None)

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self._answer(401, {"errors": [{"message": "authorization required", "field": None}]})
        elif self.path == "/v3/scopes":
            self._answer(200, {"scopes": self.world.scopes})
        else:
            self._answer(404, {"errors": [{"message": "not found"}]})

    def do_DELETE(self) -> None:
        world = self.world
        world.calls += 1
        name, _, address = self.path.removeprefix("/v3/").rpartition("/")
        told = world.next.pop(0) if world.next else 204
        if told == "never":
            self.over.wait(20)
            self.close_connection = True
        elif isinstance(told, int) and told != 204:
            self._answer(told, {"errors": [{"message": "as told"}]})
        elif self.headers["Authorization"] != f"Bearer {KEY}":
            self._answer(401, {"errors": [{"message": "authorization required", "field": None}]})
        elif not world.may_lift:
            self._answer(403, {"errors": [{"message": "access forbidden", "field": None}]})
        elif unquote(address) not in world.held.get(name, ()):
            self._answer(404, {"errors": [{"message": "not found", "field": None}]})
        else:
            world.held[name].discard(unquote(address))
            self._answer(204, None)

    def _take(self, mail: dict[str, Any]) -> None:
        assert problems(mail) == []
        self.world.taken.append(mail)

    def _answer(self, status: int, content: Any) -> None:
        body = b"" if content is None else (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        for name, value in self.world.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def sendgrid() -> Iterator[SendGrid]:
    """A SendGrid at ``url``."""
    world, over = SendGrid(), threading.Event()
    handler = type("Handler", (_Handler,), {"world": world, "over": over})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        world.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield world
        finally:
            over.set()
            server.shutdown()
            thread.join()
