"""Which mail servers take letters for a domain: MX records (RFC 5321 section 5.1), the domain's own address without any, null MX (RFC 7505)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Protocol

import dns.exception
import dns.resolver

from lokole.mail.errors import Permanent, Temporary

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+", re.IGNORECASE)


class Names(Protocol):
    """Asks DNS; both raise Temporary when it does not answer."""

    def mx(self, domain: str) -> list[tuple[int, str]] | None:
        """Preference and host of each MX record, empty without any; None when the domain does not exist."""

    def addresses(self, host: str) -> list[str]:
        """The IPv4 and IPv6 addresses of a host, empty when it has none."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One address of one mail server."""

    host: str
    address: str


def find_hops(names: Names, domain: str, *, own_name: str, allow_private: bool) -> list[Hop]:
    """Where a letter for ``domain`` may be taken, best first; at least one.

    Raises Permanent when there is no such domain, it takes no mail, or every address leads into a private network or back to us.
    """
    records = names.mx(domain)
    if records is None:
        raise Permanent("there is no such domain", reason="5.1.2 there is no such domain")
    if any(host in ("", ".") for _, host in records):  # RFC 7505 section 3
        raise Permanent("this domain takes no mail", reason="5.1.10 this domain takes no mail")
    hosts = [host for _, host in sorted(records)] or [domain]
    if own_name in hosts:
        # what stands behind us in the list would bring the letter back (RFC 5321 section 5.1)
        hosts = hosts[: hosts.index(own_name)]
        if not hosts:
            raise Permanent(
                "the mail of this domain comes back here", reason="5.4.6 the mail of this domain goes in circles"
            )
    found = [Hop(host, address) for host in hosts if _HOST.fullmatch(host) for address in names.addresses(host)]
    if not found:
        raise Permanent("no mail server of this domain has an address", reason="5.4.4 its mail servers cannot be found")
    allowed = [hop for hop in found if allow_private or is_public(hop.address)]
    if not allowed:
        raise Permanent(
            "its mail servers are in a private network", reason="5.4.4 its mail servers cannot be reached from here"
        )
    return allowed


def is_public(text: str) -> bool:
    """Whether an address is of the internet: not loopback, private, link-local, multicast or one of these inside of IPv6."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):  # NAT64 (RFC 6052)
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast


class DnsNames:
    """The system's resolver, or the one at ``nameserver`` and ``port``; ``lifetime`` in seconds is for one question."""

    def __init__(self, nameserver: str | None = None, port: int = 53, *, lifetime: float = 15.0) -> None:
        self._resolver = dns.resolver.Resolver(configure=nameserver is None)
        if nameserver is not None:
            self._resolver.nameservers = [nameserver]
            self._resolver.port = port
        self._resolver.lifetime = lifetime

    def mx(self, domain: str) -> list[tuple[int, str]] | None:
        """See :class:`Names`."""
        try:
            answer = self._resolver.resolve(f"{domain}.", "MX")
        except dns.resolver.NXDOMAIN:
            return None
        except dns.resolver.NoAnswer:
            return []
        except dns.exception.DNSException as error:
            raise Temporary(f"DNS does not answer: {type(error).__name__}") from error
        return [(one.preference, one.exchange.to_text(omit_final_dot=True).lower()) for one in answer]

    def addresses(self, host: str) -> list[str]:
        """See :class:`Names`."""
        found: list[str] = []
        trouble: dns.exception.DNSException | None = None
        for kind in ("A", "AAAA"):
            try:
                found += [one.address for one in self._resolver.resolve(f"{host}.", kind)]
            except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
                continue
            except dns.exception.DNSException as error:
                trouble = error
        if trouble is not None and not found:
            raise Temporary(f"DNS does not answer: {type(trouble).__name__}") from trouble
        return found
