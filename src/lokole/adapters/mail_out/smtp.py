"""Letters out by SMTP (RFC 5321) to a relay, with the standard library.

One connection per letter and recipient: a delivery state belongs to one recipient, and a server that drops
the line in the middle of one letter does not touch another.
It does not look up MX records: the relay named in the settings does.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from lokole.mail.errors import Permanent, Temporary

_LINE_END = re.compile(rb"\r\n|\r|\n")
# nothing of what ends an address in a command (RFC 5321 section 4.1.2)
_NOT_IN_A_PATH = re.compile(r"[\x00-\x20\x7f<>]")
# the envelope sender of a letter of a box (protocol 8.3)
_ENVELOPE = re.compile(r"bounce-([a-z2-7]{26})@")
_DEFAULT_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
#: for every step, where somebody waits to hear whether the relay is there
_CHECK_SECONDS = 15.0
#: RFC 4954 section 6; said of us, not of the letter
_SIGN_IN_FIRST = "530 "


@dataclass(frozen=True, slots=True)
class SmtpMailOut:
    """A relay; ``security`` is "none", "starttls" or "tls", ``timeout`` in seconds counts for every step of the dialogue."""

    host: str
    port: int
    security: str = "none"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    host_name: str | None = None
    timeout: float = 60.0

    @classmethod
    def from_url(cls, url: str, *, password: str | None = None, host_name: str | None = None) -> SmtpMailOut:
        """Read ``smtp://HOST:PORT``, ``smtp+starttls://USER@HOST`` or ``smtps://USER@HOST``; raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError(f"“{parts.scheme}:” with a host is needed to send letters by SMTP")
        security = {"smtp": "none", "smtp+starttls": "starttls", "smtps": "tls"}[parts.scheme]
        user = unquote(parts.username) if parts.username else None
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        return cls(parts.hostname, port, security, user, password, host_name)

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Hand over one message, see ``ports.mail_out``; a 4xx answer and everything about the connection is Temporary, a 5xx answer Permanent."""
        if _NOT_IN_A_PATH.search(sender) or _NOT_IN_A_PATH.search(recipient):
            raise Permanent("this is not an address", reason="address")
        try:
            connection = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            wrong = _wrong_with(error)
            told = None if wrong is None else f"Letters wait: {wrong}. See LOKOLE_MAIL_OUT and its password."
            raise Temporary(f"no connection to the relay: {type(error).__name__}", operator=told) from error
        try:
            hand_over(connection, sender, recipient, message)
        except Permanent as error:
            if not error.reason.startswith(_SIGN_IN_FIRST):
                raise
            told = "Letters wait: the relay wants a user and a password (530). See LOKOLE_MAIL_OUT."
            raise Temporary("the relay takes no letter from whom it does not know", operator=told) from error
        finally:
            leave(connection)

    def check(self) -> str:
        """As ``Checkable`` says: the relay is reached, encrypted and entered as for a letter, and left again without one."""
        try:
            connection = replace(self, timeout=min(self.timeout, _CHECK_SECONDS))._connect()
        except (OSError, smtplib.SMTPException) as error:
            wrong = _wrong_with(error)
            if wrong is not None:
                raise Permanent(wrong) from error
            if isinstance(error, smtplib.SMTPAuthenticationError):
                raise Temporary(f"the relay does not let this user in ({error.smtp_code})") from error
            raise Temporary(f"no connection to the relay {self.host}:{self.port}: {type(error).__name__}") from error
        leave(connection)
        return "the relay takes letters from this user" if self.user is not None else "the relay answers"

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context() if self.security != "none" else None
        connection: smtplib.SMTP
        if self.security == "tls":
            connection = smtplib.SMTP_SSL(
                self.host, self.port, local_hostname=self.host_name, timeout=self.timeout, context=context
            )
        else:
            connection = smtplib.SMTP(self.host, self.port, local_hostname=self.host_name, timeout=self.timeout)
        try:
            if self.security == "starttls":
                connection.starttls(context=context)
            connection.ehlo_or_helo_if_needed()
            if self.user is not None:
                connection.login(self.user, self.password or "")
        except BaseException:
            connection.close()
            raise
        return connection


def _wrong_with(error: Exception) -> str | None:
    """What somebody has to mend before the relay takes a letter; None for what may pass by itself."""
    match error:
        case smtplib.SMTPAuthenticationError() if error.smtp_code >= 500:
            return f"the relay does not let this user in ({error.smtp_code})"
        case smtplib.SMTPNotSupportedError():
            return "the relay offers no encryption, or no way to sign in"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return None
        case ssl.SSLError():
            return f"the relay's certificate or encryption is not good ({error.reason})"
    return None


def hand_over(connection: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> None:
    """One letter over a connection that has greeted; raises as ``ports.mail_out`` says. Line ends become CRLF."""
    if _NOT_IN_A_PATH.search(sender) or _NOT_IN_A_PATH.search(recipient):
        raise Permanent("this is not an address", reason="address")
    # A lone CR or LF could be read as the end of the letter by a careless relay: none leaves here.
    message = _LINE_END.sub(b"\r\n", message)
    options = []
    if not (sender.isascii() and recipient.isascii()):
        if not connection.has_extn("smtputf8"):
            raise Permanent(
                "the relay cannot write this address", reason="the other side cannot write this address (SMTPUTF8)"
            )
        options.append("SMTPUTF8")
    if not message.isascii() and connection.has_extn("8bitmime"):
        options.append("BODY=8BITMIME")
    envelope = _ENVELOPE.match(sender)
    if envelope is not None and connection.has_extn("dsn"):
        options.append(f"ENVID={envelope[1]}")  # RFC 3461 section 4.4
    if connection.has_extn("size"):
        options.append(f"SIZE={len(message)}")
    connection.command_encoding = "utf-8" if "SMTPUTF8" in options else "ascii"
    try:
        _check(*connection.mail(sender, options))
        _check(*connection.rcpt(recipient))
        _check(*connection.data(message))
    except smtplib.SMTPDataError as error:  # the answer to DATA itself, before the message
        _check(error.smtp_code, error.smtp_error)
        raise Temporary("the relay did not take the message") from error
    except (OSError, smtplib.SMTPException) as error:
        raise Temporary(f"the dialogue with the relay broke: {type(error).__name__}") from error


def _check(code: int, answer: bytes | str) -> None:
    """Nothing for a 2xx answer; RFC 5321 section 4.2.1 says what the others mean. An answer that is none (-1) is a broken line."""
    if 200 <= code < 300:
        return
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    reason = " ".join(f"{code} {text}".split())[:300]
    if 500 <= code < 600:
        raise Permanent(f"the relay refused it with {code}", reason=reason)
    raise Temporary(f"the relay asked to try later with {code}")


def leave(connection: smtplib.SMTP) -> None:
    """Say good-bye; the letter's fate is decided already, so that nothing of this matters."""
    try:
        connection.quit()
    except (OSError, smtplib.SMTPException):
        connection.close()
