"""A SendGrid with Inbound Parse settings; shapes and statuses are those of its published OpenAPI document."""

from __future__ import annotations

from typing import Any

from tests.fakes.web_server import Asked, FakeProvider, Said

KEY = "SG.a-key-with-inbound-parse"
_PATH = "/v3/user/webhooks/parse/settings"


class FakeSendGridParse(FakeProvider):
    """``settings`` maps host names to what is set for each; only ends that are in ``authenticated`` may be set."""

    def __init__(self, *authenticated: str) -> None:
        super().__init__()
        self.settings: dict[str, dict[str, Any]] = {}
        self.authenticated = authenticated
        self.scopes = {f"user.webhooks.parse.settings.{verb}" for verb in ("create", "delete", "read", "update")}

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "The provided authorization grant is invalid, expired, or revoked")
        if not self.scopes:
            return _error(403, "access forbidden")
        if asked.path == "/v3/scopes":
            return Said(200, {"scopes": sorted(self.scopes)})
        if asked.path == _PATH and asked.method == "GET":
            return Said(200, {"result": list(self.settings.values())})
        if asked.path == _PATH and asked.method == "POST":
            body = asked.json
            if not body.get("hostname", "").endswith(self.authenticated):
                return _error(400, "The domain is not authenticated.", "hostname")
            if body["hostname"] in self.settings:
                return _error(400, "duplicate entry", "hostname")
            self.settings[body["hostname"]] = dict(body)
            return Said(201, body)
        host = asked.path.removeprefix(f"{_PATH}/")
        found = self.settings.get(host)
        if found is None:
            return _error(404, "Not Found")
        if asked.method == "PATCH":
            found.update(asked.json)
        elif asked.method == "DELETE":
            del self.settings[host]
            return Said(204)
        return Said(200, found)


def _error(status: int, message: str, field: str | None = None) -> Said:
    return Said(status, {"errors": [{"message": message, "field": field}]})
