"""Mail records kept in memory: for tests, and for servers whose records somebody sets by hand."""

from __future__ import annotations


class MemoryDns:
    """Remembers which domains point here, and tells nobody."""

    def __init__(self) -> None:
        self.domains: set[str] = set()

    def set_mx(self, domain: str) -> None:
        """Remember ``domain``."""
        self.domains.add(domain)

    def remove_mx(self, domain: str) -> None:
        """Forget ``domain``."""
        self.domains.discard(domain)
