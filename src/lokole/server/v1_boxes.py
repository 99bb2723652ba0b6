"""Boxes of the first Lokole, served as far as their protocol can be mended (protocol 3).

Such a box puts its package into a storage of its own kind and names it; what it names is copied into our store and read
like every other package. It asks for a package and is given a name in that storage. It never acknowledges, so:
asking changes nothing until the answer is out; then the package is *fetched*, unproven, and its letters wait no longer.
Asked again within a while, or after a broken answer, the box is given the same name; a package of which can be seen
that nobody opened it is offered once more.

This storage is apart from every other store, because such a box holds its key.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from sqlalchemy import select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Address, Contact, Email
from lokole.mailbox import jobs, packages, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.packages import PackageRow, Waiting
from lokole.mailbox.schema import seen
from lokole.mailbox.schema import waiting as waiting_table
from lokole.mailbox.seen import remember, was_seen
from lokole.mailbox.tenants import TenantRow
from lokole.server.devices import EXCHANGED, serves_v1
from lokole.server.offer import MAX_LETTERS, Enough, builder_lock, records, still_waiting
from lokole.server.ports import ExchangeStorage, ServerPorts
from lokole.server.problems import Words
from lokole.server.visits import note_visit
from lokole.sync.ids import record_uid
from lokole.sync.package import Compression, write_package
from lokole.sync.records import EmailRecord

#: Version 1 knows no epochs: its packages are numbered in this one.
EPOCH = 0
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_CHUNK = 256 * 1024
#: a first Lokole's box comes for one package a night, and counts no ratio
_ENOUGH = Enough(bytes=128 * 1024 * 1024)
_UPLOADED, _AGAIN = "v1-upload", "v1-again"


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that a box is about to be told of."""

    tenant: int
    package: int
    name: str


def take_upload(ports: ServerPorts, client_id: str, name: str) -> None:
    """The box says that ``name`` lies in the exchange storage: hold its bytes for good and queue their reading. May be repeated.

    Raises Words (in the first Lokole's) or Refused with code ``too-large``.
    """
    row, storage = _box(ports, client_id)
    if not _PLAIN_NAME.fullmatch(name):
        raise Words(400, "resource_id is not a plain name")
    if not name.endswith((*(one.extension for one in Compression), ".jsonl.gz")):
        ports.events.count("unknown_compression_format")
        raise Words(400, _unknown(name.rpartition(".")[2]))
    key = _key(row, storage, name)
    with ports.database.read() as tx:
        known = was_seen(tx, row.no, _UPLOADED, name)
        others = select(seen.c.tenant).where(seen.c.kind == _UPLOADED, seen.c.key == name, seen.c.tenant != row.no)
        foreign = tx.execute(others).first() is not None and tenants.shares_container(tx, row, storage.shared_container)
    if foreign:
        raise Words(403, "resource belongs to another client")
    if known:
        storage.blobs.delete(key)
        return
    try:
        with storage.blobs.open(key) as stream:
            hold(ports, row, name, stream)
    except NotFound:
        raise Words(404, "resource does not exist") from None
    # plain mail does not stay where every such box can read it
    storage.blobs.delete(key)
    ports.bell.ring()


def was_uploaded(tx: Connection, row: TenantRow, name: str) -> bool:
    """Whether the package that the box calls ``name`` is held already."""
    return was_seen(tx, row.no, _UPLOADED, name)


def hold(ports: ServerPorts, row: TenantRow, name: str, stream: BinaryIO) -> None:
    """Keep the package that the box calls ``name`` for good and queue its reading; may be repeated. Raises Refused with code ``too-large``."""
    now = ports.clock()
    with tempfile.TemporaryFile() as spool:
        digest, size = hashlib.sha256(), 0
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > ports.settings.max_package_bytes:
                raise Refused("the package is too large", code="too-large")
            digest.update(chunk)
            spool.write(chunk)
        sha256 = digest.hexdigest()
        blob = f"{row.domain}/packages/{sha256}"
        ports.blobs.put(blob, _chunks(spool))
    with ports.database.write() as tx:
        seq = packages.next_seq(tx, row.no, EPOCH, "up")
        if (
            not remember(tx, row.no, _UPLOADED, name, now)
            or packages.find_package(tx, row.no, sha256, "up") is not None
        ):
            return
        no = packages.add_package(
            tx,
            row.no,
            epoch=EPOCH,
            direction="up",
            seq=seq,
            sha256=sha256,
            size=size,
            type="application/octet-stream",
            blob=blob,
            letters=0,
            state="held",
            now=now,
        )
        jobs.enqueue(tx, "unpack", f"{row.no}:{no}", {"package": no}, tenant=row.no, now=now)


def offer_download(ports: ServerPorts, client_id: str, compression: str) -> Offer | None:
    """The package that the box is to fetch, built when there is none yet; None when nothing waits. Changes nothing the box could miss."""
    row, storage = _box(ports, client_id)
    try:
        chosen = Compression(compression)
    except ValueError:
        ports.events.count("unknown_compression_format")
        raise Words(400, _unknown(compression)) from None
    with builder_lock(ports, row):
        found = _current(ports, row, storage) or _build(ports, row, storage, chosen)
    return None if found is None else Offer(row.no, found.no, found.blob.rpartition("/")[2].removeprefix(EXCHANGED))


def answered(ports: ServerPorts, offered: Offer) -> None:
    """The answer is out: the package is fetched, unproven, and its letters wait no longer."""
    now = ports.clock()
    with ports.database.write() as tx:
        package = packages.get_package(tx, offered.tenant, offered.package)
        note_visit(tx, offered.tenant, now)
        if package.state != "built":
            return
        packages.set_package_state(tx, package.no, "fetched", now)
        delivered = tx.execute(
            update(waiting_table)
            .where(waiting_table.c.tenant == offered.tenant, waiting_table.c.package == package.no)
            .values(state="delivered")
        ).rowcount
    ports.events.count("emails_delivered_to_client", delivered)
    ports.bell.ring()


def _current(ports: ServerPorts, row: TenantRow, storage: ExchangeStorage) -> PackageRow | None:
    """A package that the box has been told of, or was about to be, and should be told of once more."""
    now = ports.clock()
    with ports.database.read() as tx:
        known = packages.packages_after(tx, row.no, "down", 0, epoch=EPOCH, states=("built", "fetched"))
        again = {one.no for one in known if was_seen(tx, row.no, _AGAIN, str(one.no))}
    for one in reversed(known):
        if not one.blob:
            continue
        if one.state == "built" or now - one.changed_at < ports.settings.v1_window:
            return one
        if one.no in again or storage.was_opened(one.blob.removeprefix(EXCHANGED)) is not False:
            continue
        with ports.database.write() as tx:
            remember(tx, row.no, _AGAIN, str(one.no), now)
        return one
    return None


def _build(ports: ServerPorts, row: TenantRow, storage: ExchangeStorage, compression: Compression) -> PackageRow | None:
    with ports.database.read() as tx:
        pending = [one for one, _ in zip(packages.waiting_rows(tx, row.no, "down"), range(MAX_LETTERS), strict=False)]
    if not pending:
        return None
    taken: list[Waiting] = []
    name = f"{uuid.UUID(bytes=ports.entropy(16), version=4)}{compression.extension}"
    key = _key(row, storage, name)
    with tempfile.TemporaryFile() as spool:
        count = write_package(
            spool, records(ports, row, pending, taken, v1_records, _ENOUGH), compression=compression, own_box=False
        )
        size = spool.tell()
        spool.seek(0)
        sha256 = hashlib.file_digest(spool, "sha256").hexdigest()
        storage.blobs.put(key, _chunks(spool))
    with ports.database.write() as tx:
        seq = packages.next_seq(tx, row.no, EPOCH, "down")  # the lock, see offer.py
        if not still_waiting(tx, row, taken):
            storage.blobs.delete(key)
            return None
        no = packages.add_package(
            tx,
            row.no,
            epoch=EPOCH,
            direction="down",
            seq=seq,
            sha256=sha256,
            size=size,
            type=compression.content_type,
            blob=EXCHANGED + key,
            letters=count,
            state="built",
            now=ports.clock(),
        )
        packages.mark_packed(tx, no, taken)
        return packages.get_package(tx, row.no, no)


def v1_records(
    row: TenantRow, stored: StoredEmail, email: Email, waiting: Waiting, people: list[Address]
) -> list[EmailRecord]:
    """The records for a version 1 box, which shows a letter to whoever its headers name.

    One for those whom the envelope addresses and the headers name; a further one for each whom they do not name (Bcc, a list),
    with only that person in ``bcc``. People of this domain whom this envelope does not address are left out: they get their own.
    """
    named = {_key_of(contact) for contact in (*email.to, *email.cc)}
    plain = replace(
        email,
        sender=email.sender if email.sender.address else Contact("unknown@invalid"),
        sent_at=email.sent_at or stored.received_at,
        bcc=(),
        recipients=(),
    )
    inside = {person.key for person in people if person.key in named}
    made = []
    if inside:
        made.append(EmailRecord(record_uid(stored.id, waiting.recipient), _naming(row, plain, inside)))
    for person in people:
        if person.key not in inside:
            alone = replace(_naming(row, plain, set()), bcc=(Contact(str(person)),))
            made.append(EmailRecord(record_uid(stored.id, person.key), alone))
    return made


def _naming(row: TenantRow, email: Email, people: set[str]) -> Email:
    def keep(contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
        return tuple(one for one in contacts if not _is_of(row, one) or _key_of(one) in people)

    return replace(email, to=keep(email.to), cc=keep(email.cc))


def _is_of(row: TenantRow, contact: Contact) -> bool:
    return _key_of(contact).endswith(f"@{row.domain}")


def _key_of(contact: Contact) -> str:
    try:
        return Address.parse(contact.address).key
    except Refused:
        return ""


def _box(ports: ServerPorts, client_id: str) -> tuple[TenantRow, ExchangeStorage]:
    """The row of a version 1 box; everybody else, a box with a key too, is told the first Lokole's words."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, device_id=client_id)
    if row is None or ports.exchange is None or not ports.settings.v1_boxes or not serves_v1(row):
        ports.events.count("unregistered_client")
        raise Words(403, "client is not registered")
    return row, ports.exchange


def _key(row: TenantRow, storage: ExchangeStorage, name: str) -> str:
    return name if storage.shared_container is not None else f"{row.v1_container}/{name}"


def _unknown(compression: str) -> str:
    return f'unknown compression format "{compression}"'


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        yield chunk
