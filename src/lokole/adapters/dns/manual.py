"""Mail records that somebody enters by hand: ``lokole server dns DOMAIN`` prints them, and looks whether they are there."""

from __future__ import annotations

from collections.abc import Sequence

from lokole.ports.dns import DnsRecord


class ManualDns:
    """Makes and removes nothing."""

    def publish(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """Nothing to do."""

    def withdraw(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """Nothing to do."""
