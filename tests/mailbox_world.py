"""A box with three people, for tests of the mailbox on either engine; the fixtures ``world`` and what it stands on."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from lokole.mail.model import Account, Contact, Email, EmailId, EmailNo, TenantNo
from lokole.mailbox import accounts, identity, letters, tenants
from lokole.mailbox.database import Connection, Database

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
