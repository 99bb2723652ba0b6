"""Letters out, kept in memory: the embedded adapter of tests and of servers that must not send."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from lokole.mail.errors import Permanent, Temporary


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as it was handed over."""

    sender: str
    recipient: str
    message: bytes


class RecorderMailOut:
    """Keeps every message; recipients named ``temporary-failure…``, ``timeout…`` or ``permanent-failure…`` provoke just that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: list[Sent] = []

    @property
    def sent(self) -> list[Sent]:
        """What was handed over until now, oldest first."""
        with self._lock:
            return list(self._sent)

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Keep the message, or fail as the recipient's name says."""
        if recipient.startswith(("temporary-failure", "timeout")):
            raise Temporary("the recipient's server asked to try later")
        if recipient.startswith("permanent-failure"):
            raise Permanent("the recipient's server refused it", reason="550 5.1.1 no such person")
        with self._lock:
            self._sent.append(Sent(sender, recipient, message))
