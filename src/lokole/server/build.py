"""Settings into a running server: the only file of the server that chooses adapters."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy.engine import make_url
from starlette.types import ASGIApp

from lokole import __version__
from lokole.adapters.archive.open import open_archive
from lokole.adapters.blobs.folder import FolderBlobStore
from lokole.adapters.blobs.open import open_blobs
from lokole.adapters.broker.celery import Address, CeleryBroker
from lokole.adapters.dns.cloudflare import CloudflareDns
from lokole.adapters.dns.manual import ManualDns
from lokole.adapters.dns.memory import MemoryDns
from lokole.adapters.fetch.http import HttpFetch
from lokole.adapters.identity.github import GitHubIdentity
from lokole.adapters.identity.static import StaticIdentity
from lokole.adapters.intake.none import NoIntake
from lokole.adapters.intake.sendgrid import SendGridIntake
from lokole.adapters.intake.smtp import SmtpIntake, tls_context
from lokole.adapters.judge.results import ResultsJudge
from lokole.adapters.judge.rspamd import RspamdJudge
from lokole.adapters.mail_out.recorder import RecorderMailOut
from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.adapters.mail_out.smtp import SmtpMailOut
from lokole.adapters.resolver.dnspython import DnsPythonResolver
from lokole.adapters.service.known import find_service
from lokole.adapters.shrink.subprocess import SubprocessShrink
from lokole.adapters.sign_in.github import GitHubSignIn
from lokole.adapters.tell.webhook import WebhookTell
from lokole.config import BadSettings
from lokole.mail.errors import NotFound
from lokole.mail.model import normal_domain
from lokole.mailbox import jobs, tenants
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
from lokole.ports.service import Service, Surroundings
from lokole.ports.telemetry import Telemetry
from lokole.server import carry, logs, send
from lokole.server.app import make_app
from lokole.server.bell import Doorbell
from lokole.server.counting import Events, EventWriter
from lokole.server.doctor import Finding, data_finding, examine
from lokole.server.edge import Edge
from lokole.server.keys import server_seed
from lokole.server.memory import share_heaps
from lokole.server.move.domains import Source
from lokole.server.move.report import Report
from lokole.server.move.run import import_first
from lokole.server.ports import ExchangeStorage, ServerPorts
from lokole.server.records import Checked, check_records
from lokole.server.ringing import BrokerHand, Ringer
from lokole.server.settings import FirstStoreKeys, ServerSettings, split_listen
from lokole.server.worker import Worker
from lokole.sync.bundle import Bundle
from lokole.sync.ids import SERVER_ORIGIN
from lokole.sync.signing import encode_key

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
    dns = dns or _dns(settings)
    telemetry = open_telemetry(settings, clock, entropy)
    return ServerPorts(
        settings=settings,
        database=database,
        blobs=blobs or open_blobs(settings.blobs_url, _store_secrets(settings.blobs_url, settings.blobs_key)),
        clock=clock,
        entropy=entropy,
        shrink=shrink or SubprocessShrink(),
        mail_out=mail_out or _mail_out(settings, database, clock),
        dns=dns,
        intake=intake or _intake(settings),
        identity=identity or _identity(settings),
        resolver=resolver or _resolver(settings, dns),
        tell=None if settings.alarm_webhook is None else WebhookTell(settings.alarm_webhook),
        judge=judge or _judge(settings),
        bell=Doorbell(),
        services=_services(settings, clock, fetch),
        sign_in=None
        if settings.github_client_id is None
        else GitHubSignIn(settings.github_client_id, url=settings.github_sign_in_url),
        exchange=None if settings.exchange is None else _exchange_storage(settings.exchange, settings.exchange_key),
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


def open_broker(settings: ServerSettings) -> CeleryBroker:
    """The broker that LOKOLE_JOBS names; raises BadSettings when it is not named well, or Celery is not installed."""
    needed = "celery" if urlsplit(settings.jobs).scheme.startswith("amqp") else "azure.servicebus"
    try:
        if importlib.util.find_spec(needed) is None:
            raise ImportError(name=needed)
        return CeleryBroker(Address.read(settings.jobs, settings.jobs_password))
    except ImportError as error:
        extra = "celery" if needed == "celery" else "servicebus"
        raise BadSettings([f"LOKOLE_JOBS needs what requirements/{extra}.lock brings (lokole[{extra}])."]) from error
    except ValueError as error:
        raise BadSettings([f"LOKOLE_JOBS cannot be read: {error}."]) from error


def open_telemetry(settings: ServerSettings, clock: Clock, entropy: Entropy) -> Telemetry | None:
    """What the settings ask to be told; raises BadSettings when they are wrong, or the libraries are not there."""
    if settings.otlp_endpoint is None and settings.application_insights is None:
        return None
    names = "LOKOLE_OTLP_ENDPOINT and LOKOLE_APPLICATION_INSIGHTS"
    try:
        from lokole.adapters.telemetry.otel import OpenTelemetry

        return OpenTelemetry.to(
            collector=settings.otlp_endpoint,
            headers=settings.otlp_headers,
            application_insights=settings.application_insights,
            version=__version__,
            instance=entropy(8).hex(),
            clock=clock,
        )
    except ImportError as error:
        raise BadSettings([f"{names} need what requirements/telemetry.lock brings (lokole[telemetry])."]) from error
    except ValueError as error:
        raise BadSettings([f"{names} cannot be used: {error}."]) from error


def key_lines(settings: ServerSettings, domain: str | None) -> list[str]:
    """What opens packages for this server, as `lokole package read --key` takes it: its secret, and the public key of the box of ``domain``.

    Raises NotFound when no box has claimed ``domain``.
    """
    ports = build_ports(settings)
    lines = [encode_key(server_seed(ports))]
    if domain is not None:
        with ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain=domain)
            known = None if row is None else tenants.find_credential(tx, row.device_id)
        if known is None:
            raise NotFound("no box has claimed this domain")
        lines.append(encode_key(known.public_key))
    ports.database.close()
    return lines


def checked_records(settings: ServerSettings, domain: str) -> list[Checked]:
    """The DNS records that ``domain`` needs, registered or not yet, and what the world's DNS says of each; raises Refused for what is no domain."""
    ports = build_ports(settings)
    try:
        with ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain=domain)
        return check_records(ports, normal_domain(domain) if row is None else row.domain)
    finally:
        ports.database.close()


def examine_server(settings: ServerSettings) -> Iterator[Finding]:
    """What is wrong with the server of these settings; brings no database up to date."""
    missing = data_finding(settings)
    if missing is not None:
        yield missing
        return
    try:
        current = is_current(database_url(settings))
    except Exception as error:
        yield Finding("database", "bad", f"it cannot be opened ({type(error).__name__})", "look at LOKOLE_DATABASE")
        return
    if not current:
        yield Finding("database", "bad", "it is not at the step of this version", "lokole migrate server")
        return
    yield Finding("database", "good", "it is at the step of this version")
    ports = build_ports(settings)
    try:
        yield from examine(ports)
    finally:
        ports.database.close()


def move_from_first(
    settings: ServerSettings,
    keys: FirstStoreKeys,
    *,
    blobs: str,
    tables: str,
    clients: str,
    only: Iterable[str] = (),
    dry: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Take in what a first Lokole's server has; ``blobs``, ``tables`` and ``clients`` name its storage. See :func:`import_first`."""
    source = Source(
        open_archive(blobs, keys.blobs_key),
        open_archive(tables, keys.tables_key),
        open_archive(clients, keys.clients_key),
    )
    ports = build_ports(settings)
    try:
        return import_first(ports, source, clients_url=clients, only=only, dry=dry, say=say)
    finally:
        ports.database.close()


def queue_lines(settings: ServerSettings, *, clear: bool = False) -> list[dict[str, str | int]]:
    """How many rows of each kind are ready, done or dead, and how many messages lie at the broker, left out where it cannot say.

    ``clear`` deletes the broker's queue first. Raises Temporary when the broker or the database is out of reach.
    """
    lines: list[dict[str, str | int]] = []
    if settings.has_broker:
        broker = open_broker(settings)
        try:
            if clear:
                broker.clear()
            elif (count := broker.waiting()) is not None:
                lines.append({"queue": broker.address.queue, "state": "messages", "count": count})
        finally:
            broker.close()
    database = open_database(settings)
    try:
        if clear and settings.has_broker:
            with database.write() as tx:
                jobs.unring_all(tx)
        with database.read() as tx:
            found = jobs.count_kinds(tx)
    finally:
        database.close()
    for (kind, state), count in found.items():
        lines.append({"queue": kind, "state": state, "count": count})
    return lines


@contextmanager
def storage(settings: ServerSettings) -> Iterator[tuple[Database, list[BlobStore]]]:
    """The database and every store of blobs that the settings name."""
    stores = [open_blobs(settings.blobs_url, _store_secrets(settings.blobs_url, settings.blobs_key))]
    if settings.exchange is not None:
        stores.append(open_blobs(settings.exchange, _store_secrets(settings.exchange, settings.exchange_key)))
    database = open_database(settings)
    try:
        yield database, stores
    finally:
        database.close()


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


# --- adapters ------------------------------------------------------------------------------------


def database_url(settings: ServerSettings) -> str:
    """The database with its password, as SQLAlchemy writes it."""
    if settings.database_password is None:
        return settings.database_url
    return (
        make_url(settings.database_url).set(password=settings.database_password).render_as_string(hide_password=False)
    )


def _store_secrets(url: str, key: str | None) -> dict[str, str]:
    """The one key of the settings under the name its store knows; s3 keys are written ``ID:SECRET``."""
    if key is None:
        return {}
    match urlsplit(url).scheme:
        case "azure":
            return {"account_key": key}
        case "s3":
            name, _, secret = key.partition(":")
            return {"access_key_id": name, "secret_access_key": secret}
        case "gs":
            return {"service_account_key": key}
    return {}


def _mail_out(settings: ServerSettings, database: Database, clock: Clock) -> MailOut:
    match urlsplit(settings.mail_out).scheme:
        case "recorder":
            return RecorderMailOut()
        case "sendgrid" | "sendgrid+http":
            return SendGridMailOut.from_url(settings.mail_out, key=settings.sendgrid_key)
        case "mx":
            from lokole.adapters.mail_out.mx import MxMailOut

            way: MailOut = MxMailOut.from_url(
                settings.mail_out,
                host_name=settings.host_name,
                pace=settings.mx_pace.total_seconds(),
                allow_private=settings.mx_private,
            )
        case _:
            way = SmtpMailOut.from_url(
                settings.mail_out, password=settings.mail_out_password, host_name=settings.host_name
            )
    if not settings.signs:
        return way
    # only a server that signs needs the library, which takes 8 MB
    from lokole.adapters.mail_out.dkim import SignedMailOut
    from lokole.server import dkim_keys

    return SignedMailOut(way, lambda domain: dkim_keys.keys_of(database, settings, domain), clock)


def _intake(settings: ServerSettings) -> Intake:
    if urlsplit(settings.intake).scheme == "sendgrid" and settings.sendgrid_key and settings.address:
        return SendGridIntake(url=settings.sendgrid_url, key=settings.sendgrid_key, address=settings.address)
    return NoIntake()


def _dns(settings: ServerSettings) -> Dns:
    match urlsplit(settings.dns).scheme:
        case "cloudflare":
            return CloudflareDns(
                url=settings.cloudflare_url,
                token=settings.cloudflare_token,
                user=settings.cloudflare_user,
                key=settings.cloudflare_key,
            )
        case "manual":
            return ManualDns()
    return MemoryDns()


def _judge(settings: ServerSettings) -> Judge | None:
    if settings.rspamd is not None:
        return RspamdJudge(settings.rspamd, host_name=settings.host_name)
    return None if settings.authserv_id is None else ResultsJudge(settings.authserv_id)


def _resolver(settings: ServerSettings, dns: Dns) -> Resolver:
    if settings.resolver is not None:
        return DnsPythonResolver(split_listen("LOKOLE_RESOLVER", settings.resolver))
    return dns if isinstance(dns, MemoryDns) else DnsPythonResolver()


def _identity(settings: ServerSettings) -> Identity:
    operator = StaticIdentity(settings.registration_username, settings.registration_password)
    if settings.github_organization is None:
        return operator
    return GitHubIdentity(
        passwords=operator,
        url=settings.github_url,
        organization=settings.github_organization,
        team=settings.github_team,
        sudo_team=settings.github_sudo_team,
    )


def _services(settings: ServerSettings, clock: Clock, fetch: Fetch | None) -> Mapping[str, Service]:
    """The services that are on; raises ValueError naming one that nothing installed here has."""
    made: dict[str, Service] = {}
    urls = {key: url for key, _, url in (text.partition("=") for text in settings.bots_urls)}
    agent = f"lokole/{__version__} (https://github.com/ascoderu/lokole; postmaster@{settings.host_name})"
    fetch = fetch or HttpFetch(user_agent=agent, trusted=urls.values())
    for name in settings.bots:
        if name == "none" and len(settings.bots) == 1:
            break
        make = find_service(name)
        if make is None:
            raise ValueError(f"LOKOLE_BOTS names “{name}”, and no package that is installed has such a service.")
        around = Surroundings(
            address=f"{name}@{settings.bots_domain}",
            clock=clock,
            fetch=fetch,
            urls=urls,
            max_bytes=settings.bots_answer_bytes,
            max_file_bytes=settings.bots_file_bytes,
            services=lambda: made,
        )
        made[name] = make(around)
    return made


def _smtp_intake(ports: ServerPorts) -> SmtpIntake:
    settings = ports.settings
    host, port = split_listen("LOKOLE_SMTP_LISTEN", settings.smtp_listen)
    tls = None
    if settings.smtp_tls_certificate is not None and settings.smtp_tls_key is not None:
        tls = tls_context(str(settings.smtp_tls_certificate), str(settings.smtp_tls_key))

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


def _exchange_storage(url: str, key: str | None) -> ExchangeStorage:
    """The storage of version 1 boxes. On a folder the account is the folder's path, as their LOCAL provider reads it."""
    blobs = open_blobs(url, _store_secrets(url, key))
    parts = urlsplit(url)
    if isinstance(blobs, FolderBlobStore):
        root = Path(unquote(parts.path))

        def prepare(container: str) -> None:
            (root / container).mkdir(mode=0o700, exist_ok=True)

        # a folder asks for no key, but such a box does not take an empty one
        return ExchangeStorage(
            blobs, str(root), "none", prepare=prepare, was_opened=lambda name: _was_opened(root / name)
        )
    if parts.scheme == "azure":
        account = dict(parse_qsl(parts.query)).get("account", parts.netloc)
        return ExchangeStorage(blobs, account, key or "", shared_container=parts.path.strip("/"))
    return ExchangeStorage(blobs, "memory", "none")


def _was_opened(path: Path) -> bool | None:
    """Whether a file was read since it was written, as its access time says; None where the file system keeps none."""
    try:
        status = path.stat()
        if os.statvfs(path).f_flag & os.ST_NOATIME:
            return None
    except OSError:
        return None
    return status.st_atime_ns > status.st_mtime_ns


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
            # letters written here have no way out yet
            pictures=settings.pictures(v1=False),
        ),
        ManyTenants(),
    )
