"""One meeting with the server, in the order in which nothing can be lost.

1. the uplink comes up; 2. what waits goes up, package by package, and counts as gone only after the server has said that it
holds it; 3. what the server offers comes down, is durable, is taken in letter by letter; 4. only then is it acknowledged.
Every step may be broken off and repeated: names and numbers make repeats harmless.
Both directions are used until nothing moves any more, the last look being for what arrived meanwhile; a line that breaks is tried
again as long as it brings something, and later, in the night's window, by ``schedule.py``.
The meeting is written down as a visit, whatever became of it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lokole.device import packing, reconciling
from lokole.device.downloads import Parts
from lokole.device.taking import DOWN, take_package
from lokole.mail.errors import BadPackage, LokoleError, NotFound, Refused, Temporary
from lokole.mail.model import SyncReport
from lokole.mailbox import outbound, packages, visits
from lokole.mailbox.database import Database
from lokole.mailbox.identity import renew_epoch
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.seen import remember
from lokole.mailbox.tenants import TenantRow
from lokole.mailbox.visits import End
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy
from lokole.ports.sync_peer import Offered, SyncPeer
from lokole.ports.uplink import Uplink
from lokole.sync.compression import Compression
from lokole.sync.records import ToldRecord

log = logging.getLogger(__name__)
#: kind in ``seen`` of a package that could not be used when it was offered first
_WRONG = "wrong-package"
#: the server's words for a package whose bytes are not what their name says, or whose number is taken: it is packed anew
SPOILT = frozenset({"digest", "seq"})
#: so many in a row, and something else is wrong
MOST_SPOILT = 3
#: seconds before a line that broke is tried again; from the start whenever it brought something
PAUSES = (0.0, 5.0, 20.0, 60.0)
#: what counts as something, in bytes
SOMETHING_BYTES = 16 * 1024
#: how often both directions are gone through in one visit, whatever moves
MOST_ROUNDS = 50
#: how often in one meeting both ends compare, package by package, what they hold
MOST_COMPARED = 3


class _NoRoom(Temporary):
    """Here, and not on the line: what is to go up cannot be written down."""


@dataclass
class _Meeting:
    """What this meeting has moved so far."""

    letters_up: int = 0
    letters_down: int = 0
    quarantined: int = 0
    result: str = End.OK
    detail: str = ""
    #: whether the server lacks news of here: something did not arrive, or could not even be packed
    unsent: bool = False
    #: packages that went or came, and those whose bytes were wrong
    moved: int = 0
    compared: int = 0
    #: acknowledgements that the server did not believe
    unheard: int = 0
    wrong: set[str] = field(default_factory=set)

    def failed(self, error: LokoleError) -> None:
        """Remember the first thing that went wrong."""
        log.warning("the exchange ended early: %s", error)
        if self.result == End.OK:
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
    seed: bytes = b"",
    pause: Callable[[float], None] | None = None,
) -> SyncReport:
    """Meet the server once; what goes wrong is the ``result`` of the report, a stable word, and never raised.

    ``seed`` is this box's Ed25519 seed: with it, and the server's key of the claim, packages are sealed.
    ``pause`` waits for so many seconds before a line that broke is tried again; without it a visit ends with the first break.

    Only one may run at a time for a database: the caller sees to it (``device/lock.py``).
    """
    started = clock()
    meeting = _Meeting()

    def up() -> None:
        _up(meeting, database, blobs, clock, peer, tenant, entropy, compression, spool, enough_bytes, seed)

    def down() -> bool:
        return _down(meeting, database, blobs, clock, peer, tenant, entropy, seed, Parts(spool))

    with database.write() as tx:
        visits.close_broken_visits(tx, tenant.no, started)
        visit = visits.start_visit(tx, tenant.no, started)
    try:
        with uplink.up():
            _use_up(meeting, up, down, peer, pause)
    except LokoleError as error:
        meeting.failed(error)
    except Exception as error:
        # A fault of ours. Its text may quote a letter, so only its type and place are told.
        log.error("the exchange broke: %s at %s", type(error).__name__, _place(error))
        meeting.result, meeting.detail = End.FAULT, f"{type(error).__name__} at {_place(error)}"
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


def _use_up(
    meeting: _Meeting,
    up: Callable[[], None],
    down: Callable[[], bool],
    peer: SyncPeer,
    pause: Callable[[float], None] | None,
) -> None:
    """Go through both directions until nothing moves any more; raises the Temporary of a line that brings nothing more."""
    pauses = iter(PAUSES)
    for _ in range(MOST_ROUNDS):
        moved, bytes_down, bytes_before = meeting.moved, peer.bytes_down, peer.bytes_up + peer.bytes_down
        try:
            asked = _round(meeting, up, down)
        except Temporary as error:
            if pause is None or peer.bytes_down == bytes_down:  # nobody answers
                raise
            if meeting.moved > moved or peer.bytes_up + peer.bytes_down >= bytes_before + SOMETHING_BYTES:
                pauses = iter(PAUSES)
            seconds = next(pauses, None)
            if seconds is None:
                raise
            log.info("the line broke and is tried again: %s", error)
            pause(seconds)
            continue
        if meeting.moved == moved and not asked:
            return


def _round(meeting: _Meeting, up: Callable[[], None], down: Callable[[], bool]) -> bool:
    """Each direction once; True when the server asked for packages once more. A line that broke one way may bear the other."""
    broke: Temporary | None = None
    meeting.unsent = True
    try:
        up()
        meeting.unsent = False
    except Temporary as error:
        broke = error
    except LokoleError as error:
        meeting.failed(error)  # what the server refuses to take is no reason not to take letters home
    asked = down()
    if broke is not None:
        raise broke
    return asked


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
    seed: bytes,
) -> None:
    spoilt = 0
    while True:
        unsent = packing.unsent_package(database, tenant.no)
        try:
            package = unsent or packing.build_package(
                database=database,
                blobs=blobs,
                tenant=tenant,
                entropy=entropy,
                compression=compression,
                now=clock(),
                spool=spool,
                enough_bytes=enough_bytes,
                seed=seed,
            )
        except Temporary as error:
            raise _NoRoom(str(error)) from error
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
                    again=unsent is not None,
                )
        except (NotFound, Refused) as error:
            if isinstance(error, Refused) and error.code not in SPOILT:
                raise
            packing.withdraw(database, blobs, package, clock())
            if isinstance(error, Refused) and error.code == "seq":
                with database.write() as tx:
                    renew_epoch(tx, entropy)  # a twin counts from the same number (protocol 8.7)
            spoilt += 1
            if spoilt == MOST_SPOILT:
                raise
            log.warning("a package is packed anew: %s", error)
            continue
        _gone(database, tenant, package, clock())
        meeting.letters_up += package.letters
        meeting.moved += 1


def _gone(database: Database, tenant: TenantRow, package: PackageRow, now: datetime) -> None:
    """The server holds ``package`` for good."""
    with database.write() as tx:
        packing.held_by_server(tx, tenant.no, package, now)


def _down(
    meeting: _Meeting,
    database: Database,
    blobs: BlobStore,
    clock: Clock,
    peer: SyncPeer,
    tenant: TenantRow,
    entropy: Entropy,
    seed: bytes,
    parts: Parts,
) -> bool:
    """Take home what waits, and compare what both ends hold; True when the server asked for packages once more."""
    with database.read() as tx:
        sealed = packing.find_server_key(tx, tenant.no) is not None
        # where two clocks never agree on the last 30 days, the same packages would be read again all night
        wanted = sealed and meeting.compared < MOST_COMPARED
        summary = reconciling.summary(tx, tenant, clock()) if wanted else None
    # From 0, not from what is known here: an acknowledgement that was lost is repeated for what the server still offers.
    found = peer.offers(after=0, digest=summary, unsent=meeting.unsent)
    differs = found.digest == "differs"
    asked = False
    if differs:
        meeting.compared += 1
        with database.read() as tx:
            listed = reconciling.packages_held(tx, tenant, clock())
        answer = peer.compare(listed)
        with database.write() as tx:
            asked = reconciling.take_answer(tx, tenant, answer, clock())
        found = peer.offers(after=0, unsent=meeting.unsent or asked)
    elif found.digest == "ok":
        with database.write() as tx:
            reconciling.agreed(tx, tenant, clock())
    parts.keep_only({offered.ref for offered in found})
    for offered in found:
        if offered.ref in meeting.wrong:
            continue
        try:
            _take(meeting, database, blobs, clock, peer, tenant, offered, entropy, seed, parts, again=differs)
        except BadPackage as error:
            meeting.wrong.add(offered.ref)
            parts.forget(offered.ref)
            if sealed:
                _tell_when_it_stays_so(meeting, database, tenant, offered, error, clock())
            meeting.failed(error)  # it comes again at the next meeting; the others do not wait for it
            continue
        try:
            _acknowledge(database, peer, tenant, offered.epoch, clock())
        except Refused as error:
            if error.code != "check" or meeting.unheard == MOST_COMPARED:
                raise
            # one of us is an older copy; the server packs anew what it believes not to be here (protocol 8.6)
            log.warning("the server means other packages by these numbers: %s", error)
            meeting.unheard += 1
            return True
    return asked


def _tell_when_it_stays_so(
    meeting: _Meeting, database: Database, tenant: TenantRow, offered: Offered, error: BadPackage, now: datetime
) -> None:
    """A package that cannot be used at a second visit either has not suffered on the line: its maker is told, and packs its letters anew."""
    with database.write() as tx:
        if not remember(tx, tenant.no, _WRONG, offered.ref, now):
            told = ToldRecord(offered.ref, 0, error.code or "digest", str(error)[:200])
            meeting.moved += outbound.put(tx, tenant.no, packing.UP, told)  # so that it goes in this visit


def _take(
    meeting: _Meeting,
    database: Database,
    blobs: BlobStore,
    clock: Clock,
    peer: SyncPeer,
    tenant: TenantRow,
    offered: Offered,
    entropy: Entropy,
    seed: bytes,
    parts: Parts,
    *,
    again: bool = False,
) -> None:
    """Have ``offered`` in the mailboxes of this box; does nothing when it is there already, but with ``again`` reads it once more."""
    imported = take_package(
        offered,
        lambda: parts.fetch(peer, offered),
        database=database,
        blobs=blobs,
        clock=clock,
        tenant=tenant,
        entropy=entropy,
        seed=seed,
        again=again,
    )
    parts.forget(offered.ref)
    if imported is not None:
        meeting.letters_down += imported.letters
        meeting.moved += 1
        meeting.quarantined += imported.quarantined


def _acknowledge(database: Database, peer: SyncPeer, tenant: TenantRow, epoch: int, now: datetime) -> None:
    """Say what of ``epoch`` is stored here for good; said again for all of it each time, because an earlier word may be lost."""
    with database.read() as tx:
        said = packages.acknowledgement(tx, tenant.no, epoch, DOWN, packing.TAKEN)
    peer.acknowledge(epoch=epoch, seq=said.seq, beyond=list(said.beyond), check=said.check.hex())
    with database.write() as tx:
        packages.acknowledge(tx, tenant.no, epoch, DOWN, said.seq, said.beyond, now)


def _word(error: LokoleError) -> str:
    """How the meeting ends by ``error``: an :class:`End`, or the server's word for why it refused."""
    match error:
        case Refused():
            return error.code
        case _NoRoom():
            return End.STORAGE
        case Temporary():
            return End.NO_CONNECTION
        case BadPackage():
            return End.BAD_PACKAGE
        case NotFound():
            return End.NOT_FOUND
        case _:
            return End.FAILED


def _place(error: BaseException) -> str:
    """Where ``error`` was raised, as file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
