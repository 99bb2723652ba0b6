"""The mail servers of the world: they take letters, refuse some, and now and then nobody hears that they have taken one.

How they fail, ``faults.py`` says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message

from lokole.mail.errors import Permanent, Temporary
from lokole.simulate.faults import Chaos
from lokole.simulate.ledger import Pair, addresses_in, marks_in

DOMAIN = "world.example"
#: the Message-ID of a letter from outside, as ``senders.py`` makes it
_ANSWERED = re.compile(r"<(\d+)\.\d+@")


class MailServers:
    """Implements :class:`lokole.ports.mail_out.MailOut`: all mail servers of the world.

    They refuse names that begin with ``nobody``, and take every other letter unless a fault strikes.
    """

    def __init__(self, chaos: Chaos, tell: Callable[[str], None]) -> None:
        self._chaos = chaos
        self._tell = tell
        #: for each pair how often each Message-ID came
        self.taken: dict[Pair, Counter[str]] = {}
        #: how often of that the server could not know, or not write down, that it was taken
        self.unheard: dict[Pair, Counter[str]] = {}
        #: what senders outside were told: their letter does not reach an address
        self.notices: set[Pair] = set()
        self._open: list[tuple[Pair, str]] = []

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Take the message, or not."""
        whole = message_from_bytes(message)
        if not sender:
            self._tell(f"world: {recipient} reads a notice: {whole['Subject']}")
            for mark in _ANSWERED.findall(str(whole["In-Reply-To"])):
                self.notices |= {(int(mark), address) for address in addresses_in(_text(whole))}
            return
        marks = sorted(marks_in(_text(whole)))
        if recipient.startswith("nobody"):
            self._tell(f"world: {recipient} refuses {marks}")
            raise Permanent("no such person", reason="550 5.1.1 no such person")
        fault = self._chaos.at("send", recipient)
        if fault is not None and fault.kind == "mail-later":
            raise Temporary("the recipient's server asked to try later")
        self._tell(f"world: {recipient} takes {marks}")
        for mark in marks:
            self.taken.setdefault((mark, recipient), Counter())[str(whole["Message-ID"])] += 1
            self._open.append(((mark, recipient), str(whole["Message-ID"])))
        if fault is not None:
            self.not_noted()
            raise Temporary("the reply was lost")

    def noted(self) -> None:
        """The server has written down what it knows."""
        self._open.clear()

    def not_noted(self) -> None:
        """The server cannot know, or could not write down, what was taken last."""
        for pair, message_id in self._open:
            self.unheard.setdefault(pair, Counter())[message_id] += 1
        self._open.clear()


def _text(message: Message) -> str:
    parts = (part.get_payload(decode=True) for part in message.walk() if part.get_content_maintype() == "text")
    return "\n".join(part.decode("utf-8", "replace") for part in parts if isinstance(part, bytes))
