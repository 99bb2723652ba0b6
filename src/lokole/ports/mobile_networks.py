"""Which mobile networks there are, and how a modem gets into the internet by each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lokole.mail.access_point import AccessPoint


class MobileNetworks(Protocol):
    """A list that somebody else keeps; where it is not here, or broken, it is empty. Never raises."""

    def countries(self) -> Sequence[str]:
        """The ISO 3166 codes that the list knows, two small letters each; nothing when there is no list."""

    def networks(self, country: str) -> Sequence[str]:
        """The networks of ``country`` that a modem can use, by name; nothing for an unknown one."""

    def access_points(self, country: str, network: str) -> Sequence[AccessPoint]:
        """Those of ``network`` that lead into the internet, as the list has them; nothing for an unknown one."""
