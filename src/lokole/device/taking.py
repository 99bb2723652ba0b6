"""A package from the server into the mailboxes of this box, however it came: by the line or by a carrier.

First its bytes are durable, then its number is noted, then its records are taken in one by one; each step may be repeated.
Nothing is acknowledged here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO

from lokole.device import packing
from lokole.device.importing import Imported, import_package
from lokole.mail.errors import BadPackage, NotFound
from lokole.mailbox import packages
from lokole.mailbox.database import Database
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.tenants import TenantRow
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy
from lokole.ports.sync_peer import Offered
from lokole.sync.container import CONTENT_TYPE, for_exchange
from lokole.sync.limits import BOX
from lokole.sync.package import read_package
from lokole.sync.records import AnyRecord
from lokole.sync.sealed import read_sealed

DOWN = "down"


def take_package(
    offered: Offered,
    content_of: Callable[[], Iterator[bytes]],
    *,
    database: Database,
    blobs: BlobStore,
    clock: Clock,
    tenant: TenantRow,
    entropy: Entropy,
    seed: bytes,
    again: bool = False,
    by_carrier: bool = False,
) -> Imported | None:
    """Have ``offered`` in the mailboxes of this box; returns what came of it, None when it was there already.

    ``content_of`` begins to give its bytes and is asked only when they are not here; with ``again`` a known package is read once more.
    Where the number is taken by other bytes, a package that the server offers gets it, one that came ``by_carrier`` does not.
    Raises BadPackage, and what ``content_of`` raises.
    """
    seq = offered.seq
    with database.read() as tx:
        known = packages.find_package_by_seq(tx, tenant.no, offered.epoch, DOWN, offered.seq)
        server_key = packing.find_server_key(tx, tenant.no)
    if known is not None and known.sha256 != offered.ref:
        known, seq = _beside(database, tenant, known, offered, clock(), by_carrier=by_carrier)
    if known is not None and known.state != "held" and not again:
        return None
    blob = f"{tenant.domain}/pkg-{offered.ref}"
    if known is None or not _is_there(blobs, blob, offered):
        blobs.put(blob, _verified(content_of(), offered))
    if known is None:
        with database.write() as tx:
            package_no = packages.add_package(
                tx,
                tenant.no,
                epoch=offered.epoch,
                direction=DOWN,
                seq=seq,
                sha256=offered.ref,
                size=offered.size,
                type=offered.type,
                blob=blob,
                letters=0,
                state="held",
                now=clock(),
            )
    else:
        package_no = known.no
    with blobs.open(blob) as content:
        sealed = offered.type == CONTENT_TYPE
        records = (
            _opened(content, offered, tenant, seed, server_key)
            if sealed
            else enumerate(read_package(content, limits=BOX), start=1)
        )
        imported = import_package(
            records,
            name=offered.ref,
            database=database,
            blobs=blobs,
            tenant=tenant,
            clock=clock,
            entropy=entropy,
            package_no=package_no if sealed else None,
        )
    with database.write() as tx:
        packages.set_package_state(tx, package_no, "unpacked", clock())
    return imported


def _opened(
    content: BinaryIO, offered: Offered, tenant: TenantRow, seed: bytes, server_key: bytes | None
) -> Iterator[tuple[int, AnyRecord]]:
    """The numbered records of a sealed package for this box, verified as a whole; raises BadPackage."""
    maker = for_exchange(lambda _header: server_key, direction=DOWN, tenant=tenant.domain, device_id=tenant.device_id)
    opened = read_sealed(content, recipient_seed=seed, sender_public=maker, limits=BOX)
    if (opened.header.epoch, opened.header.seq) != (offered.epoch, offered.seq):
        raise BadPackage("the package has another number than it was offered under", code="number")
    return opened.numbered


def _beside(
    database: Database, tenant: TenantRow, taken: PackageRow, offered: Offered, now: datetime, *, by_carrier: bool
) -> tuple[PackageRow | None, int]:
    """The server has used the number of ``taken`` for other bytes too: it was restored, and both are taken (protocol 8.6, 8.7).

    Returns the row of ``offered`` when there is one, and the number that it has here.
    What the server offers now is what it acknowledges by that number; what a carrier brings may be of any time.
    """
    with database.write() as tx:
        if taken.sha256:  # else a number that was withdrawn unseen
            quarantine(
                tx,
                tenant=tenant.no,
                kind="restored",
                source="server",
                reason="the server used the number of an earlier package once more: it was restored from a backup",
                raw_ref=None,
                key=f"restored:{taken.epoch}:{taken.seq}",
                now=now,
            )
        known = packages.find_package(tx, tenant.no, offered.ref, DOWN)
        if by_carrier:
            aside = packages.number_aside(tx, tenant.no, offered.epoch, DOWN)
            return known, known.seq if known is not None else aside
        packages.renumber_aside(tx, taken.no, now)
        if known is not None:
            packages.give_number(tx, known.no, offered.seq, now)
            known = packages.get_package(tx, tenant.no, known.no)
    return known, offered.seq


def _is_there(blobs: BlobStore, blob: str, offered: Offered) -> bool:
    """Whether the bytes of ``offered`` are here already, unharmed; harmed ones go."""
    try:
        with blobs.open(blob) as content:
            if hashlib.file_digest(content, "sha256").hexdigest() == offered.ref:  # type: ignore[arg-type]
                return True
    except NotFound:
        return False
    blobs.delete(blob)
    return False


def _verified(chunks: Iterator[bytes], offered: Offered) -> Iterator[bytes]:
    """The bytes of ``offered``; raises BadPackage at their end when they are not what its name says."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != offered.ref:
        raise BadPackage("the package is not the one of its name")
