"""Mail from outside by SMTP (RFC 5321): a listener of our own, with aiosmtpd.

It speaks the protocol and nothing else: who is a recipient here and what becomes of a letter
is decided by the two functions it is given, in threads of its own, so that a slow disk does not hold up other senders.
A letter is answered with 250 only after ``accept`` has returned.
It does not relay, and knows no passwords.

Whoever calls too often is turned away by the ``door`` before a word is said; whatever does not end is cut off.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, syntax

from lokole.mail.errors import Permanent, Refused, Temporary

log = logging.getLogger(__name__)

#: The most recipients of one letter; RFC 5321 section 4.5.3.1.8 wants at least 100.
MAX_RECIPIENTS = 100
#: Longer than RFC 5321 section 4.5.3.1.6 asks for, because real letters break that rule.
MAX_LINE_BYTES = 2**20
#: Seconds without a word from the other side, or without :data:`_PROGRESS_BYTES` of a letter.
IDLE_SECONDS = 300
#: How often at most it is looked whether a certificate was renewed.
RENEWED_SECONDS = 60.0
_PROGRESS_BYTES = 64 * 1024

# What one server may take for the end of a letter and another not (SMTP smuggling):
# any bare LF, and a lone dot between bare CRs or behind a NUL.
_SMUGGLED = re.compile(rb"(?<!\r)\n|\r\.\r|(?<=\r\n)\x00+\.\r\n")


@dataclass(frozen=True, slots=True)
class Reply:
    """An SMTP answer: code, enhanced code (RFC 3463) and text."""

    code: int
    enhanced: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


OK = Reply(250, "2.0.0", "taken")
_LATER = Reply(451, "4.3.0", "something is wrong here, try again later")

_TOO_LARGE = Reply(552, "5.3.4", "the letter is larger than is taken here")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is calling: the address that the connection comes from, the name it gave itself, and whether nobody on the way can read along."""

    address: str
    helo: str = ""
    encrypted: bool = False


class Door(Protocol):
    """Who may come in; called in the thread that listens, so it does not wait for anything."""

    def enter(self, address: str) -> Reply | None:
        """A connection from ``address``: None lets it in, an answer turns it away. Each one let in leaves once."""

    def leave(self, address: str) -> None:
        """A connection that was let in is over."""


#: (who calls, envelope sender, envelope recipient) to an answer; a 2xx answer makes it a recipient.
Decide = Callable[[Peer, str, str], Reply]
#: (who calls, envelope sender, recipients, raw message) to an answer; durable when it returns a 2xx answer.
Accept = Callable[[Peer, str, tuple[str, ...], bytes], Reply]


class SmtpIntake:
    """The listener; ``port`` 0 takes a free one, and the attribute says which after :meth:`start`."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        host_name: str,
        max_bytes: int,
        decide: Decide,
        accept: Accept,
        tls: KeptCertificate | None = None,
        threads: int = 8,
        max_recipients: int = MAX_RECIPIENTS,
        door: Door | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._make_protocol = functools.partial(_protocol, host_name, max_bytes, tls, door)
        self._max_recipients = max_recipients
        self._decide = decide
        self._accept = accept
        self._threads = threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; raises OSError when the port is taken."""
        listening: Future[int] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop, listening), name="smtp-in", daemon=True)
        self._thread.start()
        try:
            self.port = listening.result()
        except BaseException:
            self._thread.join()
            self._loop = self._thread = None
            raise

    def _run(self, loop: asyncio.AbstractEventLoop, listening: Future[int]) -> None:
        # all of it in this thread: whoever starts us may have a loop of its own running
        asyncio.set_event_loop(loop)
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="smtp-in")
        try:
            make = functools.partial(
                self._make_protocol, _Handler(self._decide, self._accept, self._max_recipients, pool), loop
            )
            try:
                server = loop.run_until_complete(loop.create_server(make, self.host, self.port))
            except BaseException as error:
                listening.set_exception(error)
                return
            listening.set_result(server.sockets[0].getsockname()[1])
            loop.run_forever()
            server.close()
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        finally:
            pool.shutdown()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def stop(self) -> None:
        """Listen no more; a letter that is just being stored is finished first."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=30)
            self._loop = self._thread = None


class _Protocol(SMTP):
    line_length_limit = MAX_LINE_BYTES
    door: Door | None = None
    max_bytes = 0
    _inside: str | None = None
    #: of the letter that is being said, None between letters
    _came: int | None = None
    _renewed = 0

    async def _handle_client(self) -> None:
        address = _address(self.session)
        refusal = None if self.door is None else self.door.enter(address)
        if refusal is None:
            self._inside = address
            await super()._handle_client()
        elif self.transport is not None:
            await self.push(str(refusal))
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._inside is not None and self.door is not None:
            self.door.leave(self._inside)
        self._inside = None
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """A letter has as long as it goes on; one that has no end is cut off, for its sender may never say that it ended."""
        if self._came is not None:
            self._came += len(data)
            if self._came > 2 * self.max_bytes and self.transport is not None:
                self._came = None
                self._writer.write(f"{_TOO_LARGE}\r\n".encode())
                self.transport.close()
                return
            if self._came - self._renewed >= _PROGRESS_BYTES:
                self._renewed = self._came
                self._reset_timeout()
        super().data_received(data)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  # aiosmtpd's name
        self._came = self._renewed = 0
        try:
            await super().smtp_DATA(arg)
        finally:
            self._came = None


def _address(session: Any) -> str:
    """Where a connection comes from; nothing for what has no address."""
    peer = session.peer
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


def _protocol(
    host_name: str,
    max_bytes: int,
    tls: KeptCertificate | None,
    door: Door | None,
    handler: _Handler,
    loop: asyncio.AbstractEventLoop,
) -> Any:
    # its log lines at lower levels hold addresses and whole letters
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    protocol = _Protocol(
        handler,
        data_size_limit=max_bytes,
        enable_SMTPUTF8=True,
        hostname=host_name,
        ident="Lokole",
        tls_context=None if tls is None else tls.context(),
        timeout=IDLE_SECONDS,
        auth_exclude_mechanism=["LOGIN", "PLAIN"],
        loop=loop,
    )
    protocol.door = door
    protocol.max_bytes = max_bytes
    return protocol


class _Handler:
    """aiosmtpd's hooks; their names are its own."""

    def __init__(self, decide: Decide, accept: Accept, max_recipients: int, pool: ThreadPoolExecutor) -> None:
        self._decide = decide
        self._accept = accept
        self._max_recipients = max_recipients
        self._pool = pool

    async def handle_EHLO(  # noqa: N802
        self, _server: Any, session: Any, _envelope: Any, host_name: str, responses: list[str]
    ) -> list[str]:
        session.host_name = host_name
        return [line for line in responses if not line.startswith("250-AUTH")]

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= self._max_recipients:
            return str(Reply(452, "4.5.3", "too many recipients, send the rest in another letter"))
        reply = await self._in_thread(self._decide, _peer(session), _sender(envelope), address)
        if 200 <= reply.code < 300:
            envelope.rcpt_tos.append(address)
        return str(reply)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        raw: bytes = envelope.content
        if _SMUGGLED.search(raw):
            return str(Reply(554, "5.6.0", "lines must end with CR LF, and only with it"))
        to = tuple(envelope.rcpt_tos)
        return str(await self._in_thread(self._accept, _peer(session), _sender(envelope), to, raw))

    async def handle_exception(self, error: Exception) -> str:
        log.error("smtp intake: %s", type(error).__name__)
        return str(_LATER)

    async def _in_thread(self, call: Callable[..., Reply], *args: Any) -> Reply:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, call, *args)
        except Temporary:
            return _LATER
        except (Refused, Permanent):
            return Reply(554, "5.7.1", "refused")
        except Exception as error:
            # a fault of ours: the sender keeps the letter and comes back
            log.exception("smtp intake: %s", type(error).__name__, exc_info=None)
            return _LATER


def _peer(session: Any) -> Peer:
    return Peer(_address(session), str(session.host_name or ""), session.ssl is not None)


def _sender(envelope: Any) -> str:
    """The envelope sender; the null sender (RFC 5321 section 4.5.5) is the empty text here and ``<>`` at aiosmtpd."""
    return "" if envelope.mail_from in (None, "<>") else str(envelope.mail_from)


class KeptCertificate:
    """What STARTTLS is offered with: a chain and its key (PEM), read again when one of the files has become another one.

    Whoever renews a certificate, mostly a timer at night, then needs to tell nobody. Raises OSError when they cannot be read at first.
    """

    def __init__(self, chain: Path, key: Path, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._chain, self._key, self._seconds = chain, key, seconds
        self._looked = seconds()
        self._stamp = self._look()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """For the next connection; called in the thread that listens, so the files are looked at once a minute at most."""
        if self._seconds() - self._looked >= RENEWED_SECONDS:
            self._looked = self._seconds()
            try:
                stamp = self._look()
                if stamp != self._stamp:
                    # a context of its own: chain and key are written one after the other, and halves must not be served
                    self._context, self._stamp = self._load(), stamp
                    log.info("smtp intake: the certificate was read again")
            except (OSError, ValueError) as error:  # SSLError is one
                log.warning("smtp intake: the certificate cannot be read again: %s", type(error).__name__)
        return self._context

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        # a link that leads elsewhere now, as certbot's, is another file
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in (self._chain.stat(), self._key.stat()))

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._chain, self._key)
        return context


__all__ = ["OK", "RENEWED_SECONDS", "Accept", "Decide", "Door", "KeptCertificate", "Peer", "Reply", "SmtpIntake"]
