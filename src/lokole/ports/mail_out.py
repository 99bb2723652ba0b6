"""Handing a message to the world."""

from __future__ import annotations

from typing import Protocol


class MailOut(Protocol):
    """One message to one envelope recipient, so that each has a delivery state of its own."""

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Hand over ``message`` (MIME, CRLF line ends) for ``recipient`` with envelope sender ``sender`` ("" is the null sender).

        Returns when the next server has taken responsibility.
        Raises :class:`~lokole.mail.errors.Temporary` (try later) or :class:`~lokole.mail.errors.Permanent` (never, with the reason).
        """
