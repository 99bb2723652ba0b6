"""A box with its pages over an own database and memory blobs; what a person would need an hour for happens by an injected clock."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import select

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.adapters.mobile_networks.serviceproviders import ServiceProviders
from lokole.mail.model import Account, Address, Contact, Email, PictureLimits, TenantNo
from lokole.mailbox import accounts, attachments, identity, letters, passwords, schema
from lokole.mailbox.database import Database
from lokole.mailbox.migrate import migrate
from lokole.mailbox.tenants import add_tenant
from lokole.ports.updater import Update
from lokole.sync.bundle import Bundle
from lokole.webmail.app import OneTenant, WebmailPorts, WebmailSettings, create_app
from tests.corpus import REPOSITORY
from tests.unit.webmail.browser import Browser

DOMAIN = "bolenge.lokole.ca"
PASSWORD = "three small words"
#: a list of networks that do not exist
NETWORKS = REPOSITORY / "tests" / "serviceproviders.xml"


def small(content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
    """Stands in for the picture program: what begins as a JPEG becomes eleven bytes of WebP."""
    return (b"RIFFsmaWEBP", "image/webp") if content.startswith(b"\xff\xd8") else None


@dataclass
class Brought:
    """What :class:`CarrierHere` found in a file."""

    packages: int = 0
    known: int = 0
    letters: int = 0
    quarantined: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass
class CarrierHere:
    """Stands in for the exchange by carriers: what a test puts here comes out, and what it was asked for is written down."""

    calls: list[str]
    ready: bool = True
    address: str | None = "https://mail.example.org/carry"
    bundle: Bundle = field(default_factory=lambda: Bundle([("0" * 64, 3, [b"LKL"])]))
    brought: Brought = field(default_factory=Brought)
    trouble: Exception | None = None

    def is_ready(self) -> bool:
        return self.ready

    def town(self) -> str | None:
        return self.address

    def pack(self) -> Bundle:
        self._asked("pack")
        return self.bundle

    def take(self, stream: BinaryIO) -> Brought:
        self._asked(f"take {len(stream.read())}")
        return self.brought

    def _asked(self, what: str) -> None:
        self.calls.append(what)
        if self.trouble is not None:
            raise self.trouble


@dataclass
class UpdaterHere:
    """Stands in for what brings a new version: what a test puts here is told, and what it was asked for is written down."""

    calls: list[str]
    ready: bool = True
    answer: str = "started"
    update: Update | None = None
    trouble: Exception | None = None

    def is_ready(self) -> bool:
        return self.ready

    def start(self, version: str) -> str:
        self.calls.append(f"update {version}".strip())
        if self.trouble is not None:
            raise self.trouble
        return self.answer

    def last(self) -> Update | None:
        return self.update


@dataclass
class Box:
    """The box under test and its handles."""

    app: Flask
    ports: WebmailPorts
    settings: WebmailSettings
    tenant: TenantNo
    clock: list[datetime]
    departs: list[datetime | None]
    calls: list[str]
    carrier: CarrierHere

    def browser(self, language: str = "en") -> Browser:
        return Browser(self.app, language)

    def person(self, name: str, **values: Any) -> Account:
        with self.ports.database.write() as tx:
            return accounts.create_account(tx, self.tenant, name, password_hash=_hash(), now=self.clock[0], **values)

    def signed_in(self, name: str, language: str = "en", **values: Any) -> Browser:
        """A browser in which ``name``, a new person, is signed in."""
        self.person(name, language=language, **values)
        return self.enter(name, language)

    def enter(self, name: str, language: str = "en") -> Browser:
        browser = self.browser(language).open(self.settings.prefix + "/user/login")
        form = browser.fields(self.settings.prefix + "/user/login")
        token = dict(form.fields)["csrf_token"]
        browser.post(form.action, {"csrf_token": token, "name": name, "password": PASSWORD, "own": "y"})
        assert browser.status == 200, browser.text
        return browser

    def letter(self, holder: str, subject: str = "Hello", body: str = "<p>Good morning</p>", **values: Any) -> int:
        """A letter from the world lies in the inbox of ``holder``; returns its number."""
        files = attachments.put_attachments(self.ports.blobs, DOMAIN, values.pop("attachments", ()))
        read = values.pop("read", False)
        values.setdefault("sender", Contact("ruth@example.com", "Ruth Namatovu"))
        values.setdefault("to", (Contact(f"{holder}@{DOMAIN}"),))
        email = Email(subject=subject, body=body, sent_at=self.clock[0], **values)
        with self.ports.database.write() as tx:
            person = accounts.find_account(tx, self.tenant, holder)
            assert person is not None
            id_ = identity.next_email_id(tx, "server")
            no, _created = letters.store_email(
                tx,
                self.tenant,
                email,
                id=id_,
                received_at=self.clock[0],
                attachments=files,
                deliver_to=[person.no],
                read=read,
            )
        return no

    def later(self, **duration: float) -> None:
        self.clock[0] += timedelta(**duration)

    def fingerprint(self) -> str:
        """All rows of all tables, for "nothing was changed"."""
        digest = hashlib.sha256()
        with self.ports.database.read() as tx:
            for table in schema.metadata.sorted_tables:
                for row in sorted(repr(tuple(row)) for row in tx.execute(select(table))):
                    digest.update(f"{table.name} {row}\n".encode())
        return digest.hexdigest()


class _Compiled(BytecodeCache):
    """Templates compiled once for all tests."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


_TEMPLATES = _Compiled()
_HASHES: list[str] = []


def _hash() -> str:
    if not _HASHES:
        _HASHES.append(passwords.hash_password(PASSWORD, 10))
    return _HASHES[0]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "empty.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def make_box(tmp_path: Path, empty_database: Path) -> Iterator[Callable[..., Box]]:
    made: list[Database] = []

    def make(**changed: Any) -> Box:
        path = tmp_path / f"box{len(made)}.db"
        shutil.copy(empty_database, path)
        database = Database(f"sqlite:///{path}")
        made.append(database)
        clock = [datetime(2026, 11, 23, 10, 0, tzinfo=UTC)]
        departs: list[datetime | None] = [datetime(2026, 11, 24, 2, 0, tzinfo=UTC)]
        counter = [0]

        def entropy(count: int) -> bytes:
            counter[0] += 1
            return hashlib.shake_256(str(counter[0]).encode()).digest(count)

        with database.write() as tx:
            identity.ensure_identity(tx, entropy)
            tenant = add_tenant(
                tx, domain=DOMAIN, device_id="device-1", owner="o", state="claimed", webhook_secret="w", now=clock[0]
            )
        calls: list[str] = []

        def sync_now() -> str:
            calls.append("sync")
            return "started" if len(calls) == 1 else "busy"

        carrier = CarrierHere(calls)
        port_names = set(WebmailPorts.__dataclass_fields__)
        ports = WebmailPorts(
            database=database,
            blobs=MemoryBlobStore(),
            clock=lambda: clock[0],
            entropy=entropy,
            shrink=small,
            origin="device-1",
            sync_now=sync_now,
            next_departure=lambda: departs[0],
            schedule_changed=lambda: calls.append("schedule"),
            carrier=carrier,
            mobile_networks=ServiceProviders(NETWORKS),
            updater=UpdaterHere(calls),
        )
        ports = replace(ports, **{name: value for name, value in changed.items() if name in port_names})
        tenants = changed.pop("tenants", OneTenant(tenant, DOMAIN))
        settings = WebmailSettings(
            session_key=b"only for tests, only for tests",
            bcrypt_cost=10,
            **{name: value for name, value in changed.items() if name not in port_names},
        )
        app = create_app(ports, settings, tenants)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        app.jinja_env.bytecode_cache = _TEMPLATES
        return Box(app, ports, settings, tenant, clock, departs, calls, carrier)

    yield make
    for database in made:
        database.close()


@pytest.fixture
def box(make_box: Callable[..., Box]) -> Box:
    return make_box()


@pytest.fixture
def address() -> Callable[[str], str]:
    return lambda name: str(Address(name, DOMAIN))
