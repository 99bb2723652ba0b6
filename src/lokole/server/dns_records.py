"""Which DNS records the mail of a domain needs, and whether the world sees them.

MX always; SPF and DMARC as the settings say; DKIM where this server signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from lokole.mail.errors import Temporary
from lokole.ports.dns import DnsRecord
from lokole.server.ports import ServerPorts
from lokole.server.settings import ServerSettings

#: where SendGrid takes in mail for its customers
SENDGRID_HOST = "mx.sendgrid.net"

State = Literal["right", "missing", "different", "unknown"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One record that is needed; ``found`` are the zone lines of what is there instead."""

    wanted: DnsRecord
    state: State
    found: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.wanted.name,
            "type": self.wanted.type,
            "content": self.wanted.content,
            "priority": self.wanted.priority,
            "line": self.wanted.zone_line,
            "state": self.state,
            "found": list(self.found),
        }


def mail_hosts(settings: ServerSettings) -> tuple[str, ...]:
    """The hosts that take in mail for every domain, none when nobody outside can know this server."""
    if settings.mail_hosts:
        return settings.mail_hosts
    if urlsplit(settings.intake).scheme == "sendgrid":
        return (SENDGRID_HOST,)
    return () if settings.host_name == "localhost" else (settings.host_name,)


def wanted_records(ports: ServerPorts, domain: str) -> list[DnsRecord]:
    """All that ``domain`` needs."""
    settings = ports.settings
    hosts = mail_hosts(settings)
    found = [DnsRecord(domain, "MX", host.rstrip(".").lower(), 10 * n) for n, host in enumerate(hosts, 1)]
    if settings.spf is not None:
        found.append(DnsRecord(domain, "TXT", settings.spf))
    if settings.dmarc is not None:
        found.append(DnsRecord(f"_dmarc.{domain}", "TXT", settings.dmarc))
    if settings.signs:
        # only a server that signs needs the library, which takes 8 MB
        from lokole.server.dkim_keys import dkim_records

        found += dkim_records(ports.database, settings, domain)
    return found


def check_records(ports: ServerPorts, domain: str) -> list[Checked]:
    """Each record that ``domain`` needs, as the world's DNS has it now; takes some seconds when it does not answer."""
    wanted = wanted_records(ports, domain)
    hosts = {record.content for record in wanted if record.type == "MX"}
    return [_check(ports, record, hosts) for record in wanted]


def _check(ports: ServerPorts, wanted: DnsRecord, hosts: set[str]) -> Checked:
    try:
        found = ports.resolver.look_up(wanted.name, wanted.type)
    except Temporary:
        return Checked(wanted, "unknown")
    if wanted.type == "MX":
        others = [one for one in found if one.content not in hosts]
        if all(one.content != wanted.content for one in found):
            return Checked(wanted, "different" if others else "missing", _lines(others))
        # a host of somebody else beside ours gets some of the letters
        return Checked(wanted, "different" if others else "right", _lines(others))
    alike = [one for one in found if _tag(one.content) == _tag(wanted.content)]
    if not alike:
        return Checked(wanted, "missing")
    # two policies count as none (RFC 7208 section 3.2, RFC 7489 section 6.6.3)
    if len(alike) > 1 or _plain(alike[0].content) != _plain(wanted.content):
        return Checked(wanted, "different", _lines(alike))
    return Checked(wanted, "right")


def _lines(records: list[DnsRecord]) -> tuple[str, ...]:
    return tuple(record.zone_line for record in records)


def _tag(text: str) -> str:
    """What kind of text it is: its first word, such as ``v=spf1``."""
    return text.replace(";", " ").partition(" ")[0].lower()


def _plain(text: str) -> str:
    """A text without what means nothing in it: blanks around the ends and in rows, a last semicolon."""
    return " ".join(text.replace(";", " ; ").split()).removesuffix(" ;")


__all__ = ["Checked", "check_records", "mail_hosts", "wanted_records"]
