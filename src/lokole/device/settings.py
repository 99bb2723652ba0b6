"""The settings of a box; ``lokole config describe device`` prints them.

What an administrator edits in the browser (the schedule, who may sign in) is data in the database and not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from lokole.config import Url, setting
from lokole.mail.model import PictureLimits


class PictureFormat(StrEnum):
    """What a picture becomes before it travels."""

    WEBP = "webp"
    JPEG = "jpeg"
    KEEP = "keep"


class PackageCompression(StrEnum):
    """How the box packs what it uploads; it reads all of them."""

    ZSTD = "zstd"
    GZ = "gz"
    BZ2 = "bz2"
    XZ = "xz"


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One box. Every default is one that a box in the field can live with."""

    data: Path = setting(
        "LOKOLE_DATA", "The folder that keeps everything this box knows.", default=Path("/var/lib/lokole")
    )
    database: Url | None = setting(
        "LOKOLE_DATABASE", "The database, as sqlite:////path. Without it: lokole.db in LOKOLE_DATA.", default=None
    )
    blobs: Url | None = setting(
        "LOKOLE_BLOBS",
        "Where attachments and packages are kept, as folder:///path. Without it: blobs in LOKOLE_DATA.",
        default=None,
    )
    listen: str = setting("LOKOLE_LISTEN", "Where the web pages listen, as HOST:PORT.", default="127.0.0.1:5000")
    path_prefix: str = setting(
        "LOKOLE_PATH_PREFIX", "The path under which the web pages are reached, such as /lokole.", default="/"
    )
    address: Url | None = setting(
        "LOKOLE_ADDRESS",
        "What people type to reach the pages, such as http://lokole.lan/. With it, a telephone that joins the Wi-Fi and asks\n"
        "its maker's address for internet is told where to go.",
        default=None,
    )
    https: bool = setting(
        "LOKOLE_HTTPS",
        "Whether people reach the pages by https only; then cookies travel by https only.",
        default=False,
    )
    trusted_proxy: str | None = setting(
        "LOKOLE_TRUSTED_PROXY",
        "The address of the web server in front of the pages, whose X-Forwarded-For is believed.",
        default=None,
    )
    threads: int = setting("LOKOLE_THREADS", "How many pages are made at the same time.", default=4)
    session_key: str | None = setting(
        "LOKOLE_SESSION_KEY",
        "What cookies are signed with, at least 16 characters. Without it the box makes its own at its first start.",
        default=None,
        secret=True,
        also=("OPWEN_SESSION_KEY",),
    )
    server_url: Url | None = setting(
        "LOKOLE_SERVER_URL",
        "The server this box meets. Without it: the one given to `lokole device register`.",
        default=None,
    )
    domain: str = setting(
        "LOKOLE_DOMAIN",
        "What follows the @ in addresses until the box is registered; from then on the server says it.",
        default="lokole.local",
    )
    uplink: Url = setting(
        "LOKOLE_UPLINK",
        "The way to the internet: always: when it is simply there, none: for a box that never meets a server.",
        default=Url("always:"),
    )
    time_zone: str | None = setting(
        "LOKOLE_TIME_ZONE",
        "The time zone in which the hours of the schedule are meant, such as Africa/Kinshasa. Without it: the system's.",
        default=None,
    )
    compression: PackageCompression = setting(
        "LOKOLE_COMPRESSION", "How packages to the server are compressed.", default=PackageCompression.ZSTD
    )
    picture_side: int = setting(
        "LOKOLE_PICTURE_SIDE", "The longest side of a picture that travels, in pixels.", default=640
    )
    picture_format: PictureFormat = setting(
        "LOKOLE_PICTURE_FORMAT", "What pictures become before they travel.", default=PictureFormat.WEBP
    )
    max_upload_mb: int = setting(
        "LOKOLE_MAX_UPLOAD_MB", "The most that one letter may carry, in megabytes.", default=10
    )
    page_size: int = setting("LOKOLE_PAGE_SIZE", "How many letters stand on one page.", default=20)
    language: str = setting("LOKOLE_LANGUAGE", "The language of the pages before a person chose one.", default="en")
    can_sign_up: bool = setting("LOKOLE_CAN_SIGN_UP", "Whether anybody near the box may sign up.", default=True)
    can_change_password: bool = setting(
        "LOKOLE_CAN_CHANGE_PASSWORD", "Whether people may change their password.", default=True
    )
    can_search: bool = setting("LOKOLE_CAN_SEARCH", "Whether people may search their letters.", default=True)

    mobile_networks: Path = setting(
        "LOKOLE_MOBILE_NETWORKS",
        "The list of mobile networks, as Debian's package mobile-broadband-provider-info brings it.",
        default=Path("/usr/share/mobile-broadband-provider-info/serviceproviders.xml"),
    )
    update_command: Path | None = setting(
        "LOKOLE_UPDATE_COMMAND",
        "The program that brings a new version of Lokole, as an absolute path. An administrator's “Update now” runs it without a shell,\n"
        "with the wished version as its only argument, or with none for the newest. Without it the page says what to do.",
        default=None,
    )

    def __post_init__(self) -> None:
        if self.update_command is not None and not self.update_command.is_absolute():
            raise ValueError(f"LOKOLE_UPDATE_COMMAND cannot be “{self.update_command}”: it must begin with /.")
        if self.session_key is not None and len(self.session_key) < 16:
            raise ValueError("LOKOLE_SESSION_KEY is too short: give it at least 16 characters.")
        if not self.path_prefix.startswith("/"):
            raise ValueError("LOKOLE_PATH_PREFIX must begin with /.")
        if self.uplink not in ("always:", "none:"):
            raise ValueError(f"LOKOLE_UPLINK cannot be “{self.uplink}”: it must be always: or none:.")
        for name, value, low, high in (
            ("LOKOLE_THREADS", self.threads, 1, 64),
            ("LOKOLE_PICTURE_SIDE", self.picture_side, 16, 10_000),
            ("LOKOLE_MAX_UPLOAD_MB", self.max_upload_mb, 1, 30),
            ("LOKOLE_PAGE_SIZE", self.page_size, 1, 200),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} cannot be “{value}”: it must be from {low} to {high}.")
        split_listen(self.listen)

    @property
    def database_url(self) -> str:
        """The database, as SQLAlchemy writes it."""
        return self.database or f"sqlite:///{(self.data / 'lokole.db').absolute()}"

    @property
    def blobs_url(self) -> str:
        """Where blobs are kept, as ``adapters.blobs`` reads it."""
        return self.blobs or f"folder://{quote(str((self.data / 'blobs').absolute()))}"

    @property
    def pictures(self) -> PictureLimits:
        """How pictures are made smaller before they travel."""
        return PictureLimits(longest_side=self.picture_side, format=self.picture_format.value)


def split_listen(text: str) -> tuple[str, int]:
    """``HOST:PORT`` as two; raises ValueError with a sentence."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"LOKOLE_LISTEN cannot be “{text}”: it must be HOST:PORT, such as 127.0.0.1:5000.")
    return host.removeprefix("[").removesuffix("]"), int(port)
