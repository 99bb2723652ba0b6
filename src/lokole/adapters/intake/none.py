"""Nobody has to be told about new domains: mail comes by SMTP, whose listener asks the database for each recipient."""

from __future__ import annotations


class NoIntake:
    """Starts and stops nothing."""

    def start(self, domain: str, webhook_secret: str) -> None:
        """Nothing to do."""

    def stop(self, domain: str) -> None:
        """Nothing to do."""
