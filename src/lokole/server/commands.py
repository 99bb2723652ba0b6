"""What commands of an operator ask of a server that need not run: keys, records, findings, queues, storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from lokole.adapters.archive.open import open_archive
from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import normal_domain
from lokole.mailbox import jobs, tenants
from lokole.mailbox.database import Database
from lokole.mailbox.migrate import HEAD, is_ahead, is_current, read_step
from lokole.ports.blobs import BlobStore
from lokole.server.build import build_ports, open_database
from lokole.server.dns_records import Checked, check_records
from lokole.server.doctor import Finding, data_finding, examine
from lokole.server.drivers import (
    database_url,
    open_broker,
    open_store,
)
from lokole.server.keys import server_seed
from lokole.server.move.domains import Source
from lokole.server.move.report import Report
from lokole.server.move.run import import_first
from lokole.server.ports import ServerPorts
from lokole.server.settings import FirstStoreKeys, ServerSettings
from lokole.sync.signing import encode_key


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


@contextmanager
def opened(settings: ServerSettings) -> Iterator[ServerPorts]:
    """The ports of a server whose database is as this version needs it; raises Refused for an older one, which only a server brings up to date."""
    if not is_current(database_url(settings)):
        raise Refused("the database is not at the step of this version: lokole migrate server")
    ports = build_ports(settings)
    try:
        yield ports
    finally:
        ports.database.close()


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
        step = read_step(database_url(settings))
    except Exception as error:
        yield Finding("database", "bad", f"it cannot be opened ({type(error).__name__})", "look at LOKOLE_DATABASE")
        return
    if is_ahead(step):
        sentence = f"a newer release has been here: it is at step {step}, this version at {HEAD}"
        yield Finding("database", "warning", sentence, "upgrade this one too; nothing is harmed until then")
    elif step != HEAD:
        yield Finding("database", "bad", "it is not at the step of this version", "lokole migrate server")
        return
    else:
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
    stores = [open_store(settings.blobs_url, settings.blobs_key)]
    if settings.exchange is not None:
        stores.append(open_store(settings.exchange, settings.exchange_key))
    database = open_database(settings)
    try:
        yield database, stores
    finally:
        database.close()
