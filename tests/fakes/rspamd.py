"""An Rspamd of our own for tests: it answers ``/checkv2`` in the shape of its published protocol, from what it was told of senders and words.

``allowed`` says which client may send for which domain (SPF), ``signed`` which domains' names in DKIM-Signature it takes for good,
``scores`` what a word in a letter costs. Who is greylisted by its own module comes through at the second try.
"""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.web_server import Asked, FakeProvider, Said

#: from which score on, highest first, as its default settings have them
ACTIONS = (("reject", 15.0), ("add header", 6.0), ("greylist", 4.0))
_SIGNER = re.compile(rb"^DKIM-Signature:.*\bd=([\w.-]+)", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(rb"^From:.*@([\w.-]+)", re.IGNORECASE | re.MULTILINE)


class FakeRspamd(FakeProvider):
    """See the module; ``heard`` keeps what each check was told: its fields, with all of ``Rcpt``, and the letter."""

    def __init__(self) -> None:
        super().__init__()
        self.allowed: dict[str, set[str]] = {}
        self.signed: set[str] = set()
        self.scores: dict[bytes, float] = {}
        self.soft_reject: set[str] = set()
        self.action: str | None = None
        self.heard: list[dict[str, str]] = []

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/ping" and asked.method == "GET":
            return Said(200, b"pong\r\n", {"Content-Type": "text/plain"})
        if asked.path != "/checkv2" or asked.method != "POST":
            return Said(404, {"error": "Invalid command"})
        fields = {name: asked.headers.get(name, "") for name in ("from", "rcpt", "ip", "helo", "mta-name")}
        self.heard.append(fields)
        symbols: dict[str, Any] = {}

        def add(name: str, score: float, *options: str) -> None:
            symbols[name] = {"name": name, "score": score, "metric_score": score, "options": list(options)}

        domain = fields["from"].rpartition("@")[2].strip("<>").lower()
        spf = fields["ip"] in self.allowed.get(domain, set())
        add(
            "R_SPF_ALLOW" if spf else "R_SPF_NA",
            -0.2 if spf else 0,
            f"+ip4:{fields['ip']}:c" if spf else "no SPF record",
        )
        signers = {found.decode().lower() for found in _SIGNER.findall(asked.body)} & self.signed
        if signers:
            add("R_DKIM_ALLOW", -0.2, *(f"{one}:s=mail" for one in sorted(signers)))
        shown = _FROM.search(asked.body)
        author = "" if shown is None else shown[1].decode().lower()
        if author in signers | ({domain} if spf else set()):
            add("DMARC_POLICY_ALLOW", -0.5, author, "none")
        for word, points in self.scores.items():
            if word in asked.body:
                add("WORDS", points, word.decode())
        score = round(sum(one["score"] for one in symbols.values()), 4)
        action = next((name for name, least in ACTIONS if score >= least), "no action")
        if fields["from"] in self.soft_reject:
            self.soft_reject.discard(fields["from"])
            action = "soft reject"
        reply = {
            "is_skipped": False,
            "score": score,
            "required_score": 15.0,
            "action": self.action or action,
            "thresholds": dict(ACTIONS),
            "symbols": symbols,
            "messages": {"smtp_message": "Try again later"} if action == "soft reject" else {},
            "message-id": "undef",
            "time_real": 0.01,
            "milter": {"remove_headers": {"X-Spam": 0}},
        }
        return Said(200, reply)
