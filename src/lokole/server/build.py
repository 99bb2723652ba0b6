"""Settings into a running server; :mod:`lokole.server.drivers` chooses its adapters."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from lokole.adapters.intake.smtp import KeptCertificate, SmtpIntake
from lokole.adapters.shrink.subprocess import SubprocessShrink
from lokole.adapters.sign_in.github import GitHubSignIn
from lokole.adapters.tell.webhook import WebhookTell
from lokole.mailbox.database import Database
from lokole.mailbox.identity import ensure_identity, get_secret
from lokole.mailbox.migrate import is_current, migrate
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy, Shrink
from lokole.ports.dns import Dns, Resolver
from lokole.ports.fetch import Fetch
from lokole.ports.identity import Identity
from lokole.ports.intake import Intake
from lokole.ports.judge import Judge
from lokole.ports.mail_out import MailOut
from lokole.server import carry, logs, send
from lokole.server.app import make_app
from lokole.server.bell import Doorbell
from lokole.server.counting import Events, EventWriter
from lokole.server.drivers import (
    database_url,
    open_broker,
    open_dns,
    open_exchange_storage,
    open_identity,
    open_intake,
    open_judge,
    open_mail_out,
    open_resolver,
    open_services,
    open_store,
    open_telemetry,
)
from lokole.server.edge import Edge
from lokole.server.memory import share_heaps
from lokole.server.ports import ServerPorts
from lokole.server.ringing import BrokerHand, Ringer
from lokole.server.settings import ServerSettings, split_listen
from lokole.server.worker import Worker
from lokole.sync.bundle import Bundle
from lokole.sync.ids import SERVER_ORIGIN

log = logging.getLogger(__name__)

_SESSION_KEY = "web-session-key"

#: how every web server of this application is run
UVICORN: dict[str, Any] = {
    "lifespan": "on",
    "log_config": None,
    # paths hold secrets and ids; the application writes a line of its own
    "access_log": False,
    "server_header": False,
    # a visit with nothing to say is counted in bytes (protocol 4.15); app.py dates every other answer
    "date_header": False,
}


class Server:
    """A server that is built. ``app`` is the ASGI application, whose lifespan starts and stops everything else."""

    def __init__(
        self,
        ports: ServerPorts,
        *,
        pages: Any = None,
        links: Mapping[str, str] | None = None,
        workers: int | None = None,
    ) -> None:
        settings = ports.settings
        self.ports = ports
        inline = urlsplit(settings.jobs).scheme == "inline"
        idle = inline or settings.has_broker
        self.worker = Worker(ports, threads=0 if idle else settings.workers if workers is None else workers)
        self._ringer = Ringer(ports, open_broker(settings)) if settings.has_broker else None
        if inline:
            ports.bell.work_inline(self._work_off)
        self.smtp = None if settings.smtp_listen == "off" else _smtp_intake(ports)
        self._smtp_runs = False
        self._counting = EventWriter(ports.events, ports.database)
        self.app: ASGIApp = make_app(ports, pages=pages, links=links, on_start=self.start, on_stop=self.stop)

    def start(self) -> None:
        """Begin to work and to take mail in by SMTP; raises OSError when the SMTP port is taken."""
        self.start_workers()
        if self.smtp is not None and not self._smtp_runs:
            self.smtp.start()
            self._smtp_runs = True

    def _work_off(self) -> None:
        self.worker.work_off()

    def start_workers(self) -> None:
        """Begin to work only, or to tell a broker of the work."""
        self.worker.start()
        self._counting.start()
        if self._ringer is not None:
            self._ringer.start()

    def stop(self) -> None:
        """Take nothing new, finish what is at work; may be repeated."""
        if self.smtp is not None and self._smtp_runs:
            self.smtp.stop()
            self._smtp_runs = False
        self.worker.stop()
        self._counting.stop()
        if self._ringer is not None:
            self._ringer.stop()
        if self.ports.telemetry is not None:
            self.ports.telemetry.close()


def build_server(
    settings: ServerSettings,
    *,
    clock: Clock | None = None,
    entropy: Entropy = os.urandom,
    mail_out: MailOut | None = None,
    shrink: Shrink | None = None,
    blobs: BlobStore | None = None,
    dns: Dns | None = None,
    intake: Intake | None = None,
    identity: Identity | None = None,
    resolver: Resolver | None = None,
    fetch: Fetch | None = None,
    judge: Judge | None = None,
    links: Mapping[str, str] | None = None,
    workers: int | None = None,
    web: bool = True,
) -> Server:
    """A server with the adapters that ``settings`` name, or those that are given instead.

    The database is brought up to date first. ``workers`` overrides the setting, ``links`` are named on the start page,
    ``web=False`` leaves the web pages out.
    """
    ports = build_ports(
        settings,
        clock=clock,
        entropy=entropy,
        mail_out=mail_out,
        shrink=shrink,
        blobs=blobs,
        dns=dns,
        intake=intake,
        identity=identity,
        resolver=resolver,
        fetch=fetch,
        judge=judge,
    )
    return Server(ports, pages=_pages(ports) if web else None, links=links, workers=workers)


def build_ports(
    settings: ServerSettings,
    *,
    clock: Clock | None = None,
    entropy: Entropy = os.urandom,
    mail_out: MailOut | None = None,
    shrink: Shrink | None = None,
    blobs: BlobStore | None = None,
    dns: Dns | None = None,
    intake: Intake | None = None,
    identity: Identity | None = None,
    resolver: Resolver | None = None,
    fetch: Fetch | None = None,
    judge: Judge | None = None,
) -> ServerPorts:
    """The ports alone, for workers and tests; see :func:`build_server`."""
    clock = clock or (lambda: datetime.now(UTC))
    database = open_database(settings, entropy)
    dns = dns or open_dns(settings)
    telemetry = open_telemetry(settings, clock, entropy)
    return ServerPorts(
        settings=settings,
        database=database,
        blobs=blobs or open_store(settings.blobs_url, settings.blobs_key),
        clock=clock,
        entropy=entropy,
        shrink=shrink or SubprocessShrink(),
        mail_out=mail_out or open_mail_out(settings, database, clock),
        dns=dns,
        intake=intake or open_intake(settings),
        identity=identity or open_identity(settings),
        resolver=resolver or open_resolver(settings, dns),
        tell=None if settings.alarm_webhook is None else WebhookTell(settings.alarm_webhook),
        judge=judge or open_judge(settings),
        bell=Doorbell(),
        services=open_services(settings, clock, fetch),
        sign_in=None
        if settings.github_client_id is None
        else GitHubSignIn(settings.github_client_id, url=settings.github_sign_in_url),
        exchange=None if settings.exchange is None else open_exchange_storage(settings.exchange, settings.exchange_key),
        events=Events(None if telemetry is None else telemetry.count),
        telemetry=telemetry,
    )


def open_database(settings: ServerSettings, entropy: Entropy = os.urandom) -> Database:
    """The database, brought up to date first."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    url = database_url(settings)
    if not is_current(url):
        migrate(url)
    database = Database(url)
    with database.write() as tx:
        ensure_identity(tx, entropy)
    return database


def serve(settings: ServerSettings) -> None:
    """Run the server in this process until it is told to stop."""
    import uvicorn

    share_heaps()
    logs.set_up()
    server = build_server(settings)
    host, port = split_listen("LOKOLE_LISTEN", settings.listen)
    uvicorn.run(
        server.app,
        host=host,
        port=port,
        **UVICORN,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxy,
        timeout_graceful_shutdown=10,
    )


def run_worker(settings: ServerSettings) -> None:
    """Work only, beside one or several servers, until it is told to stop."""
    share_heaps()
    logs.set_up()
    if settings.has_broker:
        broker = open_broker(settings)
        # before the processes are forked, so that only one brings it up to date; no connection goes along
        open_database(settings).close()
        broker.serve(
            lambda n: BrokerHand(build_ports(settings), open_broker(settings), sweeps=n == 0), max(1, settings.workers)
        )
        return
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    ports = build_ports(settings)
    worker, counting = Worker(ports, threads=max(1, settings.workers)), EventWriter(ports.events, ports.database)
    worker.start()
    counting.start()
    log.info("the worker is ready")
    over.wait()
    worker.stop()
    counting.stop()
    if ports.telemetry is not None:
        ports.telemetry.close()


def _smtp_intake(ports: ServerPorts) -> SmtpIntake:
    settings = ports.settings
    host, port = split_listen("LOKOLE_SMTP_LISTEN", settings.smtp_listen)
    tls = None
    if settings.smtp_tls_certificate is not None and settings.smtp_tls_key is not None:
        tls = KeptCertificate(settings.smtp_tls_certificate, settings.smtp_tls_key)

    edge = Edge(ports)
    return SmtpIntake(
        host=host,
        port=port,
        host_name=settings.host_name,
        max_bytes=settings.max_letter_bytes,
        decide=edge.decide,
        accept=edge.accept,
        door=edge,
        max_recipients=settings.smtp_max_recipients,
        tls=tls,
    )


@dataclass(frozen=True, slots=True)
class _Town:
    """What the page in town asks (``webmail.parts.Town``)."""

    ports: ServerPorts

    def hand_in(self, stream: BinaryIO) -> tuple[str, Bundle]:
        return carry.hand_in(self.ports, stream)


def _pages(ports: ServerPorts) -> Any:
    """The web pages for people in town, one application for all domains."""
    from lokole.webmail.app import ManyTenants, WebmailPorts, WebmailSettings, create_app

    settings = ports.settings
    if settings.session_key is not None:
        key = settings.session_key.encode()
    else:
        with ports.database.write() as tx:
            key = get_secret(tx, _SESSION_KEY, lambda: ports.entropy(32))
    return create_app(
        WebmailPorts(
            database=ports.database,
            blobs=ports.blobs,
            clock=ports.clock,
            entropy=ports.entropy,
            shrink=ports.shrink,
            origin=SERVER_ORIGIN,
            written=lambda tx, tenant, no: send.leave_from_here(ports, tx, tenant, no),
            town=_Town(ports),
        ),
        WebmailSettings(
            session_key=key,
            cookie_name="lokole-server",
            prefix="/web",
            in_town=True,
            secure_cookie=settings.https,
            sign_up=False,
            pictures=settings.pictures(v1=False),
        ),
        ManyTenants(),
    )
