"""The settings of the server; ``lokole config describe server`` prints them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, urlsplit

from lokole.config import Url, setting
from lokole.mail.model import PictureLimits

_MEBI = 2**20
#: what LOKOLE_JOBS begins with where a broker tells the workers of rows
BROKERS = ("amqp", "amqps", "azureservicebus")


class PictureFormat(StrEnum):
    """What a picture becomes before it travels to a box of ours; boxes of the first Lokole get JPEG."""

    WEBP = "webp"
    JPEG = "jpeg"
    KEEP = "keep"


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
        "or recorder: which keeps them in memory and sends nothing.",
    )
    mail_out_password: str | None = setting(
        "LOKOLE_MAIL_OUT_PASSWORD", "The password of the user in LOKOLE_MAIL_OUT.", default=None, secret=True
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
        "Where raw mail, attachments and packages are kept: folder:///path, azure://ACCOUNT/CONTAINER, s3://BUCKET,\n"
        "or memory: for tests. Without it: blobs in LOKOLE_DATA.",
        default=None,
    )
    blobs_key: str | None = setting(
        "LOKOLE_BLOBS_KEY", "The key of the store in LOKOLE_BLOBS.", default=None, secret=True
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
        "LOKOLE_DNS", "Who sets the MX records of new domains: memory: sets none.", default=Url("memory:")
    )
    intake: Url = setting(
        "LOKOLE_INTAKE",
        "Who is told that mail for a new domain comes here: none: tells nobody, for mail that comes by SMTP.",
        default=Url("none:"),
    )
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
    console: bool = setting("LOKOLE_CONSOLE", "Whether the API's console answers at /ui.", default=False)
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
    sendgrid_key: str | None = setting(
        "LOKOLE_SENDGRID_KEY",
        "Kept from the first Lokole for the SendGrid adapters; not used yet.",
        default=None,
        secret=True,
    )
    cloudflare_user: str | None = setting(
        "LOKOLE_CLOUDFLARE_USER", "Kept from the first Lokole for the Cloudflare adapter; not used yet.", default=None
    )
    cloudflare_key: str | None = setting(
        "LOKOLE_CLOUDFLARE_KEY",
        "Kept from the first Lokole for the Cloudflare adapter; not used yet.",
        default=None,
        secret=True,
    )

    def __post_init__(self) -> None:
        if len(self.registration_password) < 8:
            raise ValueError("LOKOLE_REGISTRATION_PASSWORD is too short: give it at least 8 characters.")
        if self.session_key is not None and len(self.session_key) < 16:
            raise ValueError("LOKOLE_SESSION_KEY is too short: give it at least 16 characters.")
        for name, url, known in (
            ("LOKOLE_MAIL_OUT", self.mail_out, ("smtp", "smtp+starttls", "smtps", "recorder")),
            ("LOKOLE_JOBS", self.jobs, ("rows", "inline", *BROKERS)),
            ("LOKOLE_DNS", self.dns, ("memory",)),
            ("LOKOLE_INTAKE", self.intake, ("none",)),
            ("LOKOLE_EXCHANGE", self.exchange or Url("folder:"), ("folder", "azure", "memory")),
        ):
            if urlsplit(url).scheme not in known:
                choices = ", ".join(f"{scheme}:" for scheme in known)
                raise ValueError(f"{name} cannot be “{url}”: it must begin with one of {choices}.")
        if self.v1_boxes and self.exchange is None:
            raise ValueError("LOKOLE_V1_BOXES=yes needs LOKOLE_EXCHANGE: the store that such boxes may reach.")
        if (self.smtp_tls_certificate is None) != (self.smtp_tls_key is None):
            raise ValueError("LOKOLE_SMTP_TLS_CERTIFICATE and LOKOLE_SMTP_TLS_KEY go together.")
        for name, value, low, high in (
            ("LOKOLE_WORKERS", self.workers, 0, 64),
            ("LOKOLE_PICTURE_SIDE", self.picture_side, 16, 10_000),
            ("LOKOLE_MAX_LETTER_MB", self.max_letter_mb, 1, 100),
            ("LOKOLE_MAX_PACKAGE_MB", self.max_package_mb, 1, 2_000),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} cannot be “{value}”: it must be from {low} to {high}.")
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
    def max_letter_bytes(self) -> int:
        """The largest letter that is taken in, in bytes."""
        return self.max_letter_mb * _MEBI

    @property
    def max_package_bytes(self) -> int:
        """The largest package that a box may upload, in bytes."""
        return self.max_package_mb * _MEBI

    def pictures(self, *, v1: bool) -> PictureLimits:
        """How pictures are made smaller before they travel to a box of ours, or to one of the first Lokole."""
        form = PictureFormat.JPEG if v1 and self.picture_format is PictureFormat.WEBP else self.picture_format
        return PictureLimits(longest_side=self.picture_side, format=form.value)


def split_listen(name: str, text: str) -> tuple[str, int]:
    """``HOST:PORT`` as two; raises ValueError with a sentence that names the setting."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{name} cannot be “{text}”: it must be HOST:PORT, such as 127.0.0.1:8080.")
    return host.removeprefix("[").removesuffix("]"), int(port)
