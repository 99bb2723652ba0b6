"""What whoever took a letter in found out about it: whether its sender is who it says, and whether it is junk.

Believed are SendGrid's fields ``SPF``, ``dkim`` and ``spam_score``, and the judge that the settings name (``ports.judge``);
what a letter says of itself is believed in no case. Without a word about it a letter is neither proven nor junk.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.utils import getaddresses
from typing import Any

from lokole.ports.judge import Advice, Opinion
from lokole.server.form import InboundForm

_MAX_HEADER = 64 * 1024
_SENDGRID_DKIM = re.compile(r"@([\w.-]+)\s*:\s*(\w+)")
_SCORE = re.compile(r"-?\d{1,4}(?:\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Judgement:
    """``envelope_proven``: the envelope sender is who it says, so that it may be answered. ``proven``: so is the one in From, whom people see.

    ``score`` is what a filter gave, higher for junk, None when none was asked; ``junk`` is its own word on it.
    """

    envelope_proven: bool = False
    proven: bool = False
    score: float | None = None
    junk: bool = False

    def ids(self) -> dict[str, Any]:
        """For the row of a job; nothing that is as usual."""
        found = {"proved": self.envelope_proven, "proven": self.proven, "score": self.score, "junk": self.junk}
        return {name: value for name, value in found.items() if value not in (False, None)}

    @classmethod
    def from_ids(cls, ids: dict[str, Any]) -> Judgement:
        """Back from the row of a job."""
        score = ids.get("score")
        score = None if score is None else float(score)
        return cls(bool(ids.get("proved")), bool(ids.get("proven")), score, bool(ids.get("junk")))


UNJUDGED = Judgement()
#: a box has signed for it
OF_A_BOX = Judgement(proven=True)


def of_form(form: InboundForm, raw: bytes) -> Judgement:
    """What SendGrid says of a letter that it posts."""
    signers = {domain.lower() for domain, result in _SENDGRID_DKIM.findall(form.dkim) if result.lower() == "pass"}
    score = form.spam_score if _SCORE.fullmatch(form.spam_score) else None
    return _judge(
        form.sender,
        raw,
        "" if form.spf.lower() != "pass" else form.sender,
        signers,
        None if score is None else float(score),
    )


def of_opinion(opinion: Opinion, sender: str, raw: bytes) -> Judgement:
    """What a judge thinks of a letter that came from ``sender`` by SMTP."""
    found = _judge(sender, raw, sender if opinion.spf_passed else "", opinion.signers, opinion.score)
    return replace(found, junk=opinion.advice is Advice.JUNK)


def _judge(sender: str, raw: bytes, spf_of: str, signers: Set[str], score: float | None) -> Judgement:
    proved = {_domain(spf_of)} - {""}
    shown = _from_domain(raw)
    of_envelope = _domain(sender)
    return Judgement(
        bool(of_envelope) and (of_envelope in proved or of_envelope in signers),
        bool(shown) and any(_aligned(shown, domain) for domain in proved | signers),
        score,
    )


def _aligned(shown: str, domain: str) -> bool:
    """RFC 7489 section 3.1, relaxed as far as it goes without a list of public suffixes: the same domain, or one above it."""
    return shown == domain or ("." in domain and shown.endswith(f".{domain}"))


def _from_domain(raw: bytes) -> str:
    """The domain of the one address in the one From field; nothing for any other number of them."""
    head = message_from_bytes(raw[:_MAX_HEADER])
    found = [address for _, address in getaddresses([str(one) for one in head.get_all("From", [])])]
    return _domain(found[0]) if len(found) == 1 else ""


def _domain(text: str) -> str:
    return text.rpartition("@")[2].strip(" <>.\"'").lower()
