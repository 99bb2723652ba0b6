"""Which adapter a setting names: here the choice between several is made, :mod:`lokole.server.build` puts them together."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy.engine import make_url

from lokole import __version__
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
from lokole.adapters.judge.results import ResultsJudge
from lokole.adapters.judge.rspamd import RspamdJudge
from lokole.adapters.mail_out.recorder import RecorderMailOut
from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.adapters.mail_out.smtp import SmtpMailOut
from lokole.adapters.resolver.dnspython import DnsPythonResolver
from lokole.adapters.service.known import find_service
from lokole.config import BadSettings
from lokole.mailbox.database import Database
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy
from lokole.ports.dns import Dns, Resolver
from lokole.ports.fetch import Fetch
from lokole.ports.identity import Identity
from lokole.ports.intake import Intake
from lokole.ports.judge import Judge
from lokole.ports.mail_out import MailOut
from lokole.ports.service import Service, Surroundings
from lokole.ports.telemetry import Telemetry
from lokole.server.ports import ExchangeStorage
from lokole.server.settings import ServerSettings, split_listen


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


def open_store(url: str, key: str | None) -> BlobStore:
    """The store of blobs at ``url``, opened with the one key that the settings have for it."""
    return open_blobs(url, _store_secrets(url, key))


def open_mail_out(settings: ServerSettings, database: Database, clock: Clock) -> MailOut:
    """The way out of LOKOLE_MAIL_OUT, which signs where the settings say so."""
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
                tried=settings.alarm_to[0].rpartition("@")[2] if settings.alarm_to else None,
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


def open_intake(settings: ServerSettings) -> Intake:
    """Who has to be told of a domain so that its mail comes here, by LOKOLE_INTAKE."""
    if urlsplit(settings.intake).scheme == "sendgrid" and settings.sendgrid_key and settings.address:
        return SendGridIntake(url=settings.sendgrid_url, key=settings.sendgrid_key, address=settings.address)
    return NoIntake()


def open_dns(settings: ServerSettings) -> Dns:
    """Who makes the records of a domain, by LOKOLE_DNS."""
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


def open_judge(settings: ServerSettings) -> Judge | None:
    """Who gives an opinion of mail that comes by SMTP; None when nobody does."""
    if settings.rspamd is not None:
        return RspamdJudge(settings.rspamd, host_name=settings.host_name)
    return None if settings.authserv_id is None else ResultsJudge(settings.authserv_id)


def open_resolver(settings: ServerSettings, dns: Dns) -> Resolver:
    """Where records are looked up; records in memory are looked up there."""
    if settings.resolver is not None:
        return DnsPythonResolver(split_listen("LOKOLE_RESOLVER", settings.resolver))
    return dns if isinstance(dns, MemoryDns) else DnsPythonResolver()


def open_identity(settings: ServerSettings) -> Identity:
    """Who a caller of the API is: the operator, or members of a GitHub team too."""
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


def open_services(settings: ServerSettings, clock: Clock, fetch: Fetch | None) -> Mapping[str, Service]:
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


def open_exchange_storage(url: str, key: str | None) -> ExchangeStorage:
    """The storage of version 1 boxes. On a folder the account is the folder's path, as their LOCAL provider reads it."""
    blobs = open_store(url, key)
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
