"""People outside who write in, and what carries their letters: providers that post to the webhook, and SMTP clients, until somebody answers for it.

SMTP is entered at the use cases that ``adapters/intake/smtp.py`` calls; the webhook by HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from lokole.mail.errors import LokoleError
from lokole.server import intake, strangers
from lokole.server.strangers import Verdict
from lokole.simulate.faults import Chaos, PowerCut
from lokole.simulate.ledger import Ledger, subject_of, text_of
from lokole.simulate.link import Request, Town
from lokole.simulate.machines import ServerMachine
from lokole.simulate.outside import DOMAIN

_BOUNDARY = "limit-of-a-part"


@dataclass
class Letter:
    """A letter on its way to the server: to the webhooks of ``secrets``, or by SMTP when there are none."""

    mark: int
    raw: bytes
    sender: str
    recipients: list[str]
    secrets: dict[str, str] = field(default_factory=dict)

    def form(self) -> tuple[str, bytes]:
        """The post of a provider: its content type and its body."""
        envelope = json.dumps({"to": self.recipients, "from": self.sender})
        fields = (("envelope", envelope.encode()), ("SPF", b"pass"), ("email", self.raw))
        parts = (
            b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
            % (_BOUNDARY.encode(), name.encode(), value)
            for name, value in fields
        )
        body = b"".join(parts) + b"--%b--\r\n" % _BOUNDARY.encode()
        return f"multipart/form-data; boundary={_BOUNDARY}", body


class Senders:
    """People outside who write in, and what carries their letters: each is tried until somebody answers for it."""

    def __init__(self, rng: Random, chaos: Chaos, tell: Callable[[str], None], ledger: Ledger) -> None:
        self._rng = rng
        self._chaos = chaos
        self._tell = tell
        self._ledger = ledger
        self._queue: list[Letter] = []

    def write(
        self, mark: int, recipients: list[str], *, secrets: dict[str, str], hidden: list[str], copies: int = 1
    ) -> None:
        """A letter to ``recipients``, of whom the headers name those that are not ``hidden``; ``secrets`` (by domain) mean the webhook.

        Each of ``copies`` has a Message-ID of its own: it is another letter with the same words.
        """
        sender = f"writer{self._rng.randrange(4)}@{DOMAIN}"
        named = [one for one in recipients if one not in hidden] or ["undisclosed@elsewhere.example"]
        for copy in range(copies):
            raw = (
                f"From: <{sender}>\r\nTo: {', '.join(named)}\r\nSubject: {subject_of(mark)}\r\n"
                f"Message-ID: <{mark}.{copy}@{DOMAIN}>\r\nDate: Mon, 5 Jan 2026 06:00:00 +0000\r\n\r\n"
                f"{text_of(mark)}\r\n"
            ).encode()
            self._queue.append(Letter(mark, raw, sender, list(recipients), dict(secrets)))
            self._ledger.accept(mark, recipients)

    @property
    def waiting(self) -> int:
        """How many letters nobody has answered for yet."""
        return len(self._queue)

    def carry(self, town: Town, server: ServerMachine) -> None:
        """Try every letter once."""
        queue, self._queue = self._queue, []
        for letter in queue:
            done = self._post(letter, town) if letter.secrets else self._deliver(letter, server)
            if not done:
                self._queue.append(letter)

    def _post(self, letter: Letter, town: Town) -> bool:
        content_type, body = letter.form()
        for domain, secret in sorted(letter.secrets.items()):
            headers = (("Content-Type", content_type), ("Content-Length", str(len(body))))
            request = Request("POST", f"/api/email/sendgrid/{secret}", headers, body)
            fault = self._chaos.at("post", f"{letter.mark} for {domain}")
            try:
                status = town.call(request).status
                if fault is not None and fault.kind == "post-twice":
                    status = town.call(request).status
            except OSError:
                status = 0
            self._tell(f"world: posts {letter.mark} for {domain} -> {status or 'no answer'}")
            if fault is not None and fault.kind == "post-answer-lost":
                status = 0
            if status // 100 in (2, 4):
                del letter.secrets[domain]
            if status // 100 == 4:
                for address in letter.recipients:
                    if address.endswith(f"@{domain}"):
                        self._ledger.tell_outside(letter.mark, address)
        return not letter.secrets

    def _deliver(self, letter: Letter, server: ServerMachine) -> bool:
        """SMTP's use cases, as ``adapters/intake/smtp.py`` calls them."""
        server.reach()
        fault = self._chaos.at("post", f"{letter.mark} by SMTP")
        later: list[str] = []
        good: list[str] = []
        try:
            for address in letter.recipients:
                verdict = strangers.decide(server.ports, letter.sender, address)
                self._tell(f"world: RCPT {letter.mark} to {address} -> {verdict.value}")
                if verdict is Verdict.HERE:
                    good.append(address)
                elif verdict is Verdict.LATER:
                    later.append(address)
                else:
                    self._ledger.tell_outside(letter.mark, address)
            if good:
                intake.accept(server.ports, letter.sender, tuple(good), letter.raw)
                if fault is not None and fault.kind == "post-twice":
                    intake.accept(server.ports, letter.sender, tuple(good), letter.raw)
            self._tell(f"world: SMTP {letter.mark} -> {len(good)} taken, {len(later)} later")
        except (PowerCut, LokoleError) as error:
            self._tell(f"world: SMTP {letter.mark} -> {type(error).__name__}")
            return False
        if fault is not None and fault.kind == "post-answer-lost":
            return False
        letter.recipients = later
        return not later
