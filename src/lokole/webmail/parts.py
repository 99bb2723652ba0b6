"""What the pages are made of: the ports they ask, their settings, and whose mail they show.

``create_app`` keeps one :class:`Parts` in the application; views reach it with :func:`parts`.
Nothing here knows Flask beyond that one look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from flask import current_app

from lokole.mail.errors import Refused
from lokole.mail.model import Address, PictureLimits, TenantNo
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.tenants import REMOVED, find_tenant
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy, Shrink
from lokole.ports.mobile_networks import MobileNetworks
from lokole.ports.updater import Updater
from lokole.sync.bundle import Bundle

#: the schedule as ``mailbox.options`` keeps it under the name "schedule":
#: ``{"hours": [2], "days": null}`` (days of the week, 0 is Monday) or ``{"cron": "0 2 * * *"}``.
Schedule = Mapping[str, object]
DEFAULT_SCHEDULE: Schedule = {"hours": [2], "days": None}


class Brought(Protocol):
    """What a carrier brought to a box: packages for it (``known`` of them were there), their letters, and why others were refused."""

    packages: int
    known: int
    letters: int
    quarantined: int
    refused: list[str]


class Carrier(Protocol):
    """Mail of the box by whoever goes to town (protocol 9.3)."""

    def is_ready(self) -> bool:
        """Whether the box has a server that such mail can go to."""

    def town(self) -> str | None:
        """The address of the page in town, or None while no server is known."""

    def pack(self) -> Bundle:
        """What waits, as one file, sealed; raises Refused (``unregistered``, ``busy``)."""

    def take(self, stream: BinaryIO) -> Brought:
        """Take a file in, as often as it comes; raises Refused (``unregistered``, ``busy``), Temporary when the box is full."""


class Town(Protocol):
    """The server's end of it."""

    def hand_in(self, stream: BinaryIO) -> tuple[str, Bundle]:
        """The domain of the box that made the file, and what it gets in return; raises Refused with a word of protocol 6.6."""


@dataclass(frozen=True, slots=True)
class Room:
    """How full the disk is, and what of it is the database's and the files'; all in bytes."""

    free: int
    total: int
    database: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class WebmailPorts:
    """What the pages ask of the outside.

    ``origin`` is who makes letter ids here: the device's id, or ``server``.
    ``sync_now`` starts a meeting and returns at once with ``started`` or ``busy``; None where there is nobody to meet.
    ``next_departure`` is when the next package leaves, or None when none is planned.
    ``check_schedule`` raises Refused for a schedule that cannot be kept, with code ``never`` for one without a departure; it is told before it is saved.
    ``schedule_changed`` is called after a new schedule was saved.
    ``register`` claims the box's place at a server (code, address of the server or None) and returns device id and domain;
    it raises Refused and Temporary. ``server_url`` is the server that is known. ``room`` says how full the disk is; with True also
    what takes it up, which may take a while. ``tidy`` lets go of files that no letter names, and returns how many.
    ``written`` is told of each letter that somebody sent (tenant, letter), in the transaction that stores it.
    ``mobile_networks`` is the list that a modem's access point is chosen from; None where no modem is looked after.
    ``updater`` brings a new version of the program, None where nobody has set one up.
    ``carrier`` packs and takes mail for passers-by at the box, ``town`` takes it at the server; each page is where its port is.
    """

    database: Database
    blobs: BlobStore
    clock: Clock
    entropy: Entropy
    shrink: Shrink
    origin: str
    sync_now: Callable[[], str] | None = None
    next_departure: Callable[[], datetime | None] | None = None
    check_schedule: Callable[[Schedule], object] | None = None
    schedule_changed: Callable[[], None] | None = None
    written: Callable[[Connection, int, int], None] | None = None
    carrier: Carrier | None = None
    town: Town | None = None
    register: Callable[[str, str | None], tuple[str, str]] | None = None
    server_url: Callable[[], str | None] | None = None
    room: Callable[[bool], Room] | None = None
    tidy: Callable[[], int] | None = None
    mobile_networks: MobileNetworks | None = None
    updater: Updater | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebmailSettings:
    """How the pages behave. ``session_key`` signs cookies and has no default; sizes are in bytes, times as named."""

    session_key: bytes
    cookie_name: str = "lokole"
    prefix: str = ""  # such as "/lokole": where the pages live, and the path of the cookie
    secure_cookie: bool = False  # True wherever the pages are served by HTTPS only
    default_language: str = "en"
    time_zone: str = "UTC"  # of people who have not told theirs
    rows_per_page: int = 20
    max_upload_bytes: int = 10 * 2**20  # the whole form: text and files together
    max_recipients: int = 50
    session_days: int = 14
    shared_minutes: int = 10  # how long a shared telephone stays signed in without a touch
    bcrypt_cost: int = 12
    min_password_length: int = 8
    sign_up: bool = True
    password_change: bool = True
    search: bool = True
    writing: bool = True  # False where a letter could be read but not sent
    in_town: bool = False  # True on the server: letters leave and come at once, and the box hears of them later
    welcome_from: str = "info@team.lokole.ca"
    name_questions: str = "60 per minute"  # per address of the caller: is this name free?
    sign_in_tries_per_place: str = "60 per minute"  # per address of the caller: one hotspot may be many people
    sign_ups: str = "30 per hour"  # per address of the caller
    letters: str = "120 per hour"  # per person
    carrier_files: str = "30 per hour"  # files fetched, and files handed in, per address of the caller
    pictures: PictureLimits = field(default_factory=PictureLimits)
    address: str = (
        ""  # what people type to get here, such as http://lokole.lan/; without it nobody who joins the Wi-Fi is told
    )
    template_cache: Path | None = None  # a folder for compiled templates
    links: tuple[tuple[str, str], ...] = ()  # further addresses the start page names: (text, address)

    def __post_init__(self) -> None:
        if len(self.session_key) < 16:
            raise ValueError("the key of the sessions needs at least 16 bytes")


class Tenants(Protocol):
    """Whose mail these pages show."""

    @property
    def here(self) -> TenantNo | None:
        """The one tenant of a box, or None where there are many."""

    @property
    def domain(self) -> str | None:
        """The domain of the one tenant, or None where there are many."""

    def tenant_for_login(self, tx: Connection, text: str) -> tuple[TenantNo, str] | None:
        """The tenant and name that somebody who signs in as ``text`` means; None when there is none such."""


@dataclass(frozen=True, slots=True)
class OneTenant:
    """A box: people sign in with their name or their whole address."""

    here: TenantNo
    domain: str

    def tenant_for_login(self, tx: Connection, text: str) -> tuple[TenantNo, str] | None:
        name, at, domain = text.strip().partition("@")
        if at and domain.strip().rstrip(".").lower() != self.domain:
            return None
        return (self.here, name.casefold()) if name else None


@dataclass(frozen=True, slots=True)
class ManyTenants:
    """The server: people sign in with their whole address."""

    @property
    def here(self) -> None:
        return None

    @property
    def domain(self) -> None:
        return None

    def tenant_for_login(self, tx: Connection, text: str) -> tuple[TenantNo, str] | None:
        try:
            address = Address.parse(text)
        except Refused:
            return None
        row = find_tenant(tx, domain=address.domain)
        # what was deleted may be a while on its way out
        return (row.no, address.local.casefold()) if row is not None and row.state != REMOVED else None


@dataclass(frozen=True, slots=True)
class Parts:
    ports: WebmailPorts
    settings: WebmailSettings
    tenants: Tenants


def parts() -> Parts:
    """The parts of the application that answers the current request."""
    return cast(Parts, current_app.extensions["lokole"])
