"""Letters out directly to the mail servers of their recipients' domains, without a relay.

One connection at a time to a domain, and a pace between two letters to it: who comes in a crowd is taken for a sender of unwanted mail.
TLS is used when it is offered, without asking who it is (RFC 7435): a certificate that nobody checks is better than none.
Nothing goes to a private address, whatever DNS says (P20). Pace and connections are those of one process.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from lokole.adapters.mail_out.mx_lookup import DnsNames, Hop, Names, find_hops
from lokole.adapters.mail_out.smtp import hand_over, leave
from lokole.mail.errors import Permanent, Refused, Temporary
from lokole.mail.model import Address

_PORT = 25
#: when it is only looked whether letters can leave: mail servers, and seconds for each step; a closed port answers nothing
_MOST_TRIED, _TRIED_SECONDS = 2, 10.0
#: seconds that a letter waits for the one before it to the same domain, before it lets others of the queue go first
_PATIENCE = 5.0


class _To(smtplib.SMTP):
    """A connection to the address that was checked; the name of the host is for TLS only."""

    def __init__(self, hop: Hop, port: int, host_name: str, timeout: float) -> None:
        self._hop = hop
        super().__init__(hop.host, port, local_hostname=host_name, timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # smtplib's own would ask DNS again, and could be told another address
        return socket.create_connection((self._hop.address, port), timeout)


class MxMailOut:
    """``pace`` is the seconds between two letters to one domain, ``timeout`` in seconds counts for every step of the dialogue.

    ``tried`` is a domain whose mail server may be asked whether it can be reached, without a letter.
    """

    def __init__(
        self,
        names: Names,
        *,
        host_name: str,
        port: int = _PORT,
        pace: float = 0.0,
        allow_private: bool = False,
        timeout: float = 60.0,
        tried: str | None = None,
        seconds: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._names = names
        self._host_name = host_name
        self._port = port
        self._pace = pace
        self._allow_private = allow_private
        self._timeout = timeout
        self._tried = tried
        self._seconds = seconds
        self._sleep = sleep
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Lock] = {}
        self._next: dict[str, float] = {}

    @classmethod
    def from_url(
        cls, url: str, *, host_name: str, pace: float, allow_private: bool, tried: str | None = None
    ) -> MxMailOut:
        """Read ``mx:``, or ``mx://NAMESERVER:PORT`` (an address) with ``?smtp=PORT`` for tests; raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme != "mx":
            raise ValueError("“mx:” is needed to send letters without a relay")
        names = DnsNames(parts.hostname, parts.port or 53) if parts.hostname else DnsNames()
        port = parse_qs(parts.query).get("smtp", [str(_PORT)])[0]
        if not port.isdigit():
            raise ValueError("smtp= in LOKOLE_MAIL_OUT must be a port")
        return cls(names, host_name=host_name, port=int(port), pace=pace, allow_private=allow_private, tried=tried)

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Hand over to the first mail server that can be reached, see ``ports.mail_out``."""
        try:
            domain = Address.parse(recipient).domain
        except Refused as error:
            raise Permanent("this is not an address", reason="address") from error
        with self._turn_at(domain):
            hops = find_hops(self._names, domain, own_name=self._host_name, allow_private=self._allow_private)
            connection = self._first_that_answers(hops)
            try:
                hand_over(connection, sender, recipient, message)
            finally:
                leave(connection)

    def check(self) -> str:
        """As ``Checkable`` says: whether port 25 of others can be reached from here, which many providers forbid; no letter is begun."""
        if self._tried is None:
            return "letters go directly; not tried, for LOKOLE_ALARM_TO names nobody whose mail server may be asked"
        hops = find_hops(self._names, self._tried, own_name=self._host_name, allow_private=self._allow_private)
        trouble: Exception | None = None
        for hop in hops[:_MOST_TRIED]:
            try:
                leave(self._greet(hop, min(self._timeout, _TRIED_SECONDS)))
            except (OSError, smtplib.SMTPException) as error:
                trouble = error
            else:
                return f"the mail server of {self._tried} is reached at port {self._port}"
        said = f"no mail server of {self._tried} is reached at port {self._port} ({type(trouble).__name__})"
        raise Temporary(f"{said}; many providers close it until they are asked") from trouble

    @contextmanager
    def _turn_at(self, domain: str) -> Iterator[None]:
        """Wait for a turn of this domain; raises Temporary when it does not come soon."""
        with self._lock:
            busy = self._busy.setdefault(domain, threading.Lock())
        if not busy.acquire(timeout=_PATIENCE):
            raise Temporary("another letter is just going to this domain", retry_after=60)
        try:
            wait = self._next.get(domain, 0.0) - self._seconds()
            if wait > _PATIENCE:
                raise Temporary("a letter went to this domain a moment ago", retry_after=wait)
            if wait > 0:
                self._sleep(wait)
            yield
            self._next[domain] = self._seconds() + self._pace
        finally:
            busy.release()

    def _first_that_answers(self, hops: list[Hop]) -> smtplib.SMTP:
        trouble: Exception | None = None
        for hop in hops:
            try:
                return self._connect(hop)
            except (OSError, smtplib.SMTPException) as error:
                trouble = error
        raise Temporary(f"no mail server of this domain answers: {type(trouble).__name__}") from trouble

    def _connect(self, hop: Hop) -> smtplib.SMTP:
        connection = self._greet(hop)
        if not connection.has_extn("starttls"):
            return connection
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            connection.starttls(context=context)
            connection.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException):
            # it offers TLS and cannot speak it: most such servers are reached without
            connection.close()
            return self._greet(hop)
        return connection

    def _greet(self, hop: Hop, timeout: float | None = None) -> smtplib.SMTP:
        connection = _To(hop, self._port, self._host_name, timeout or self._timeout)
        try:
            connection.ehlo_or_helo_if_needed()
        except BaseException:
            connection.close()
            raise
        return connection
