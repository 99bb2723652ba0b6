"""A Cloudflare with zones and records, as far as its API v4 is asked for them.

Its shapes, codes and rules are those of the published OpenAPI document: the envelope, filters by name, pages,
TXT content in quotation marks, identical records refused, and keys that may not everything.
Cloudflare's own client for Python (5.9, with strict validation) makes, lists and deletes records here without a complaint;
of a zone only what we read is shown.
"""

from __future__ import annotations

import itertools
from typing import Any

from tests.fakes.web_server import Asked, FakeProvider, Said

TOKEN = "a-scoped-token"
USER, KEY = "operator@example.org", "the-global-key"
AT = "2026-03-01T12:00:00.000000Z"


class FakeCloudflare(FakeProvider):
    """``zones`` maps names of zones to their records; ``page`` is how many go on one page at most."""

    def __init__(self, *zones: str, page: int = 100) -> None:
        super().__init__()
        self.zones: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in zones}
        self.page = page
        self.may_edit = True
        self.token_status = "active"
        #: whether its token is one that an account owns, and no user
        self.is_of_account = False
        self._ids = (f"{n:032x}" for n in itertools.count(1))

    def add(self, zone: str, name: str, type: str, content: str, **further: Any) -> str:
        """A record that somebody made by hand; returns its id."""
        id_ = next(self._ids)
        meta = {"proxiable": False, "proxied": False, "settings": {}, "meta": {}, "tags": []}
        kept = {"id": id_, "name": name, "type": type, "content": content, "ttl": 1, "comment": None, **meta}
        self.zones[zone][id_] = kept | further | {"created_on": AT, "modified_on": AT}
        return id_

    def lines(self, zone: str) -> set[str]:
        """Every record in one line."""
        found = self.zones[zone].values()
        return {
            " ".join(str(one[key]) for key in ("name", "type", "priority", "content") if key in one) for one in found
        }

    def answer(self, asked: Asked) -> Said:
        headers = asked.headers
        if headers.get("authorization") != f"Bearer {TOKEN}" and (
            (headers.get("x-auth-email"), headers.get("x-auth-key")) != (USER, KEY)
        ):
            return _error(403, 9109, "Invalid access token")
        parts = asked.path.strip("/").split("/")
        if parts == ["user", "tokens", "verify"] and self.is_of_account:
            return _error(401, 1000, "Invalid API Token")
        if parts == ["user", "tokens", "verify"]:
            return _good({"id": "1" * 32, "status": self.token_status})
        if parts == ["zones"]:
            found = [{"id": _id(name), "name": name, "status": "active"} for name in self.zones]
            name = asked.query.get("name")
            return self._list([one for one in found if name is None or one["name"] == name], asked)
        zone = next((name for name in self.zones if _id(name) == parts[1]), None)
        if zone is None or parts[2] != "dns_records":
            return _error(404, 7003, "Could not route to the zone")
        if asked.method == "GET":
            wanted = asked.query.get("name.endswith", "")
            kept = [one for one in self.zones[zone].values() if one["name"].endswith(wanted)]
            return self._list(kept, asked)
        if not self.may_edit:
            return _error(403, 10000, "Authentication error")
        if asked.method == "POST":
            return self._create(zone, asked.json)
        if self.zones[zone].pop(parts[3], None) is None:
            return _error(404, 81044, "Record does not exist.")
        return _good({"id": parts[3]})

    def _list(self, found: list[dict[str, Any]], asked: Asked) -> Said:
        page = int(asked.query.get("page", "1"))
        size = min(self.page, int(asked.query.get("per_page", "100")))
        shown = found[(page - 1) * size : page * size]
        pages = -(-len(found) // size)
        info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(found), "total_pages": pages}
        return _good(shown, result_info=info)

    def _create(self, zone: str, body: dict[str, Any]) -> Said:
        if not (body["name"] == zone or body["name"].endswith(f".{zone}")):
            return _error(400, 9005, "Content for the record is invalid.")
        if body["type"] == "MX" and not isinstance(body.get("priority"), int):
            return _error(400, 9101, "priority is a required field.")
        if body["type"] == "TXT" and not all(0 < len(one) <= 255 for one in body["content"].strip('"').split('" "')):
            return _error(400, 9209, "Content for TXT record is invalid.")
        key = ("name", "type", "content")
        if any(all(one[name] == body[name] for name in key) for one in self.zones[zone].values()):
            return _error(400, 81058, "An identical record already exists.")
        id_ = self.add(zone, **body)
        return _good(self.zones[zone][id_])


def _id(zone: str) -> str:
    return zone.encode().hex().ljust(32, "0")[:32]


def _good(result: Any, **further: Any) -> Said:
    return Said(200, {"success": True, "errors": [], "messages": [], "result": result, **further})


def _error(status: int, code: int, message: str) -> Said:
    errors = [{"code": code, "message": message}]
    return Said(status, {"success": False, "errors": errors, "messages": [], "result": None})
