"""Switching the mail of a domain on and off at whoever receives it for us."""

from __future__ import annotations

from typing import Protocol


class Intake(Protocol):
    """Starts and stops mail for a domain; both may be repeated without harm."""

    def start(self, domain: str, webhook_secret: str) -> None:
        """Have mail for ``domain`` brought to us, under the path segment ``webhook_secret``; raises Temporary or Permanent."""

    def stop(self, domain: str) -> None:
        """Undo it; an unknown domain is no error."""
