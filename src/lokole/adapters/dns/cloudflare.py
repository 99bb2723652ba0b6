"""Mail records at Cloudflare, by its API v4: ``/zones`` and ``/zones/{zone}/dns_records``.

Records of ours carry :data:`COMMENT`, so that removing a domain takes what was made for it and nothing that somebody else made,
whatever the settings were then. Nothing of somebody else's is ever changed.
Repeats are Cloudflare's and ours: an identical record is no error, a record that is gone neither,
and what fails for a while is tried again by the job that asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lokole.adapters.web_api import Answer, WebApi
from lokole.mail.errors import Permanent, Temporary
from lokole.ports.dns import DnsRecord, RecordType, quoted_text

COMMENT = "lokole"
#: of Cloudflare: an identical record is there already
_IDENTICAL = {81057, 81058}
#: the key is not good, or not for this: somebody will mend the settings
_NOT_ALLOWED = {6003, 6103, 6111, 9103, 9106, 9109, 10000, 10001}
_UNKNOWN_TOKEN = {1000}
_PER_PAGE = 100
_MOST_PAGES = 100
#: seconds; Cloudflare chooses
_AUTOMATIC = 1


@dataclass(frozen=True, slots=True)
class _Kept:
    """A record as Cloudflare keeps it."""

    id: str
    record: DnsRecord
    comment: str

    @property
    def is_ours(self) -> bool:
        return self.comment == COMMENT


class CloudflareDns:
    """With a scoped ``token`` (Zone: Read and DNS: Edit of the zone), or as ``user`` with the global ``key``."""

    def __init__(self, *, url: str, token: str | None = None, user: str | None = None, key: str | None = None) -> None:
        headers = {"X-Auth-Email": user or "", "X-Auth-Key": key or ""}
        if token is not None:
            headers = {"Authorization": f"Bearer {token}"}
        self._has_token = token is not None
        self._api = WebApi("Cloudflare", url, headers)

    def publish(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """As the port says; a second SPF or DMARC record is never added, since two count as none (RFC 7208 section 3.2, RFC 7489 section 6.6.3)."""
        zone = self._zone_of(domain)
        there = list(self._records(zone, domain))
        hosts = {record.content for record in records if record.type == "MX" and record.name == domain}
        others = {
            one.record.content
            for one in there
            if one.record.type == "MX" and one.record.name == domain and not one.is_ours
        } - hosts
        if hosts and others:
            raise Permanent("mail for this domain goes elsewhere; remove its other MX records at Cloudflare first")
        for record in records:
            is_there = any(one.record == record for one in there)
            has_rival = any(not one.is_ours and _is_rival(one.record, record) for one in there)
            if not is_there and not has_rival:
                self._create(zone, record)
        for one in there:
            if one.is_ours and one.record not in records:
                self._delete(zone, one)  # made when the settings were others

    def withdraw(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """As the port says; a domain whose zone is gone has no records."""
        try:
            zone = self._zone_of(domain)
        except Permanent:
            return
        for one in list(self._records(zone, domain)):
            if one.is_ours or (one.record.type == "MX" and one.record in records):
                self._delete(zone, one)

    def check(self) -> str:
        """Whether the key is good and sees a zone. Whether it may edit one cannot be asked, only tried."""
        if self._has_token:
            answer = self._api.call("GET", "/user/tokens/verify")
            # a token that an account owns, and no user, is unknown there (1000): the zones that it sees say whether it is good
            if not _codes(answer) & _UNKNOWN_TOKEN:
                verified = self._good(answer)
                if not isinstance(verified, dict) or verified.get("status") != "active":
                    raise Permanent("the token is not active any more")
        zones = self._good(self._api.call("GET", "/zones", query={"per_page": "50"}))
        names = [str(zone.get("name")) for zone in zones if isinstance(zone, dict)] if isinstance(zones, list) else []
        if not names:
            raise Permanent("the key is good and sees no zone; it needs Zone: Read of the zones of your boxes")
        return f"the key sees {', '.join(sorted(names)[:5])}{' and more' if len(names) > 5 else ''}"

    # --- the API ---------------------------------------------------------------------------------

    def _zone_of(self, domain: str) -> str:
        """The id of the zone of ``domain``: the longest of its ends that is one."""
        labels = domain.split(".")
        for at in range(len(labels) - 1):
            name = ".".join(labels[at:])
            found = self._good(self._api.call("GET", "/zones", query={"name": name, "per_page": "50"}))
            for zone in found if isinstance(found, list) else []:
                if isinstance(zone, dict) and zone.get("name") == name and isinstance(zone.get("id"), str):
                    id_: str = zone["id"]
                    return id_
        raise Permanent("Cloudflare has no zone for this domain that the key may see")

    def _records(self, zone: str, domain: str) -> Iterator[_Kept]:
        """All records of the mail of ``domain``."""
        for page in range(1, _MOST_PAGES + 1):
            query = {"name.endswith": domain, "page": str(page), "per_page": str(_PER_PAGE)}
            answer = self._api.call("GET", f"/zones/{quote(zone, safe='')}/dns_records", query=query)
            found = self._good(answer)
            if not isinstance(found, list):
                raise Temporary("Cloudflare answered without records")
            for one in found:
                kept = _kept(one)
                if kept is not None and _is_of(domain, kept.record.name):
                    yield kept
            info = answer.content.get("result_info") or {}
            if not found or page >= info.get("total_pages", 1):
                return
        raise Temporary("Cloudflare's list of records has no end")

    def _create(self, zone: str, record: DnsRecord) -> None:
        body: dict[str, Any] = {
            "type": record.type,
            "name": record.name,
            "content": record.content if record.type == "MX" else quoted_text(record.content),
            "ttl": _AUTOMATIC,
            "comment": COMMENT,
        }
        if record.priority is not None:
            body["priority"] = record.priority
        answer = self._api.call("POST", f"/zones/{quote(zone, safe='')}/dns_records", body=body)
        if not _codes(answer) & _IDENTICAL:
            self._good(answer)

    def _delete(self, zone: str, one: _Kept) -> None:
        path = f"/zones/{quote(zone, safe='')}/dns_records/{quote(one.id, safe='')}"
        answer = self._api.call("DELETE", path)
        if answer.status != 404:
            self._good(answer)

    def _good(self, answer: Answer) -> Any:
        """What is in the envelope of a good answer; raises Temporary for a key that is not good, Permanent for everything else."""
        if answer.is_good and isinstance(answer.content, dict) and answer.content.get("success") is True:
            return answer.content.get("result")
        codes = _codes(answer)
        if answer.status in (401, 403) or codes & _NOT_ALLOWED:
            raise Temporary(
                "Cloudflare does not take the key for this; see docs/dns.md",
                operator="Cloudflare does not take the key for the records of a domain: it needs Zone Read and DNS Edit of its zone.",
            )
        if answer.is_good and not codes:
            raise Temporary("Cloudflare answered without its envelope")
        raise Permanent(f"Cloudflare refused it ({', '.join(map(str, sorted(codes))) or answer.status})")


def _codes(answer: Answer) -> set[int]:
    errors = answer.content.get("errors") if isinstance(answer.content, dict) else None
    said = errors if isinstance(errors, list) else []
    return {error["code"] for error in said if isinstance(error, dict) and isinstance(error.get("code"), int)}


def _kept(found: Any) -> _Kept | None:
    """A record of Cloudflare's list, None when it is of a type that mail does not need."""
    if not isinstance(found, dict) or found.get("type") not in ("MX", "TXT") or not isinstance(found.get("id"), str):
        return None
    type_: RecordType = found["type"]
    content = str(found.get("content", ""))
    name = str(found.get("name", "")).rstrip(".").lower()
    if type_ == "TXT":
        return _Kept(found["id"], DnsRecord(name, type_, unquoted_text(content)), str(found.get("comment") or ""))
    priority = found.get("priority")
    record = DnsRecord(
        name, type_, content.rstrip(".").lower(), int(priority) if isinstance(priority, int | float) else None
    )
    return _Kept(found["id"], record, str(found.get("comment") or ""))


def unquoted_text(content: str) -> str:
    """The text of a TXT record however it is written: as strings in quotation marks, or bare."""
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', content)
    if not content.lstrip().startswith('"') or not strings:
        return content
    return re.sub(r"\\(.)", r"\1", "".join(strings))


def _is_rival(there: DnsRecord, wanted: DnsRecord) -> bool:
    """Whether two texts of one name would both claim to be the policy of that name."""
    policy = _policy(wanted)
    return there.name == wanted.name and policy is not None and _policy(there) == policy


def _policy(record: DnsRecord) -> str | None:
    said = record.content.lower().replace(" ", "") if record.type == "TXT" else ""
    return next((one for one in ("v=spf1", "v=dmarc1", "v=dkim1") if said.startswith(one)), None)


def _is_of(domain: str, name: str) -> bool:
    """Whether a name is one of those at which mail of ``domain`` has records; a domain below it is another box's."""
    return name in (domain, f"_dmarc.{domain}") or name.endswith(f"._domainkey.{domain}")


__all__ = ["COMMENT", "CloudflareDns", "unquoted_text"]
