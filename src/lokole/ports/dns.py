"""The mail records of a domain."""

from __future__ import annotations

from typing import Protocol


class Dns(Protocol):
    """Sets and removes the MX record of a domain; both may be repeated without harm."""

    def set_mx(self, domain: str) -> None:
        """Point the mail of ``domain`` at us; raises Temporary or Permanent."""

    def remove_mx(self, domain: str) -> None:
        """Undo it; a domain without a record is no error."""
