"""The world outside: takes letters by SMTP (RFC 5321) and remembers them in files, and hands letters in until they are taken.

It is a process of its own, which no rig breaks, so that what it has was really sent.
"""

from __future__ import annotations

import json
import smtplib
import socketserver
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.e2e.processes import webhook_form


@dataclass(frozen=True)
class Taken:
    """One message for one recipient, as the world has it: its subject, Message-ID and the digests of its files."""

    recipient: str
    subject: str
    message_id: str
    files: tuple[str, ...]


class _Taker(socketserver.StreamRequestHandler):
    """One SMTP session."""

    def handle(self) -> None:
        recipients: list[str] = []
        sender = ""
        self._say("220 world")
        while line := self.rfile.readline():
            word = line.strip().upper()
            if word.startswith((b"EHLO", b"HELO")):
                self._say("250 world")
            elif word.startswith(b"MAIL"):
                sender, recipients = line.decode().partition("<")[2].partition(">")[0], []
                self._say("250 go on")
            elif word.startswith(b"RCPT"):
                recipients.append(line.decode().partition("<")[2].partition(">")[0])
                self._say("250 go on")
            elif word.startswith(b"DATA"):
                self._say("354 go on")
                lines = []
                while (one := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(one.removeprefix(b".") if one.startswith(b"..") else one)
                if one == b"":
                    return
                self.server.keep(sender, recipients, b"".join(lines))  # type: ignore[attr-defined]
                self._say("250 it is here")
            elif word.startswith(b"QUIT"):
                self._say("221 bye")
                return
            else:
                self._say("250 as you like")

    def _say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, folder: Path) -> None:
        super().__init__(("127.0.0.1", port), _Taker)
        self._folder = folder
        self._lock = threading.Lock()

    def keep(self, sender: str, recipients: list[str], raw: bytes) -> None:
        current = Path((self._folder / "current").read_text())
        with self._lock:
            n = len(list(current.iterdir()))
            (current / f"{n:05}").write_bytes(
                json.dumps({"sender": sender, "recipients": recipients}).encode() + b"\n" + raw
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that was killed in the middle is nothing to talk about."""


def serve(port: int, folder: Path) -> None:
    """Take letters until this process ends; where they are kept stands in ``folder/current``."""
    _Server(port, folder).serve_forever(poll_interval=0.5)


def taken(folder: Path) -> list[Taken]:
    """What came while ``folder`` was current, one for each recipient."""
    found = []
    for path in sorted(folder.iterdir()):
        head, _, raw = path.read_bytes().partition(b"\n")
        message = message_from_bytes(raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        files = tuple(
            sha256(part.get_payload(decode=True) or b"").hexdigest()  # type: ignore[arg-type]
            for part in message.iter_attachments()
        )
        for recipient in json.loads(head)["recipients"]:
            found.append(Taken(recipient, str(message["Subject"]), str(message["Message-ID"]), files))
    return found


def letter(token: str, recipients: list[str], file: bytes | None = None) -> bytes:
    """A letter from outside with ``token`` as its subject."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"] = "bob@example.org", ", ".join(recipients)
    message["Subject"], message["Message-ID"] = token, f"<{token.replace(' ', '-')}@example.org>"
    message["Date"] = "Mon, 23 Nov 2026 10:00:00 +0000"
    message.set_content(f"This is {token}.\r\n")
    if file is not None:
        message.add_attachment(file, maintype="application", subtype="octet-stream", filename="seeds.bin")
    return message.as_bytes()


def hand_in(port: int, raw: bytes, recipients: list[str], *, seconds: float = 10) -> bool:
    """Offer a letter once by SMTP; True when the server has said that it has it for every recipient."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=seconds) as smtp:
            return smtp.sendmail("bob@example.org", recipients, raw) == {}
    except (OSError, smtplib.SMTPException):
        return False


def post(port: int, secret: str, raw: bytes, recipients: list[str], *, seconds: float = 10) -> bool:
    """Offer a letter once by webhook; True when the answer is 2xx."""
    body, content_type = webhook_form(raw, recipients)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/email/sendgrid/{secret}", body, {"Content-Type": content_type}
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return 200 <= int(answer.status) < 300
    except (OSError, urllib.error.URLError):
        return False


def until_taken(port: int, raw: bytes, recipients: list[str], *, seconds: float = 60) -> bool:
    """Offer a letter by SMTP again and again, as every mail server does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if hand_in(port, raw, recipients):
            return True
        time.sleep(0.1)
    return False
