"""A box with three people, for tests of the mailbox on either engine; the fixtures ``world`` and what it stands on."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from lokole.mail.model import Account, Contact, Email, EmailId, EmailNo, TenantNo
from lokole.mailbox import accounts, identity, letters, schema, tenants
from lokole.mailbox.attachments import load_attachments
from lokole.mailbox.database import Connection, Database
from lokole.ports.blobs import BlobStore

DOMAIN = "village.lokole.ca"
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def email_from(sender: str, **values: object) -> Email:
    """A letter with that sender; texts among ``to`` and ``cc`` become contacts."""
    for name in ("to", "cc", "bcc", "reply_to"):
        if name in values:
            texts = values[name]
            assert isinstance(texts, tuple)
            values[name] = tuple(Contact(text) if isinstance(text, str) else text for text in texts)
    return Email(sender=Contact(sender), **values)  # type: ignore[arg-type]


@dataclass
class World:
    """One tenant, three people, a clock that moves when told."""

    database: Database
    tenant: TenantNo
    ann: Account
    bob: Account
    eve: Account
    now: datetime = START
    random: random.Random = field(default_factory=lambda: random.Random(7))

    @property
    def people(self) -> tuple[Account, Account, Account]:
        return self.ann, self.bob, self.eve

    def entropy(self, count: int) -> bytes:
        return self.random.randbytes(count)

    def later(self, **units: float) -> datetime:
        self.now += timedelta(**units)
        return self.now

    def incoming(
        self, tx: Connection, people: Sequence[Account], *, sender: str = "out@example.org", **values: object
    ) -> EmailNo:
        """A letter from outside, given to ``people``; returns its number."""
        values.setdefault("to", tuple(str(one.address) for one in people))
        letter = email_from(sender, **values)
        no, created = letters.store_email(
            tx,
            self.tenant,
            letter,
            id=EmailId(self.entropy(16)),
            received_at=self.now,
            deliver_to=[one.no for one in people],
        )
        assert created
        return no

    def written(self, tx: Connection, writer: Account, **values: object) -> EmailNo:
        """A letter that ``writer`` sends; returns its number."""
        letter = email_from(str(writer.address), **values)
        return letters.write_letter(
            tx, self.tenant, writer, letter, id=identity.next_email_id(tx, "device-1"), now=self.now
        )


def make_world(database: Database) -> World:
    """Fill a migrated, empty database."""
    source = random.Random(1)
    with database.write() as tx:
        identity.ensure_identity(tx, source.randbytes)
        tenant = tenants.add_tenant(
            tx, domain=DOMAIN, device_id="device-1", state="claimed", webhook_secret="hook-1", now=START
        )
        ann, bob, eve = (
            accounts.create_account(tx, tenant, name, password_hash=None, now=START) for name in ("ann", "bob", "eve")
        )
    return World(database, tenant, ann, bob, eve)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def world(database: Database) -> World:
    return make_world(database)


def load_email(tx: Connection, blobs: BlobStore, tenant_no: int, domain: str, email_no: int) -> Email:
    """The whole letter with the bytes of its files."""
    stored = letters.read_email(tx, tenant_no, email_no)
    return replace(stored.email, attachments=load_attachments(blobs, domain, stored.attachments))


def unknown_people(tx: Connection, tenant_no: int) -> list[tuple[int, str]]:
    """Letters (number, address) whose envelope names somebody the tenant did not know when they came."""
    query = (
        select(schema.envelope.c.email, schema.envelope.c.address)
        .where(schema.envelope.c.tenant == tenant_no, schema.envelope.c.state == "unknown")
        .order_by(schema.envelope.c.email, schema.envelope.c.address)
    )
    return [(row.email, row.address) for row in tx.execute(query)]


def count_outbound(tx: Connection, tenant_no: int, direction: str, kind: str) -> int:
    """How many records of a kind there are, delivered ones too."""
    query = (
        select(func.count())
        .select_from(schema.outbound)
        .where(
            schema.outbound.c.tenant == tenant_no,
            schema.outbound.c.direction == direction,
            schema.outbound.c.kind == kind,
        )
    )
    return int(tx.execute(query).scalar_one())
