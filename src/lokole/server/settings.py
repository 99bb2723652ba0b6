"""The settings of the server; ``lokole config describe server`` prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlsplit

from lokole.config import Url, setting
from lokole.mail.errors import Refused
from lokole.mail.model import Address, PictureLimits, normal_domain
from lokole.server.networks import read_networks

_MEBI = 2**20
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SECRET_SEGMENT = re.compile(r"[A-Za-z0-9_-]{16,100}")
_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?|https?://\[[0-9A-Fa-f:]+\](?::\d{1,5})?")
#: what LOKOLE_JOBS begins with where a broker tells the workers of rows
BROKERS = ("amqp", "amqps", "azureservicebus")


class PictureFormat(StrEnum):
    """What a picture becomes before it travels to a box of ours; boxes of the first Lokole get JPEG."""

    WEBP = "webp"
    JPEG = "jpeg"
    KEEP = "keep"


class DkimAlgorithm(StrEnum):
    """How letters are signed; every receiver knows RSA."""

    RSA = "rsa"
    ED25519 = "ed25519"


class SenderAddresses(StrEnum):
    """How the people of boxes are written outside."""

    BOX = "box"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server, and every worker beside it: they share database and blobs."""

    registration_username: str = setting(
        "LOKOLE_REGISTRATION_USERNAME", "The name with which domains are registered through the API."
    )
    registration_password: str = setting(
        "LOKOLE_REGISTRATION_PASSWORD",
        "The password that belongs to LOKOLE_REGISTRATION_USERNAME, at least 8 characters.",
        secret=True,
    )
    mail_out: Url = setting(
        "LOKOLE_MAIL_OUT",
        "How letters leave: smtp://HOST:PORT, smtp+starttls://USER@HOST:PORT, smtps://USER@HOST:PORT,\n"
        "sendgrid: (or sendgrid://HOST for another address of its API) with LOKOLE_SENDGRID_KEY,\n"
        "mx: directly to the mail servers of the recipients, signed by DKIM,\n"
        "or recorder: which keeps them in memory and sends nothing.",
    )
    mail_out_password: str | None = setting(
        "LOKOLE_MAIL_OUT_PASSWORD", "The password of the user in LOKOLE_MAIL_OUT.", default=None, secret=True
    )
    sender_addresses: SenderAddresses = setting(
        "LOKOLE_SENDER_ADDRESSES",
        "How people are written outside: box is user@box.domain, flat is user-box@domain and needs LOKOLE_FLAT_DOMAIN.",
        default=SenderAddresses.BOX,
    )
    flat_domain: str | None = setting(
        "LOKOLE_FLAT_DOMAIN",
        "The domain of addresses such as user-box@domain. With it, letters to them reach the box, whatever LOKOLE_SENDER_ADDRESSES says.",
        default=None,
    )
    flat_webhook: str | None = setting(
        "LOKOLE_FLAT_WEBHOOK",
        "The secret path segment under which SendGrid posts mail for LOKOLE_FLAT_DOMAIN, at least 16 letters and digits.",
        default=None,
        secret=True,
    )
    recipients_a_day: int = setting(
        "LOKOLE_RECIPIENTS_A_DAY",
        "To how many recipients outside one person may write in a day; letters over it wait. 0 sets no limit: then one account\n"
        "whose password somebody guessed can get everybody's letters refused.",
        default=200,
    )
    mx_pace: timedelta = setting(
        "LOKOLE_MX_PACE",
        "With LOKOLE_MAIL_OUT=mx: how long after a letter the next one goes to the same domain.",
        default=timedelta(seconds=1),
    )
    mx_private: bool = setting(
        "LOKOLE_MX_PRIVATE",
        "With LOKOLE_MAIL_OUT=mx: whether letters go to mail servers with private addresses: for tests and closed networks.",
        default=False,
    )
    dkim_selector: str = setting(
        "LOKOLE_DKIM_SELECTOR", "The selector under which the domains publish their DKIM keys.", default="lokole"
    )
    dkim_algorithms: tuple[DkimAlgorithm, ...] = setting(
        "LOKOLE_DKIM_ALGORITHMS",
        "With which algorithms letters are signed: rsa, or rsa,ed25519.",
        default=(DkimAlgorithm.RSA,),
    )
    dkim_relay: bool = setting(
        "LOKOLE_DKIM_RELAY", "Whether letters that leave by a relay are signed too; most relays sign.", default=False
    )
    github_organization: str | None = setting(
        "LOKOLE_REGISTRATION_GITHUB_ORGANIZATION",
        "The organisation at GitHub whose members may register domains too, with a token of their own (read:org).",
        default=None,
    )
    github_team: str | None = setting(
        "LOKOLE_REGISTRATION_TEAM",
        "The team of that organisation (as in its address) whose members may register. Without it: every member.",
        default=None,
    )
    github_sudo_team: str | None = setting(
        "LOKOLE_REGISTRATION_SUDO_TEAM",
        "The team of that organisation whose members may do everything with everybody's domains. Without it: nobody.",
        default=None,
    )
    github_url: Url = setting(
        "LOKOLE_GITHUB_URL", "GitHub's GraphQL API.", default=Url("https://api.github.com/graphql")
    )
    data: Path = setting(
        "LOKOLE_DATA",
        "The folder that keeps everything that has no address of its own.",
        default=Path("/var/lib/lokole-server"),
    )
    database: Url | None = setting(
        "LOKOLE_DATABASE",
        "The database, as sqlite:////path or postgresql://USER@HOST/NAME. Without it: lokole.db in LOKOLE_DATA.",
        default=None,
    )
    database_password: str | None = setting(
        "LOKOLE_DATABASE_PASSWORD", "The password of the user in LOKOLE_DATABASE.", default=None, secret=True
    )
    blobs: Url | None = setting(
        "LOKOLE_BLOBS",
        "Where raw mail, attachments and packages are kept: folder:///path, azure://ACCOUNT/CONTAINER,\n"
        "s3://BUCKET (with ?endpoint=URL&region=NAME where it is not Amazon's us-east-1),\n"
        "or memory: for tests. Without it: blobs in LOKOLE_DATA.",
        default=None,
    )
    blobs_key: str | None = setting(
        "LOKOLE_BLOBS_KEY",
        "The key of the store in LOKOLE_BLOBS: of Azure the account's, of S3 ID:SECRET.\n"
        "Without it: what the machine itself may do, as a role or a managed identity.",
        default=None,
        secret=True,
    )
    listen: str = setting(
        "LOKOLE_LISTEN", "Where the API and the pages listen, as HOST:PORT.", default="127.0.0.1:8080"
    )
    smtp_listen: str = setting(
        "LOKOLE_SMTP_LISTEN",
        "Where mail from outside is taken in by SMTP, as HOST:PORT, or off.",
        default="127.0.0.1:2525",
    )
    host_name: str = setting(
        "LOKOLE_HOST_NAME", "The name by which this server greets others in SMTP.", default="localhost"
    )
    smtp_tls_certificate: Path | None = setting(
        "LOKOLE_SMTP_TLS_CERTIFICATE", "The certificate chain (PEM) with which STARTTLS is offered.", default=None
    )
    smtp_tls_key: Path | None = setting(
        "LOKOLE_SMTP_TLS_KEY", "The key (PEM) that belongs to LOKOLE_SMTP_TLS_CERTIFICATE.", default=None
    )
    smtp_max_recipients: int = setting(
        "LOKOLE_SMTP_MAX_RECIPIENTS",
        "The most recipients of one letter by SMTP; the others are asked to come in another letter.",
        default=100,
    )
    smtp_connections_a_minute: int = setting(
        "LOKOLE_SMTP_CONNECTIONS_A_MINUTE",
        "How often one address outside may connect by SMTP within a minute; over it, it is asked to come again.",
        default=60,
    )
    smtp_recipients_a_minute: int = setting(
        "LOKOLE_SMTP_RECIPIENTS_A_MINUTE",
        "How many recipients one address outside may name by SMTP within a minute; over it, it is asked to come again.",
        default=300,
    )
    smtp_exempt: tuple[str, ...] = setting(
        "LOKOLE_SMTP_EXEMPT",
        "Networks that no limit and no greylisting holds up: mail servers of your own, in front of this one.",
        default=("127.0.0.0/8", "::1/128"),
    )
    greylist: timedelta | None = setting(
        "LOKOLE_GREYLIST",
        "How long a letter by SMTP is put off the first time somebody unknown writes to somebody here, such as 5m.\n"
        "Without it nobody is.",
        default=None,
    )
    rspamd: Url | None = setting(
        "LOKOLE_RSPAMD",
        "The normal worker of an Rspamd that is asked about each letter by SMTP, such as http://127.0.0.1:11333.\n"
        "Without it nobody is.",
        default=None,
    )
    jobs: Url = setting(
        "LOKOLE_JOBS",
        "What runs the work: rows: (threads lease rows of the database), amqp://USER@HOST/VHOST (Celery over RabbitMQ),\n"
        "azureservicebus://POLICY@NAMESPACE (Celery over Azure Service Bus), or inline: (at once, for tests).\n"
        "With a broker only `lokole worker` works.",
        default=Url("rows:"),
    )
    jobs_password: str | None = setting(
        "LOKOLE_JOBS_PASSWORD",
        "The password of the user, or the key of the policy, in LOKOLE_JOBS.",
        default=None,
        secret=True,
    )
    workers: int = setting(
        "LOKOLE_WORKERS",
        "How many threads work in the process of `lokole server`; 0 where `lokole worker` runs beside it.\n"
        "With a broker: how many processes a `lokole worker` has.",
        default=2,
    )
    lease: timedelta = setting(
        "LOKOLE_LEASE", "How long a piece of work is held without a sign of life.", default=timedelta(minutes=5)
    )
    dns: Url = setting(
        "LOKOLE_DNS",
        "Who makes the records of new domains: cloudflare: does, with LOKOLE_CLOUDFLARE_TOKEN;\n"
        "manual: you do, as `lokole server dns DOMAIN` says; memory: nobody, for a server that nobody outside knows.",
        default=Url("memory:"),
    )
    mail_hosts: tuple[str, ...] = setting(
        "LOKOLE_MX",
        "The hosts that take in mail for all domains, the first one first, which their MX records name.\n"
        "Without it: SendGrid's with LOKOLE_INTAKE=sendgrid:, else LOKOLE_HOST_NAME.",
        default=(),
    )
    spf: str | None = setting(
        "LOKOLE_SPF",
        "The SPF record of every domain, such as v=spf1 include:sendgrid.net ~all. Without it: none is made.",
        default=None,
    )
    dmarc: str | None = setting(
        "LOKOLE_DMARC",
        "The DMARC record of every domain, such as v=DMARC1; p=none; rua=mailto:you@example.org. Without it: none is made.",
        default=None,
    )
    resolver: str | None = setting(
        "LOKOLE_RESOLVER",
        "The resolver that is asked whether records are there, as IP:PORT. Without it: this machine's.",
        default=None,
    )
    intake: Url = setting(
        "LOKOLE_INTAKE",
        "Who is told that mail for a new domain comes here: sendgrid: is, with LOKOLE_SENDGRID_KEY and LOKOLE_ADDRESS;\n"
        "none: tells nobody, for mail that comes by SMTP.",
        default=Url("none:"),
    )
    address: Url | None = setting(
        "LOKOLE_ADDRESS",
        "Where the world reaches this server, such as https://mail.example.org; mail by SendGrid is posted there.",
        default=None,
    )
    sendgrid_url: Url = setting("LOKOLE_SENDGRID_URL", "SendGrid's API.", default=Url("https://api.sendgrid.com"))
    session_key: str | None = setting(
        "LOKOLE_SESSION_KEY",
        "What cookies of the web pages are signed with, at least 16 characters. Without it the server makes its own.",
        default=None,
        secret=True,
        also=("OPWEN_SESSION_KEY",),
    )
    https: bool = setting(
        "LOKOLE_HTTPS",
        "Whether people reach the pages by https only; then cookies travel by https only.",
        default=False,
    )
    trusted_proxy: str = setting(
        "LOKOLE_TRUSTED_PROXY",
        "The address of the web server in front, whose X-Forwarded-For is believed.",
        default="127.0.0.1",
    )
    alarm_to: tuple[str, ...] = setting(
        "LOKOLE_ALARM_TO",
        "Who is told by mail when a box stays away, or it or the server is not well, and when that is over: addresses.",
        default=(),
    )
    alarm_from: str | None = setting(
        "LOKOLE_ALARM_FROM",
        "The address that such mail comes from. Without it: lokole at LOKOLE_HOST_NAME.",
        default=None,
    )
    alarm_webhook: Url | None = setting(
        "LOKOLE_ALARM_WEBHOOK",
        "Where the same is posted as JSON with a field text, as the webhooks of chat services want it.",
        default=None,
        secret=True,
    )
    otlp_endpoint: str | None = setting(
        "LOKOLE_OTLP_ENDPOINT",
        "An OpenTelemetry collector that is told of requests, work and events by OTLP over HTTP, such as http://127.0.0.1:4318.\n"
        "Needs requirements/telemetry.lock. Without it nothing is told.",
        default=None,
    )
    otlp_headers: str | None = setting(
        "LOKOLE_OTLP_HEADERS",
        "What LOKOLE_OTLP_ENDPOINT wants to be shown, as NAME=VALUE with commas between.",
        default=None,
        secret=True,
    )
    application_insights: str | None = setting(
        "LOKOLE_APPLICATION_INSIGHTS",
        "The connection string of an Application Insights resource (Azure Monitor) that is told the same.\n"
        "Needs requirements/telemetry.lock. Without it nothing is told.",
        default=None,
        secret=True,
    )
    alarm_nights: int = setting(
        "LOKOLE_ALARM_NIGHTS", "How many nights a box may miss before anybody is told.", default=2
    )
    metrics_token: str | None = setting(
        "LOKOLE_METRICS_TOKEN",
        "What Prometheus shows at /metrics as its bearer token, at least 16 characters. Without it /metrics is not there.",
        default=None,
        secret=True,
    )
    console: bool = setting("LOKOLE_CONSOLE", "Whether the API's console answers at /ui.", default=False)
    github_client_id: str | None = setting(
        "LOKOLE_GITHUB_CLIENT_ID",
        "The client id of an OAuth app at GitHub with its device flow switched on; with it the status page offers to sign in there.",
        default=None,
    )
    github_sign_in_url: Url = setting(
        "LOKOLE_GITHUB_SIGN_IN_URL", "Where people sign in at GitHub.", default=Url("https://github.com")
    )
    status_origins: str | None = setting(
        "LOKOLE_STATUS_ORIGINS",
        "Where status pages may stand that are not this server's own, blanks between them, as https://NAME.github.io.\n"
        "Without it only the one at /status may ask.",
        default=None,
    )
    v1_boxes: bool = setting(
        "LOKOLE_V1_BOXES", "Whether newly registered domains may serve boxes of the first Lokole.", default=False
    )
    exchange: Url | None = setting(
        "LOKOLE_EXCHANGE",
        "Where packages of first Lokole boxes are exchanged, apart from every other store:\n"
        "folder:///path or azure://ACCOUNT/CONTAINER. Needed with LOKOLE_V1_BOXES=yes.",
        default=None,
    )
    exchange_key: str | None = setting(
        "LOKOLE_EXCHANGE_KEY",
        "The key of the store in LOKOLE_EXCHANGE; such boxes are given it.",
        default=None,
        secret=True,
    )
    v1_window: timedelta = setting(
        "LOKOLE_V1_WINDOW",
        "How long a first Lokole box that asks again is given the same package.",
        default=timedelta(minutes=30),
    )
    picture_side: int = setting(
        "LOKOLE_PICTURE_SIDE", "The longest side of a picture that travels, in pixels.", default=640
    )
    picture_format: PictureFormat = setting(
        "LOKOLE_PICTURE_FORMAT", "What pictures become before they travel to our boxes.", default=PictureFormat.WEBP
    )
    max_letter_mb: int = setting(
        "LOKOLE_MAX_LETTER_MB", "The largest letter that is taken in, in megabytes.", default=30
    )
    max_package_mb: int = setting(
        "LOKOLE_MAX_PACKAGE_MB", "The largest package that a box may upload, in megabytes.", default=100
    )
    retention: timedelta = setting(
        "LOKOLE_RETENTION",
        "How long letters, their raw messages and packages are kept after a box has acknowledged them;\n"
        "for ever for a person with roaming on.",
        default=timedelta(days=30),
    )
    bots: tuple[str, ...] = setting(
        "LOKOLE_BOTS",
        "Which services answer letters of people of boxes, by their names; none switches all off (docs/bots.md).",
        default=("help", "echo", "wikipedia", "dictionary", "weather"),
    )
    bots_domain: str = setting(
        "LOKOLE_BOTS_DOMAIN",
        "The domain of their addresses: NAME@ this domain is answered here.",
        default="bot.lokole.ca",
    )
    bots_urls: tuple[str, ...] = setting(
        "LOKOLE_BOTS_URLS",
        "Where services ask instead of their usual places, each KEY=URL, such as wikipedia=https://mirror.example.org/{language};\n"
        "keys: wikipedia, dictionary, weather, places, and those of other packages. These may be in a private network.",
        default=(),
    )
    bots_per_day: int = setting(
        "LOKOLE_BOTS_PER_DAY", "How many letters to services one person has answered within a day.", default=20
    )
    bots_answer_kb: int = setting(
        "LOKOLE_BOTS_ANSWER_KB", "How long the text of an answer should be at most, in kB before packing.", default=40
    )
    bots_file_kb: int = setting(
        "LOKOLE_BOTS_FILE_KB", "How large the files of an answer may be together, in kB.", default=1000
    )
    sendgrid_key: str | None = setting(
        "LOKOLE_SENDGRID_KEY",
        "The key of the account at SendGrid; it needs the permission Mail Send with LOKOLE_MAIL_OUT=sendgrid:,\n"
        "Inbound Parse with LOKOLE_INTAKE=sendgrid:.",
        default=None,
        secret=True,
    )
    cloudflare_token: str | None = setting(
        "LOKOLE_CLOUDFLARE_TOKEN",
        "A token of Cloudflare that may read the zone and edit its DNS, and nothing else; for LOKOLE_DNS=cloudflare:.",
        default=None,
        secret=True,
    )
    sendgrid_events_key: str | None = setting(
        "LOKOLE_SENDGRID_EVENTS_KEY",
        "The public key of SendGrid's signed event webhook. With it, events without a right signature are refused.",
        default=None,
    )
    sendgrid_parse_key: str | None = setting(
        "LOKOLE_SENDGRID_PARSE_KEY",
        "The public key of the security policy of SendGrid's Inbound Parse. With it, posts without a right signature are not taken.",
        default=None,
    )
    junk_score: float | None = setting(
        "LOKOLE_JUNK_SCORE",
        "From which spam score on a letter stands apart instead of travelling to its box, such as 5. Without it none does.",
        default=None,
    )
    authserv_id: str | None = setting(
        "LOKOLE_AUTHSERV_ID",
        "The name by which the mail server in front signs its Authentication-Results (RFC 8601); only these are believed.",
        default=None,
    )
    cloudflare_user: str | None = setting(
        "LOKOLE_CLOUDFLARE_USER",
        "The account's address, with LOKOLE_CLOUDFLARE_KEY, as the first Lokole had it; a token may less.",
        default=None,
    )
    cloudflare_key: str | None = setting(
        "LOKOLE_CLOUDFLARE_KEY", "The global key of the account at Cloudflare.", default=None, secret=True
    )
    cloudflare_url: Url = setting(
        "LOKOLE_CLOUDFLARE_URL", "Cloudflare's API.", default=Url("https://api.cloudflare.com/client/v4")
    )

    def __post_init__(self) -> None:
        if len(self.registration_password) < 8:
            raise ValueError("LOKOLE_REGISTRATION_PASSWORD is too short: give it at least 8 characters.")
        if self.session_key is not None and len(self.session_key) < 16:
            raise ValueError("LOKOLE_SESSION_KEY is too short: give it at least 16 characters.")
        if self.metrics_token is not None and len(self.metrics_token) < 16:
            raise ValueError("LOKOLE_METRICS_TOKEN is too short: give it at least 16 characters.")
        for name, url, known in (
            (
                "LOKOLE_MAIL_OUT",
                self.mail_out,
                ("smtp", "smtp+starttls", "smtps", "sendgrid", "sendgrid+http", "mx", "recorder"),
            ),
            ("LOKOLE_JOBS", self.jobs, ("rows", "inline", *BROKERS)),
            ("LOKOLE_DNS", self.dns, ("cloudflare", "manual", "memory")),
            ("LOKOLE_INTAKE", self.intake, ("sendgrid", "none")),
            ("LOKOLE_EXCHANGE", self.exchange or Url("folder:"), ("folder", "azure", "memory")),
        ):
            if urlsplit(url).scheme not in known:
                choices = ", ".join(f"{scheme}:" for scheme in known)
                raise ValueError(f"{name} cannot be “{url}”: it must begin with one of {choices}.")
        if urlsplit(self.mail_out).scheme.startswith("sendgrid") and self.sendgrid_key is None:
            raise ValueError("LOKOLE_MAIL_OUT=sendgrid: needs LOKOLE_SENDGRID_KEY: a key that may send mail.")
        if self.flat_domain is None and (self.flat_webhook or self.sender_addresses is SenderAddresses.FLAT):
            raise ValueError("LOKOLE_SENDER_ADDRESSES=flat and LOKOLE_FLAT_WEBHOOK need LOKOLE_FLAT_DOMAIN.")
        if self.flat_domain is not None and not _DOMAIN.fullmatch(self.flat_domain):
            raise ValueError(f"LOKOLE_FLAT_DOMAIN cannot be “{self.flat_domain}”: a domain in small letters.")
        if self.flat_webhook is not None and not _SECRET_SEGMENT.fullmatch(self.flat_webhook):
            raise ValueError("LOKOLE_FLAT_WEBHOOK cannot be used: give it at least 16 letters and digits.")
        if not _SELECTOR.fullmatch(self.dkim_selector):
            raise ValueError(
                f"LOKOLE_DKIM_SELECTOR cannot be “{self.dkim_selector}”: small letters, digits and dashes."
            )
        for name, text in (
            ("LOKOLE_SENDGRID_EVENTS_KEY", self.sendgrid_events_key),
            ("LOKOLE_SENDGRID_PARSE_KEY", self.sendgrid_parse_key),
        ):
            if text is not None:
                check_public_key(name, text)
        if self.github_organization is None and (self.github_team or self.github_sudo_team):
            raise ValueError(
                "LOKOLE_REGISTRATION_TEAM and LOKOLE_REGISTRATION_SUDO_TEAM need LOKOLE_REGISTRATION_GITHUB_ORGANIZATION."
            )
        _check_api("LOKOLE_GITHUB_URL", self.github_url)
        _check_api("LOKOLE_CLOUDFLARE_URL", self.cloudflare_url)
        _check_api("LOKOLE_SENDGRID_URL", self.sendgrid_url)
        if self.address is not None:
            _check_api("LOKOLE_ADDRESS", self.address)
        if self.intake == "sendgrid:" and (self.sendgrid_key is None or self.address is None):
            raise ValueError("LOKOLE_INTAKE=sendgrid: needs LOKOLE_SENDGRID_KEY and LOKOLE_ADDRESS.")
        if (self.cloudflare_user is None) != (self.cloudflare_key is None):
            raise ValueError("LOKOLE_CLOUDFLARE_USER and LOKOLE_CLOUDFLARE_KEY go together.")
        if self.dns == "cloudflare:" and self.cloudflare_token is None and self.cloudflare_key is None:
            raise ValueError("LOKOLE_DNS=cloudflare: needs LOKOLE_CLOUDFLARE_TOKEN.")
        for name, text, start in (("LOKOLE_SPF", self.spf, "v=spf1"), ("LOKOLE_DMARC", self.dmarc, "v=DMARC1")):
            if text is not None and not (text.startswith(start) and text.isascii() and text.isprintable()):
                raise ValueError(f"{name} cannot be “{text}”: it must begin with {start}.")
        for one in (*self.alarm_to, *([] if self.alarm_from is None else [self.alarm_from])):
            if not _is_address(one):
                raise ValueError(f"LOKOLE_ALARM_TO and LOKOLE_ALARM_FROM cannot be “{one}”: this is no address.")
        if self.alarm_webhook is not None and urlsplit(self.alarm_webhook).scheme not in ("https", "http"):
            raise ValueError("LOKOLE_ALARM_WEBHOOK must begin with https://.")
        if self.resolver is not None:
            split_listen("LOKOLE_RESOLVER", self.resolver)
        if self.v1_boxes and self.exchange is None:
            raise ValueError("LOKOLE_V1_BOXES=yes needs LOKOLE_EXCHANGE: the store that such boxes may reach.")
        if (self.smtp_tls_certificate is None) != (self.smtp_tls_key is None):
            raise ValueError("LOKOLE_SMTP_TLS_CERTIFICATE and LOKOLE_SMTP_TLS_KEY go together.")
        read_networks("LOKOLE_SMTP_EXEMPT", self.smtp_exempt)
        if self.rspamd is not None and urlsplit(self.rspamd).scheme not in ("http", "https"):
            raise ValueError("LOKOLE_RSPAMD must begin with http:// or https://.")
        if self.rspamd is not None and self.authserv_id is not None:
            raise ValueError("LOKOLE_RSPAMD and LOKOLE_AUTHSERV_ID exclude each other: one of them judges letters.")
        if self.greylist is not None and not timedelta(minutes=1) <= self.greylist <= timedelta(hours=12):
            raise ValueError("LOKOLE_GREYLIST must be from 1m to 12h.")
        for name, value, low, high in (
            ("LOKOLE_SMTP_MAX_RECIPIENTS", self.smtp_max_recipients, 1, 10_000),
            ("LOKOLE_SMTP_CONNECTIONS_A_MINUTE", self.smtp_connections_a_minute, 1, 100_000),
            ("LOKOLE_SMTP_RECIPIENTS_A_MINUTE", self.smtp_recipients_a_minute, 1, 1_000_000),
            ("LOKOLE_RECIPIENTS_A_DAY", self.recipients_a_day, 0, 1_000_000),
            ("LOKOLE_WORKERS", self.workers, 0, 64),
            ("LOKOLE_ALARM_NIGHTS", self.alarm_nights, 1, 1000),
            ("LOKOLE_BOTS_PER_DAY", self.bots_per_day, 1, 10_000),
            ("LOKOLE_BOTS_ANSWER_KB", self.bots_answer_kb, 1, 1_000),
            ("LOKOLE_BOTS_FILE_KB", self.bots_file_kb, 0, 20_000),
            ("LOKOLE_PICTURE_SIDE", self.picture_side, 16, 10_000),
            ("LOKOLE_MAX_LETTER_MB", self.max_letter_mb, 1, 100),
            ("LOKOLE_MAX_PACKAGE_MB", self.max_package_mb, 1, 2_000),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} cannot be “{value}”: it must be from {low} to {high}.")
        if self.bots_domain != _domain_or_nothing(self.bots_domain):
            raise ValueError(f"LOKOLE_BOTS_DOMAIN cannot be “{self.bots_domain}”: it must be a domain in lower case.")
        for text in self.bots_urls:
            key, _, base = text.partition("=")
            if not key or not base.startswith(("https://", "http://")) or not urlsplit(base).hostname:
                raise ValueError(f"LOKOLE_BOTS_URLS cannot be “{text}”: it must be KEY=https://…")
        for origin in self.status_page_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"LOKOLE_STATUS_ORIGINS cannot have “{origin}”: write it as https://NAME, without a path."
                )
        split_listen("LOKOLE_LISTEN", self.listen)
        if self.smtp_listen != "off":
            split_listen("LOKOLE_SMTP_LISTEN", self.smtp_listen)

    @property
    def has_broker(self) -> bool:
        """Whether a broker tells the workers of rows."""
        return urlsplit(self.jobs).scheme in BROKERS

    @property
    def database_url(self) -> str:
        """The database, as SQLAlchemy writes it, without its password."""
        return self.database or f"sqlite:///{(self.data / 'lokole.db').absolute()}"

    @property
    def blobs_url(self) -> str:
        """Where blobs are kept, as ``adapters.blobs`` reads it."""
        return self.blobs or f"folder://{quote(str((self.data / 'blobs').absolute()))}"

    @property
    def status_page_origins(self) -> tuple[str, ...]:
        """The origins (RFC 6454) whose pages may ask the API."""
        return tuple((self.status_origins or "").split())

    @property
    def signs(self) -> bool:
        """Whether letters get their DKIM signature here, and not from whoever takes them on."""
        scheme = urlsplit(self.mail_out).scheme
        return scheme == "mx" or (self.dkim_relay and scheme.startswith("smtp"))

    @property
    def max_letter_bytes(self) -> int:
        """The largest letter that is taken in, in bytes."""
        return self.max_letter_mb * _MEBI

    @property
    def max_package_bytes(self) -> int:
        """The largest package that a box may upload, in bytes."""
        return self.max_package_mb * _MEBI

    @property
    def bots_answer_bytes(self) -> int:
        """What the markup of an answer of a service should not exceed, in bytes."""
        return self.bots_answer_kb * 1000

    @property
    def bots_file_bytes(self) -> int:
        """What the files of an answer of a service may have together, in bytes."""
        return self.bots_file_kb * 1000

    def pictures(self, *, v1: bool) -> PictureLimits:
        """How pictures are made smaller before they travel to a box of ours, or to one of the first Lokole."""
        form = PictureFormat.JPEG if v1 and self.picture_format is PictureFormat.WEBP else self.picture_format
        return PictureLimits(longest_side=self.picture_side, format=form.value)


def _domain_or_nothing(text: str) -> str:
    try:
        return normal_domain(text)
    except Refused:
        return ""


@dataclass(frozen=True, slots=True)
class FirstStoreKeys:
    """Keys of the storage accounts of a first Lokole's server, for `lokole server import-first` only."""

    blobs_key: str | None = setting(
        "LOKOLE_FIRST_BLOBS_KEY", "The key of the account that --blobs names.", default=None, secret=True
    )
    tables_key: str | None = setting(
        "LOKOLE_FIRST_TABLES_KEY", "The key of the account that --tables names.", default=None, secret=True
    )
    clients_key: str | None = setting(
        "LOKOLE_FIRST_CLIENTS_KEY", "The key of the account that --clients names.", default=None, secret=True
    )


def check_public_key(name: str, text: str) -> None:
    """Raises ValueError with a sentence that names the setting, unless ``text`` is a public key of SendGrid's kind."""
    from lokole.server.signed_webhook import load_key  # only a server that has one needs the library

    try:
        load_key(text)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read: {error}.") from error


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except Refused:
        return False
    return True


def _check_api(name: str, url: Url) -> None:
    """A key goes over TLS only, but for what runs on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")):
        return
    raise ValueError(f"{name} cannot be “{url}”: it must begin with https://, since secrets go there.")


def split_listen(name: str, text: str) -> tuple[str, int]:
    """``HOST:PORT`` as two; raises ValueError with a sentence that names the setting."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{name} cannot be “{text}”: it must be HOST:PORT, such as 127.0.0.1:8080.")
    return host.removeprefix("[").removesuffix("]"), int(port)
