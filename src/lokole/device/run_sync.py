"""One meeting with the server, in the order in which nothing can be lost.

1. the uplink comes up; 2. what waits goes up, package by package, and counts as gone only after the server has said that it
holds it; 3. what the server offers comes down, is durable, is taken in letter by letter; 4. only then is it acknowledged.
Every step may be broken off and repeated: names and numbers make repeats harmless.
The meeting is written down as a visit, whatever became of it.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lokole.device import packing
from lokole.device.importing import import_package
from lokole.mail.errors import BadPackage, LokoleError, NotFound, Permanent, Refused, Temporary
from lokole.mail.model import DeliveryState, SyncReport
from lokole.mailbox import accounts, packages, visits
from lokole.mailbox.database import Database
from lokole.mailbox.options import get_option
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.recipients import move_waiting
from lokole.mailbox.tenants import TenantRow
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy
from lokole.ports.sync_peer import Offered, SyncPeer
from lokole.ports.uplink import Uplink
from lokole.sync.compression import Compression
from lokole.sync.limits import BOX
from lokole.sync.package import read_package

log = logging.getLogger(__name__)
DOWN = "down"
#: the server's words for a package whose bytes are not what their name says, or whose number is taken: it is packed anew
SPOILT = frozenset({"digest", "seq"})
#: so many in a row, and something else is wrong
MOST_SPOILT = 3
#: how many packages one acknowledgement may name beside the contiguous ones (protocol, "acknowledge")
MOST_NUMBERS = 1000


@dataclass
class _Meeting:
    """What this meeting has moved so far."""

    letters_up: int = 0
    letters_down: int = 0
    quarantined: int = 0
    result: str = "ok"
    detail: str = ""

    def failed(self, error: LokoleError) -> None:
        """Remember the first thing that went wrong."""
        log.warning("the exchange ended early: %s", error)
        if self.result == "ok":
            self.result, self.detail = _word(error), str(error)


def run_sync(
    *,
    database: Database,
    blobs: BlobStore,
    clock: Clock,
    uplink: Uplink,
    peer: SyncPeer,
    tenant: TenantRow,
    entropy: Entropy,
    compression: Compression = Compression.ZSTD,
    spool: Path | None = None,
    enough_bytes: int = packing.ENOUGH_BYTES,
) -> SyncReport:
    """Meet the server once; what goes wrong is the ``result`` of the report, a stable word, and never raised.

    Only one may run at a time for a database: the caller sees to it (``device/lock.py``).
    """
    started = clock()
    meeting = _Meeting()
    with database.write() as tx:
        visits.close_broken_visits(tx, tenant.no, started)
        visit = visits.start_visit(tx, tenant.no, started)
    try:
        with uplink.up():
            try:
                _up(meeting, database, blobs, clock, peer, tenant, entropy, compression, spool, enough_bytes)
            except Temporary:
                raise
            except LokoleError as error:
                meeting.failed(error)  # what the server refuses to take is no reason not to take letters home
            _down(meeting, database, blobs, clock, peer, tenant)
    except LokoleError as error:
        meeting.failed(error)
    except Exception as error:
        # A fault of ours. Its text may quote a letter, so only its type and place are told.
        log.error("the exchange broke: %s at %s", type(error).__name__, _place(error))
        meeting.result, meeting.detail = "fault", f"{type(error).__name__} at {_place(error)}"
    finally:
        peer.close()
    with database.write() as tx:
        waiting = packages.count_waiting(tx, tenant.no, packing.UP)
        visits.end_visit(
            tx,
            tenant.no,
            visit,
            clock(),
            letters_up=meeting.letters_up,
            letters_down=meeting.letters_down,
            bytes_up=peer.bytes_up,
            bytes_down=peer.bytes_down,
            quarantined=meeting.quarantined,
            result=meeting.result,
        )
    return SyncReport(
        started=started,
        seconds=max(0.0, (clock() - started).total_seconds()),
        letters_up=meeting.letters_up,
        letters_down=meeting.letters_down,
        bytes_up=peer.bytes_up,
        bytes_down=peer.bytes_down,
        quarantined=meeting.quarantined,
        waiting=waiting,
        result=meeting.result,
        detail=meeting.detail,
    )


def _up(
    meeting: _Meeting,
    database: Database,
    blobs: BlobStore,
    clock: Clock,
    peer: SyncPeer,
    tenant: TenantRow,
    entropy: Entropy,
    compression: Compression,
    spool: Path | None,
    enough_bytes: int,
) -> None:
    spoilt = 0
    while True:
        package = packing.unsent_package(database, tenant.no) or packing.build_package(
            database=database,
            blobs=blobs,
            tenant=tenant,
            entropy=entropy,
            compression=compression,
            now=clock(),
            spool=spool,
            enough_bytes=enough_bytes,
        )
        if package is None:
            return
        try:
            with blobs.open(package.blob) as content:
                peer.upload(
                    package.sha256,
                    epoch=package.epoch,
                    seq=package.seq,
                    type=package.type,
                    size=package.size,
                    content=content,
                )
        except (NotFound, Refused) as error:
            if isinstance(error, Refused) and error.code not in SPOILT:
                raise
            packing.withdraw(database, blobs, package, clock())
            spoilt += 1
            if spoilt == MOST_SPOILT:
                raise
            log.warning("a package is packed anew: %s", error)
            continue
        _gone(database, tenant, package, clock())
        meeting.letters_up += package.letters


def _gone(database: Database, tenant: TenantRow, package: PackageRow, now: datetime) -> None:
    """The server holds ``package`` for good: its letters wait no longer, its people are known there."""
    with database.write() as tx:
        carried_letters = [one.email for one in packages.emails_of(tx, package.no)]
        move_waiting(tx, tenant.no, carried_letters, DeliveryState.AT_SERVER)
        packages.acknowledge(tx, tenant.no, package.epoch, packing.UP, 0, [package.seq], now)
        carried = packing.carried_accounts(get_option(tx, tenant.no, packing.CARRIED_OPTION, None), package.seq)
        accounts.mark_accounts_sent(tx, tenant.no, carried)


def _down(
    meeting: _Meeting, database: Database, blobs: BlobStore, clock: Clock, peer: SyncPeer, tenant: TenantRow
) -> None:
    # From 0, not from what is known here: an acknowledgement that was lost is repeated for what the server still offers.
    for offered in peer.offers(after=0):
        try:
            _take(meeting, database, blobs, clock, peer, tenant, offered)
        except BadPackage as error:
            meeting.failed(error)  # it comes again at the next meeting; the others do not wait for it
            continue
        _acknowledge(database, peer, tenant, offered.epoch)


def _take(
    meeting: _Meeting,
    database: Database,
    blobs: BlobStore,
    clock: Clock,
    peer: SyncPeer,
    tenant: TenantRow,
    offered: Offered,
) -> None:
    """Have ``offered`` in the mailboxes of this box; does nothing when it is there already."""
    with database.read() as tx:
        known = packages.find_package_by_seq(tx, tenant.no, offered.epoch, DOWN, offered.seq)
    if known is not None and known.state != "held":
        return
    blob = f"{tenant.domain}/pkg-{offered.ref}"
    if known is None:
        blobs.put(blob, _verified(peer.download(offered), offered))
        with database.write() as tx:
            package_no = packages.add_package(
                tx,
                tenant.no,
                epoch=offered.epoch,
                direction=DOWN,
                seq=offered.seq,
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
        records = read_package(content, limits=BOX)
        imported = import_package(records, name=offered.ref, database=database, blobs=blobs, tenant=tenant, clock=clock)
    with database.write() as tx:
        packages.set_package_state(tx, package_no, "unpacked", clock())
    meeting.letters_down += imported.letters
    meeting.quarantined += imported.quarantined


def _verified(chunks: Iterator[bytes], offered: Offered) -> Iterator[bytes]:
    """The bytes of ``offered``; raises BadPackage at their end when they are not what its name says."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != offered.ref:
        raise BadPackage("the package is not the one of its name")


def _acknowledge(database: Database, peer: SyncPeer, tenant: TenantRow, epoch: int) -> None:
    """Say what of ``epoch`` is stored here for good; said again for all of it each time, because an earlier word may be lost."""
    with database.read() as tx:
        highest, beyond = packages.highest_contiguous(tx, tenant.no, epoch, DOWN, ("unpacked", "acknowledged"))
    peer.acknowledge(epoch=epoch, seq=highest, beyond=beyond[-MOST_NUMBERS:])


def _word(error: LokoleError) -> str:
    """A stable word for what went wrong, for those who script."""
    match error:
        case Refused():
            return error.code
        case Temporary():
            return "no-connection"
        case BadPackage():
            return "bad-package"
        case NotFound():
            return "not-found"
        case Permanent():
            return "refused"
        case _:
            return "failed"


def _place(error: BaseException) -> str:
    """Where ``error`` was raised, as file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
