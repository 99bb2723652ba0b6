"""The world's DNS, asked with dnspython: over the resolver of this machine, or of the settings."""

from __future__ import annotations

import dns.exception
import dns.name
import dns.resolver

from lokole.mail.errors import Temporary
from lokole.ports.dns import DnsRecord, RecordType

#: for one look-up in all
SECONDS = 5.0


class DnsPythonResolver:
    """``address`` is an IP address and a port, such as ``("127.0.0.1", 53)``; None takes the resolvers of this machine."""

    def __init__(self, address: tuple[str, int] | None = None, *, seconds: float = SECONDS) -> None:
        self._address = address
        self._seconds = seconds

    def look_up(self, name: str, type: RecordType) -> list[DnsRecord]:
        """As the port says. A name that cannot exist has no records."""
        try:
            found = self._resolver().resolve(f"{name}.", type, lifetime=self._seconds, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.exception.SyntaxError, dns.exception.FormError):
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise Temporary(f"the DNS did not answer: {error.__class__.__name__}") from error
        if type == "MX":
            return [DnsRecord(name, "MX", _host(one.exchange), one.preference) for one in found]
        return [DnsRecord(name, "TXT", b"".join(one.strings).decode("utf-8", "replace")) for one in found]

    def _resolver(self) -> dns.resolver.Resolver:
        # made anew each time: the machine's resolvers may be others tomorrow
        resolver = dns.resolver.Resolver(configure=self._address is None)
        if self._address is not None:
            resolver.nameservers = [self._address[0]]
            resolver.port = self._address[1]
        resolver.retry_servfail = True
        return resolver


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
