"""Letters out by SendGrid's Web API v3 (``POST /v3/mail/send``).

The API takes no MIME: the message is taken apart into its JSON (``sendgrid_json.py``).
It writes To and Cc from the envelope, so all recipients of a letter go in one call, or they would not see each other (``send_together``).
It keeps no envelope sender of ours: what would have been it travels as a custom argument, and comes back with every event.

A repeat after a broken line may send a letter twice, under the same Message-ID; SendGrid knows no key against that.
An address that is written to again is taken off SendGrid's own lists too (``lift``).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from lokole.adapters.mail_out.sendgrid_json import mail_send_fields
from lokole.adapters.web_api import Answer, WebApi, retry_after
from lokole.mail.errors import Permanent, Temporary
from lokole.ports.mail_out import Recipient, RefusedRecipients

BASE_URL = "https://api.sendgrid.com"
#: The whole request, in bytes: SendGrid takes 30 MB with everything, and does not say so before it has read it all.
MAX_BYTES = 30_000_000
_SEND = "/v3/mail/send"
#: the lists of addresses that SendGrid brings nothing to, by why an address is held back
_LISTS = {
    "bounce": ("/v3/suppression/bounces", "/v3/suppression/invalid_emails"),
    "complaint": ("/v3/suppression/spam_reports",),
    "unsubscribed": ("/v3/asm/suppressions/global",),
}
_MAY_NOT_LIFT = "may not take addresses off its lists: the key needs the permission Suppressions."
_FIELD = re.compile(r"personalizations\.(\d+)(?:\.(to|cc|bcc)\.(\d+))?")


class SendGridMailOut:
    """One SendGrid account; ``deadline`` in seconds is for one whole call, ``timeout`` for each step of it."""

    most_together = 1000  # SendGrid's own limit for To, Cc and Bcc of one call

    def __init__(
        self,
        key: str,
        *,
        base_url: str = BASE_URL,
        timeout: float = 60.0,
        deadline: float = 300.0,
        seconds: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._api = WebApi(
            "SendGrid",
            base_url,
            {"Authorization": f"Bearer {key}"},
            deadline=deadline,
            idle=timeout,
            seconds=seconds,
            pause=self._retry_after,
            often=True,
        )

    @classmethod
    def from_url(cls, url: str, *, key: str | None) -> SendGridMailOut:
        """Read ``sendgrid:``, ``sendgrid://HOST:PORT`` or, for tests, ``sendgrid+http://HOST:PORT``; raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("sendgrid", "sendgrid+http"):
            raise ValueError("“sendgrid:” is needed to send letters by SendGrid")
        if not key:
            raise ValueError("LOKOLE_MAIL_OUT=sendgrid: needs LOKOLE_SENDGRID_KEY: a key that may send mail.")
        scheme = "https" if parts.scheme == "sendgrid" else "http"
        return cls(key, base_url=f"{scheme}://{parts.netloc}" if parts.netloc else BASE_URL)

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Hand over for one recipient, who then sees nobody else in To; see ``ports.mail_out``."""
        self.send_together(sender=sender, recipients=[Recipient(recipient, "to")], message=message)

    def send_together(self, *, sender: str, recipients: Sequence[Recipient], message: bytes) -> None:
        """Hand over for all of ``recipients``, see ``ports.mail_out``.

        400 is Permanent, with whom it names; 413 too. 401, 403 and what else only the operator can mend is Temporary with a sentence for them.
        429, 5xx, no answer and an answer that says nothing are Temporary.
        """
        fields = mail_send_fields(message, recipients, envelope=sender)
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if len(body) > MAX_BYTES:
            raise Permanent("the letter is larger than SendGrid takes", reason="5.3.4 the letter is too large")
        answer = self._api.call("POST", _SEND, content=body, headers={"Content-Type": "application/json"})
        if answer.status != 202:
            self._judge(answer, fields["personalizations"])

    def check(self) -> str:
        """As ``Checkable`` says: the key is good and has the permission Mail Send."""
        answer = self._api.call("GET", "/v3/scopes")
        if answer.status in (401, 403):
            raise Permanent("SendGrid does not take the key; make a new one, and set LOKOLE_SENDGRID_KEY")
        scopes = answer.content.get("scopes") if answer.is_good and isinstance(answer.content, dict) else None
        if not isinstance(scopes, list):
            raise Temporary(f"SendGrid answered {answer.status} and no permissions")
        if "mail.send" not in scopes:
            raise Permanent("the key has not the permission Mail Send")
        return "the key has the permission Mail Send"

    def lift(self, address: str, cause: str) -> None:
        """As the port says: ``address`` goes from the lists that such a cause puts it on, for all who send by this account."""
        for place in _LISTS[cause]:
            answer = self._api.call("DELETE", f"{place}/{quote(address, safe='')}", wants_json=False)
            if answer.status in (401, 403):
                _needs_operator(answer.status, _MAY_NOT_LIFT)
            if not answer.is_good and answer.status != 404:
                raise Permanent(f"SendGrid answered {answer.status} and took the address off no list")

    def _retry_after(self, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait: Retry-After (RFC 9110 section 10.2.3), else until SendGrid's own window ends."""
        said = retry_after(headers)
        if said is not None:
            return said
        reset = str(headers.get("x-ratelimit-reset", "")).strip()
        if reset.isascii() and reset.isdigit() and len(reset) < 12:
            return min(max(1.0, int(reset) - self._now()), 86400.0)
        return None

    @staticmethod
    def _judge(answer: Answer, personalizations: Sequence[dict[str, Any]]) -> None:
        """Raise what an answer other than 202 means."""
        status = answer.status
        if status == 413:
            raise Permanent("the letter is larger than SendGrid takes", reason="5.3.4 the letter is too large")
        if status == 400:
            _refuse(answer.content, personalizations)
        if status == 401:
            _needs_operator(
                status,
                "does not take the key, or no more letters of this account: look at its plan there, or make a new key"
                " and set LOKOLE_SENDGRID_KEY.",
                answer.content,
            )
        if status == 403:
            _needs_operator(
                status,
                "may not send for us: the key needs the permission Mail Send, each sending domain its authentication.",
                answer.content,
            )
        if status < 300 or status == 408:
            raise Temporary(f"SendGrid answered {status}")
        _needs_operator(status, "does not know what was asked: is its address in LOKOLE_MAIL_OUT right?")


def _needs_operator(status: int, what: str, content: Any = None) -> None:
    """Raise what somebody has to mend, with SendGrid's own words on it, such as “Maximum credits exceeded”, which comes as 401 too."""
    words = ""
    with suppress(KeyError, IndexError, TypeError):
        words = " ".join(str(content["errors"][0]["message"]).split())[:200]
    said = f" (“{words}”)" if words and "@" not in words else ""  # of people nothing is told
    raise Temporary(f"SendGrid answered {status}", operator=f"SendGrid answers {status}{said}: it {what}")


def _refuse(content: Any, personalizations: Sequence[dict[str, Any]]) -> None:
    """Raise what a 400 means: for the recipients whom it names, or for all. An answer that is not SendGrid's is nobody's refusal."""
    try:
        said = [(str(one.get("field") or ""), " ".join(str(one["message"]).split())[:200]) for one in content["errors"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise Temporary("SendGrid answered 400 and nothing that can be read") from error
    if not said:
        raise Temporary("SendGrid answered 400 and nothing that can be read")
    named: list[str] = []
    for field, _ in said:
        match = _FIELD.match(field)
        if match is None or match[2] is None:
            continue
        try:
            named.append(personalizations[int(match[1])][match[2]][int(match[3])]["email"])
        except (LookupError, TypeError):
            continue
    words = said[0][1]
    if named and len(named) < sum(len(one.get(role, ())) for one in personalizations for role in ("to", "cc", "bcc")):
        raise RefusedRecipients("SendGrid refused recipients", addresses=named, reason=f"5.1.3 {words}")
    raise Permanent("SendGrid refused it", reason=f"5.1.3 {words}" if named else f"SendGrid: {words}")
