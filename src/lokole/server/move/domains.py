"""The domains of a first Lokole's server, each with the name that its box knows itself by, and their people.

A domain gets its row as if it had been registered here for a box of the first Lokole: the same client id, which is also the
secret of its webhook, the same owner, the same place where packages are exchanged. So its box goes on and notices nothing.
Nothing outside is told: MX and webhook are switched by the operator, when the rest is here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from lokole.mail.errors import BadPackage, NotFound, Refused
from lokole.mail.model import Address, normal_domain
from lokole.mailbox import tenants
from lokole.mailbox.leaving import take_account
from lokole.mailbox.seen import remember, was_seen
from lokole.mailbox.tenants import REMOVED, WAITING, TenantRow
from lokole.ports.archive import Archive
from lokole.server.devices import new_code
from lokole.server.move import layout
from lokole.server.move.report import Report
from lokole.server.ports import ServerPorts
from lokole.sync.records import AccountRecord

#: kinds of what is ``seen``, so that nothing is taken twice
LETTER, WAITS, PERSON, MESSAGE = "first-letter", "first-waits", "first-person", "first-message"
_CLIENT_ID = re.compile("[A-Za-z0-9-]{1,64}")
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}")
_MAX_OWNER = 200


@dataclass(frozen=True, slots=True)
class Source:
    """The three storage accounts of a first Lokole's server."""

    blobs: Archive
    tables: Archive
    clients: Archive


@dataclass(frozen=True, slots=True)
class Client:
    """A box as the first server knows it; ``owner`` is "" where it did not note one."""

    domain: str
    client_id: str
    owner: str = ""


@dataclass(slots=True)
class Move:
    """One run. ``rows`` are the domains that move, None for one that a trial has not made."""

    ports: ServerPorts
    source: Source
    report: Report
    rows: dict[str, TenantRow | None] = field(default_factory=dict)

    def read(self, archive: Archive, container: str, name: str) -> dict[str, Any]:
        """The object of that name; raises NotFound and BadPackage."""
        return layout.read_object(archive.read(container, name, layout.MAX_BYTES))

    def names(self, archive: Archive, container: str) -> list[str]:
        """The names in ``container``, none when it is not there: it is made with its first object."""
        try:
            return archive.names(container)
        except NotFound:
            return []


def take_domains(move: Move, only: frozenset[str]) -> None:
    """Make the rows of all domains, or of those in ``only``; raises Refused, nothing done, when there is no list of them, or one is not on it."""
    found: dict[str, Client] = {}
    for client in _clients(move):
        known = found.setdefault(client.domain, client)
        if known.client_id != client.client_id:
            reason = "the domain has two client ids; the one under its own name was taken"
            move.report.say(layout.AUTH, client.client_id, reason)
    missing = sorted(only - found.keys())
    if missing:
        raise Refused(f"the first server does not know {', '.join(missing)}", code="domain")
    for domain in sorted(only or found):
        _take_domain(move, found[domain])
    move.report.of_others += len(found.keys() - (only or found.keys()))


def _clients(move: Move) -> Iterator[Client]:
    """All boxes, those noted under their domain first."""
    try:
        names = move.source.tables.names(layout.AUTH)
    except NotFound:
        raise Refused(f"there is no container {layout.AUTH} in the storage of --tables", code="setting") from None
    ids = []
    for name in names:
        folder, key = str(PurePosixPath(name).parent), layout.bare(PurePosixPath(name).name)
        if folder == "client_id" or (folder == "." and "." not in key):
            ids.append(name)
        elif folder in ("domain", "."):
            yield from _client(move, name, domain=key)
        else:
            move.report.bad("domains", layout.AUTH, name, "its name is not one of a box")
    for name in ids:
        yield from _client(move, name, client_id=layout.bare(PurePosixPath(name).name))


def _client(move: Move, name: str, *, domain: str = "", client_id: str = "") -> Iterator[Client]:
    owner: object = ""
    try:
        if name.endswith(layout.TEXT):
            text = layout.read_text(move.source.tables.read(layout.AUTH, name, layout.MAX_BYTES))
            domain, client_id = domain or text, client_id or text
        else:
            fields = move.read(move.source.tables, layout.AUTH, name)
            domain, client_id = str(fields.get("domain")), str(fields.get("client_id"))
            owner = fields.get("owner")
        if not _CLIENT_ID.fullmatch(client_id):
            raise BadPackage("the client id is none")
        owner = owner[:_MAX_OWNER] if isinstance(owner, str) else ""
        yield Client(normal_domain(domain), client_id, owner)
    except (NotFound, BadPackage, Refused) as error:
        move.report.bad("domains", layout.AUTH, name, error)


def _take_domain(move: Move, client: Client) -> None:
    ports, counts = move.ports, move.report.counts["domains"]
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain=client.domain)
        other = tenants.find_tenant(tx, device_id=client.client_id)
    if other is not None and (row is None or other.no != row.no):
        move.report.bad("domains", layout.AUTH, client.domain, f"its client id belongs to {other.domain} here")
        return
    if row is not None:
        if row.device_id != client.client_id or row.state == REMOVED:
            reason = "the domain is registered here for another box" if row.state != REMOVED else "it is being removed"
            move.report.bad("domains", layout.AUTH, client.domain, reason)
            return
        move.rows[client.domain] = row
        counts.known += 1
        return
    counts.new += 1
    move.rows[client.domain] = None if move.report.dry else _new_row(ports, client)


def _new_row(ports: ServerPorts, client: Client) -> TenantRow:
    assert ports.exchange is not None  # asked for before
    container = ports.exchange.shared_container or layout.PACKAGES
    ports.exchange.prepare(container)
    with ports.database.write() as tx:
        no = tenants.add_tenant(
            tx,
            domain=client.domain,
            device_id=client.client_id,
            owner=client.owner,
            state=WAITING,
            webhook_secret=client.client_id,
            claim_code=new_code(ports.entropy),
            v1=True,
            v1_container=container,
            now=ports.clock(),
        )
        return tenants.get_tenant(tx, no)


# --- people --------------------------------------------------------------------------------------


def take_people(move: Move) -> None:
    """The people of the domains that move; what a box has told here since is newer and stays."""
    for name in move.names(move.source.blobs, layout.USERS):
        if name.partition("/")[0].lower() not in move.rows:
            move.report.of_others += 1
            continue
        try:
            fields = move.read(move.source.blobs, layout.USERS, name)
            address = Address.parse(str(fields.get("email") or layout.bare(PurePosixPath(name).name)))
            if address.domain != name.partition("/")[0].lower():
                raise BadPackage("the person belongs to another domain")
        except (NotFound, BadPackage, Refused) as error:
            move.report.bad("people", layout.USERS, name, error)
            continue
        told = fields.get("password")
        hashed = told if isinstance(told, str) and _BCRYPT.fullmatch(told) else None
        if hashed is None:
            move.report.without_password.append(str(address))
        _take_person(move, address, hashed)


def _take_person(move: Move, address: Address, hashed: str | None) -> None:
    row, counts = move.rows[address.domain], move.report.counts["people"]
    key = hashlib.sha256(f"{address.key}\n{hashed or ''}".encode()).hexdigest()
    if row is None:
        counts.new += 1
        return
    ports = move.ports
    if move.report.dry:
        with ports.database.read() as tx:
            known = was_seen(tx, row.no, PERSON, key)
    else:
        with ports.database.write() as tx:
            known = not remember(tx, row.no, PERSON, key, ports.clock())
            if not known:
                take_account(tx, row.no, AccountRecord(str(address), hashed), ports.clock())
    counts.known += known
    counts.new += not known
