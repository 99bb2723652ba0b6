"""Mail for a domain comes by SendGrid's Inbound Parse: its settings are made and removed through the Web API v3.

``/v3/user/webhooks/parse/settings`` knows one setting for each host name: the address that raw messages are posted to.
A setting of the same account that leads elsewhere is led here, which is how a domain moves from one server to another;
for the same reason only one that leads here is removed.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lokole.adapters.web_api import Answer, WebApi
from lokole.mail.errors import Permanent, Temporary

_SCOPE = "user.webhooks.parse.settings"
_SETTINGS = "/v3/user/webhooks/parse/settings"


class SendGridIntake:
    """``address`` is where the world reaches this server; the ``key`` needs the permission Inbound Parse."""

    def __init__(self, *, url: str, key: str, address: str) -> None:
        self._api = WebApi("SendGrid", url, {"Authorization": f"Bearer {key}"})
        self._webhooks = f"{address.rstrip('/')}/api/email/sendgrid/"

    def start(self, domain: str, webhook_secret: str) -> None:
        """As the port says."""
        wanted = {"url": self._webhooks + webhook_secret, "spam_check": True, "send_raw": True}
        found = self._find(domain)
        if found is None:
            answer = self._api.call("POST", _SETTINGS, body={"hostname": domain, **wanted})
            if answer.is_good:
                return
            found = self._find(domain)  # another worker was a moment earlier, or an answer was lost
            if found is None:
                self._good(answer)
                raise Temporary("SendGrid did not keep the setting")
        if any(found.get(name) != value for name, value in wanted.items()):
            self._good(self._api.call("PATCH", _path(domain), body=wanted))

    def stop(self, domain: str) -> None:
        """As the port says; a setting that leads to another server stays."""
        found = self._find(domain)
        if found is None or not str(found.get("url", "")).startswith(self._webhooks):
            return
        answer = self._api.call("DELETE", _path(domain))
        if answer.status != 404:
            self._good(answer)

    def check(self) -> str:
        """Whether the key is good and has the permission Inbound Parse."""
        found = self._good(self._api.call("GET", "/v3/scopes"))
        scopes = set(found.get("scopes") or ()) if isinstance(found, dict) else set()
        missing = sorted(one for one in ("create", "delete", "read", "update") if f"{_SCOPE}.{one}" not in scopes)
        if missing:
            raise Permanent(f"the key has not the whole permission Inbound Parse; missing: {', '.join(missing)}")
        return "the key has the permission Inbound Parse"

    def _find(self, domain: str) -> dict[str, Any] | None:
        answer = self._api.call("GET", _path(domain))
        if answer.status == 404:
            return None
        found = self._good(answer)
        if not isinstance(found, dict) or found.get("hostname") != domain:
            raise Temporary("SendGrid answered without the setting")
        return found

    def _good(self, answer: Answer) -> Any:
        """What a good answer holds; raises Temporary for a key that is not good, Permanent for everything else."""
        if answer.is_good:
            return answer.content
        if answer.status in (401, 403):
            told = "SendGrid does not take the key for this; it needs the permission Inbound Parse"
            raise Temporary(told, operator=f"{told}.")
        raise Permanent(f"SendGrid refused it ({answer.status}); is the domain authenticated there?")


def _path(domain: str) -> str:
    return f"{_SETTINGS}/{quote(domain, safe='')}"


__all__ = ["SendGridIntake"]
