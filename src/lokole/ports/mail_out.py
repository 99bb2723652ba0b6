"""Handing a message to the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lokole.mail.errors import Permanent

#: What a provider that keeps no envelope sender calls it in its events, so that they are matched as a notification is.
ENVELOPE_ARGUMENT = "lokole_envelope"


class MailOut(Protocol):
    """One message to one envelope recipient, so that each has a delivery state of its own."""

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Hand over ``message`` (MIME, CRLF line ends) for ``recipient`` with envelope sender ``sender`` ("" is the null sender).

        Returns when the next server has taken responsibility.
        Raises :class:`~lokole.mail.errors.Temporary` (try later) or :class:`~lokole.mail.errors.Permanent` (never, with the reason).
        """


@dataclass(frozen=True, slots=True)
class Recipient:
    """An envelope recipient and how the writer addressed them: ``to``, ``cc`` or ``bcc``."""

    address: str
    role: str


class RefusedRecipients(Permanent):
    """The message was not taken because of ``addresses``, and nobody has got it; without them it may be tried again."""

    def __init__(self, message: str, *, addresses: Sequence[str], reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.addresses = tuple(addresses)


@runtime_checkable
class LiftingMailOut(MailOut, Protocol):
    """A way out that keeps a list of its own of addresses that it brings nothing to."""

    def lift(self, address: str, cause: str) -> None:
        """Bring letters to ``address`` again that was held back because of ``cause`` (``bounce``, ``complaint``, ``unsubscribed``).

        May be repeated; an address that is on no list is no error. Raises Temporary and Permanent.
        """


@runtime_checkable
class TogetherMailOut(MailOut, Protocol):
    """A way out that writes To and Cc from the envelope: people see each other only when they are handed over in one call."""

    #: the most recipients of one call
    most_together: int

    def send_together(self, *, sender: str, recipients: Sequence[Recipient], message: bytes) -> None:
        """Hand over ``message`` for all of ``recipients`` or for none; raises as ``send`` does, and :class:`RefusedRecipients`.

        ``sender`` names the letter: reports about any of the recipients come back under it.
        """
