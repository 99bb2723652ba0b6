"""Mail records kept in memory: for tests, and for a server on one machine whose domains nobody outside knows."""

from __future__ import annotations

from collections.abc import Sequence

from lokole.ports.dns import DnsRecord, RecordType


class MemoryDns:
    """Remembers which domains point here, and tells nobody but who looks them up here."""

    def __init__(self) -> None:
        self.domains: dict[str, tuple[DnsRecord, ...]] = {}

    def publish(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """Remember ``domain``."""
        self.domains[domain] = tuple(records)

    def withdraw(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """Forget ``domain``."""
        self.domains.pop(domain, None)

    def look_up(self, name: str, type: RecordType) -> list[DnsRecord]:
        """What was published under that name."""
        return [one for records in self.domains.values() for one in records if (one.name, one.type) == (name, type)]
