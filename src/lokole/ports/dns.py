"""The mail records of a domain: setting them, and looking whether they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

RecordType = Literal["MX", "TXT"]


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record: ``name`` whole, in lower case and without a last dot; ``content`` a host name (MX) or the text (TXT); ``priority`` of an MX."""

    name: str
    type: RecordType
    content: str
    priority: int | None = None

    @property
    def zone_line(self) -> str:
        """As a zone file has it (RFC 1035 section 5.1), which is what pages of providers ask for too."""
        if self.type == "MX":
            return f"{self.name}. 3600 IN MX {self.priority or 0} {self.content}."
        return f"{self.name}. 3600 IN TXT {quoted_text(self.content)}"


class Dns(Protocol):
    """Makes and removes the records of a domain; both may be repeated without harm."""

    def publish(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """Have ``records`` there; raises Temporary, or Permanent when somebody else's records are in the way, which are left alone."""

    def withdraw(self, domain: str, records: Sequence[DnsRecord]) -> None:
        """Undo it: ``records``, and whatever else :meth:`publish` ever made for ``domain``; what is not there is no error."""


class Resolver(Protocol):
    """Asks the world's DNS."""

    def look_up(self, name: str, type: RecordType) -> list[DnsRecord]:
        """The records of that name and type, none when there are none or no such name; raises Temporary when nobody could say."""


def quoted_text(text: str) -> str:
    """A text as strings of at most 255 bytes in quotation marks (RFC 1035 section 3.3.14)."""
    raw = text.encode("ascii", "backslashreplace")
    pieces = [raw[at : at + 255].decode() for at in range(0, len(raw), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
