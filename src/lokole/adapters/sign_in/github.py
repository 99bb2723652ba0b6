"""GitHub's device flow. A browser cannot ask GitHub for these two answers itself, as GitHub sends no CORS headers with them; so the server does.

The token goes to the browser and is not kept here. What it is worth, ``Identity`` says.
"""

from __future__ import annotations

from typing import Any

import httpx2

from lokole.mail.errors import Permanent, Refused, Temporary
from lokole.ports.sign_in import Answer, Begun

#: to see in which teams a person is
SCOPE = "read:org"
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_PENDING = ("authorization_pending", "slow_down")
_OVER = {
    "expired_token": "the code has run out, begin again",
    "access_denied": "GitHub was told no",
    "incorrect_device_code": "this was not begun here",
}


class GitHubSignIn:
    """``client_id`` is that of an OAuth app with the device flow switched on; ``url`` is GitHub, or an enterprise's own; seconds of ``timeout``."""

    def __init__(self, client_id: str, *, url: str = "https://github.com", timeout: float = 10) -> None:
        self._client_id = client_id
        self._client = httpx2.Client(
            base_url=url.rstrip("/"), timeout=timeout, headers={"Accept": "application/json"}, follow_redirects=False
        )

    def begin(self) -> Begun:
        told = self._ask("/login/device/code", {"scope": SCOPE})
        if "error" in told:
            raise Permanent(f"GitHub does not take this server's client id ({_word(told)})")
        try:
            return Begun(
                user_code=str(told["user_code"]),
                device_code=str(told["device_code"]),
                verification_uri=_address(told["verification_uri"]),
                interval=_seconds(told.get("interval", 5), 60),
                expires_in=_seconds(told.get("expires_in", 900), 3600),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Temporary("GitHub gave an answer that is none") from error

    def finish(self, device_code: str) -> Answer:
        told = self._ask("/login/oauth/access_token", {"device_code": device_code, "grant_type": _GRANT})
        error = told.get("error")
        if error is None:
            token = told.get("access_token")
            if not isinstance(token, str) or not token:
                raise Temporary("GitHub gave an answer that is none")
            return Answer(token)
        if error in _PENDING:
            # "slow_down" names the new interval (RFC 8628 section 3.5 says five seconds more)
            return Answer(None, _seconds(told.get("interval", 5), 60))
        if error in _OVER:
            raise Refused(_OVER[str(error)], code="sign-in")
        raise Permanent(f"GitHub does not let this server ask ({_word(told)})")

    def _ask(self, path: str, fields: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._client.post(path, data={"client_id": self._client_id, **fields})
            told = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Temporary("GitHub does not answer") from error
        if not isinstance(told, dict) or (answer.status_code != 200 and "error" not in told):
            raise Temporary("GitHub gave an answer that is none")
        return told


def _word(told: dict[str, Any]) -> str:
    return str(told.get("error"))[:60]


def _seconds(value: Any, most: int) -> int:
    return min(most, max(1, int(value)))


def _address(value: Any) -> str:
    """A page that a link may lead to; raises ValueError."""
    text = str(value)
    if not text.startswith(("https://", "http://localhost", "http://127.0.0.1")):
        raise ValueError("no address of a page")
    return text
