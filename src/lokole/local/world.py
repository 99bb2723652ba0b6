"""The outside world of ``lokole local``: a mail server that keeps what arrives, and answers when a person asks it to.

What arrived lies in a folder, ``N.eml`` beside ``N.json`` (envelope and time), so that it is there on the next start.
The name of a recipient may provoke what the real world does:
``temporary-failure…`` is told to come later, twice, then taken; ``permanent-failure…`` is refused; ``timeout…`` is never answered.
It knows no other domains than the ones it is written to, and nothing leaves this machine.
"""

from __future__ import annotations

import json
import smtplib
import threading
from dataclasses import dataclass
from datetime import datetime
from email.utils import make_msgid
from pathlib import Path

from lokole.adapters.intake.smtp import OK, Peer, Reply, SmtpIntake
from lokole.mail.errors import Refused, Temporary
from lokole.mail.html import html_to_text, text_to_html
from lokole.mail.mime import build_mime, parse_email
from lokole.mail.model import Address, Attachment, Contact, Email
from lokole.ports.callables import Clock

#: how often a recipient ``temporary-failure…`` is put off before it takes a letter
PUT_OFF = 2
#: how long a recipient ``timeout…`` keeps the line open without a word; longer than the sender waits
SILENCE_SECONDS = 20.0
MAX_BYTES = 40 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Arrived:
    """A letter as the outside world got it."""

    no: int
    at: datetime
    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    def email(self) -> Email:
        """The letter, parsed."""
        return parse_email(self.raw).email

    def text(self) -> str:
        """Its text without markup."""
        return html_to_text(self.email().body)


class World:
    """The letters in ``folder`` and the listener for new ones; answers go to ``smtp_port`` of this machine."""

    def __init__(self, folder: Path, *, clock: Clock, smtp_port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._smtp_port = smtp_port
        self._lock = threading.Lock()
        self._put_off: dict[str, int] = {}
        self._over = threading.Event()
        self._last = max((int(path.stem) for path in folder.glob("*.eml") if path.stem.isdecimal()), default=0)
        self._intake = SmtpIntake(
            host="127.0.0.1",
            port=0,
            host_name="world.lokole.test",
            max_bytes=MAX_BYTES,
            decide=self._decide,
            accept=self._accept,
            threads=16,
        )

    @property
    def smtp_port(self) -> int:
        """Where it takes letters, once started."""
        return self._intake.port

    def start(self) -> None:
        self._intake.start()

    def stop(self) -> None:
        self._over.set()
        self._intake.stop()

    def letters(self) -> list[Arrived]:
        """All that arrived, newest first."""
        numbers = sorted(
            (int(path.stem) for path in self._folder.glob("*.json") if path.stem.isdecimal()), reverse=True
        )
        return [letter for no in numbers if (letter := self.letter(no)) is not None]

    def letter(self, no: int) -> Arrived | None:
        """The letter numbered ``no``, or None."""
        try:
            envelope = json.loads((self._folder / f"{no}.json").read_text("utf-8"))
            raw = (self._folder / f"{no}.eml").read_bytes()
        except FileNotFoundError:
            return None
        return Arrived(no, datetime.fromisoformat(envelope["at"]), envelope["from"], tuple(envelope["to"]), raw)

    def write(
        self,
        *,
        sender: str,
        to: str,
        subject: str,
        text: str,
        attachments: tuple[Attachment, ...] = (),
        in_reply_to: str = "",
    ) -> None:
        """Somebody out there writes to the people of the box, by SMTP as anybody would.

        Raises Refused (an address is wrong, or nobody has it) and Temporary (the server asks to come later).
        """
        writer, *recipients = [
            Address.parse(part) for part in (sender, *to.replace(";", ",").split(",")) if part.strip()
        ]
        if not recipients:
            raise Refused("a letter needs somebody to go to", code="no-recipient", field="to")
        email = Email(
            sender=Contact(str(writer)),
            to=tuple(Contact(str(recipient)) for recipient in recipients),
            subject=subject,
            body=text_to_html(text),
            attachments=attachments,
            in_reply_to=in_reply_to,
            references=(in_reply_to,) if in_reply_to else (),
        )
        message = build_mime(email, message_id=make_msgid(domain=writer.domain), date=self._clock())
        self.send_raw(message, sender=str(writer), recipients=[str(recipient) for recipient in recipients])

    def send_raw(self, message: bytes, *, sender: str, recipients: list[str]) -> None:
        """Hand ``message`` to the server by SMTP; raises as :meth:`write` does."""
        try:
            with smtplib.SMTP("127.0.0.1", self._smtp_port, local_hostname="world.lokole.test", timeout=30) as line:
                line.sendmail(sender, recipients, message)
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = next(iter(error.recipients.values()))
            raise _answered(code, answer) from error
        except smtplib.SMTPResponseException as error:
            raise _answered(error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Temporary("the server does not answer") from error

    def _decide(self, _peer: Peer, _sender: str, recipient: str) -> Reply:
        name = recipient.lower()
        if name.startswith("permanent-failure"):
            return Reply(550, "5.1.1", "nobody here has this name")
        if name.startswith("timeout"):
            self._over.wait(SILENCE_SECONDS)
            return Reply(421, "4.4.2", "nobody answered")
        if name.startswith("temporary-failure"):
            with self._lock:
                tries = self._put_off[name] = self._put_off.get(name, 0) + 1
                if tries <= PUT_OFF:
                    return Reply(451, "4.3.0", "come again later")
                del self._put_off[name]
        return OK

    def _accept(self, _peer: Peer, sender: str, recipients: tuple[str, ...], raw: bytes) -> Reply:
        with self._lock:
            self._last += 1
            no = self._last
        (self._folder / f"{no}.eml").write_bytes(raw)
        envelope = {"at": self._clock().isoformat(), "from": sender, "to": list(recipients)}
        beside = self._folder / f"{no}.json.new"
        beside.write_text(json.dumps(envelope), "utf-8")
        beside.rename(self._folder / f"{no}.json")  # listed only from here on
        return OK


def _answered(code: int, answer: bytes | str) -> Refused | Temporary:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    said = f"the server said {code} {' '.join(text.split())}"
    return Temporary(said) if 400 <= code < 500 else Refused(said, code="smtp")
