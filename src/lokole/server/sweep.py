"""What nobody needs any more goes: done work, old questions, packages and letters past retention."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, select, update

from lokole.mailbox import ageing, greylist, jobs, limits, tenants, uploads
from lokole.mailbox.ageing import Old
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.forgetting import forget_content, forgettable
from lokole.mailbox.schema import job, package, quarantine, waiting
from lokole.mailbox.seen import forget_before
from lokole.mailbox.tenants import TenantRow
from lokole.mailbox.unnamed import sweep_unnamed
from lokole.server import alarms, junk, logs, unowned
from lokole.server.devices import EXCHANGED
from lokole.server.ports import ServerPorts
from lokole.server.provider_trouble import forget_trouble
from lokole.server.strangers import ASKED, LONGEST_WAIT

log = logging.getLogger(__name__)

#: Done rows are kept this long, so that the same work is not queued twice by a late repeat.
KEEP_DONE = timedelta(days=7)
#: A sender gives up after five days; a question older than this is nobody's.
KEEP_ASKED = timedelta(days=7)
FILES_EVERY = timedelta(days=1)
SWEEP_EVERY = timedelta(hours=1)
#: of letters in one round; what is left waits for the next
_MOST_BATCHES = 50
#: A box that has not come back by then sends its package from the first byte (protocol 4.12).
KEEP_PARTS = timedelta(days=7)
#: before the key of a package whose bytes are being deleted; no key of a store has it
_GOING = "going:"


class Sweeper:
    """Sweeps one server; what nobody owns is removed only when it was nobody's at two sweeps in a row."""

    def __init__(self, ports: ServerPorts) -> None:
        self._ports = ports
        self._orphans: set[str] = set()
        self._files_at: datetime | None = None

    def sweep(self) -> None:
        """Go round once; may be repeated, and run in several processes."""
        ports = self._ports
        now = ports.clock()
        with ports.database.write() as tx:
            done = jobs.forget_done(tx, now - KEEP_DONE)
            forget_before(tx, ASKED, now - KEEP_ASKED)
            limits.forget_expired(tx, now)
            greylist.forget_old(tx, now)
            forget_trouble(tx, now)
            uploads.forget_before(tx, now - KEEP_PARTS)
        with ports.database.read() as tx:
            rows = tenants.list_tenants(tx)
        blobs = 0
        for row in rows:
            with ports.database.write() as tx:
                ageing.note_day(tx, row.no, now, max(ports.settings.retention, LONGEST_WAIT))
                old = ageing.old_rows(tx, row.no, ports.settings.retention)
            blobs += self._sweep_packages(row, old) + self._sweep_letters(row, old)
            blobs += junk.sweep(ports, row, now - ports.settings.retention)
        blobs += unowned.sweep(ports, now - ports.settings.retention)
        blobs += self._sweep_files(rows)
        self._sweep_orphans()
        log.info("swept: %d rows of work, %d blobs", done, blobs)

    def _sweep_packages(self, row: TenantRow, age: Old) -> int:
        """Packages that were acknowledged, or read, longer ago than the retention; their rows stay, for the numbers."""
        limit = to_micros(self._ports.clock() - self._ports.settings.retention)
        old = and_(
            package.c.tenant == row.no,
            package.c.no <= age.package,
            package.c.state.in_(("acknowledged", "unpacked", "fetched")),
            package.c.changed_at < limit,
            package.c.blob != "",
            ~package.c.blob.startswith(_GOING, autoescape=True),
            ~exists().where(quarantine.c.raw_ref == package.c.blob, quarantine.c.resolved_at.is_(None)),
            ~exists().where(waiting.c.package == package.c.no, waiting.c.state != "delivered"),
        )
        going = and_(package.c.tenant == row.no, package.c.blob.startswith(_GOING, autoescape=True))
        with self._ports.database.write() as tx:
            # the row first: whoever wants the package again meanwhile must not count on bytes that go
            first = select(package.c.no).where(old).order_by(package.c.no).limit(1000)
            tx.execute(update(package).where(package.c.no.in_(first), old).values(blob=_GOING + package.c.blob))
            found = tx.execute(select(package.c.no, package.c.blob).where(going)).all()
        for _, blob in found:
            key = blob.removeprefix(_GOING)
            exchanged = key.removeprefix(EXCHANGED)
            if exchanged == key:
                self._ports.blobs.delete(key)
            elif self._ports.exchange is not None:
                self._ports.exchange.blobs.delete(exchanged)
        if found:
            with self._ports.database.write() as tx:
                tx.execute(update(package).where(package.c.no.in_([no for no, _ in found]), going).values(blob=""))
        return len(found)

    def _sweep_letters(self, row: TenantRow, age: Old) -> int:
        """Letters whose retention time is over, with their raw mail; returns how many blobs went by that."""
        ports, count = self._ports, 0
        limit = ports.clock() - ports.settings.retention
        for _ in range(_MOST_BATCHES):
            with ports.database.read() as tx:
                found = forgettable(tx, row.no, limit, upto=age.email)
            count += sum(self._delete_raw(row, one.raw_ref) for one in found if one.raw_ref is not None)
            with ports.database.write() as tx:
                tenants.lock(tx, row.no)
                # one of them may wait again since: its box has lost it
                still = {one.no for one in forgettable(tx, row.no, limit, upto=age.email)}
                forget_content(tx, row.no, [one.no for one in found if one.no in still])
            if not found:
                break
        return count

    def _delete_raw(self, row: TenantRow, ref: str) -> bool:
        """Delete raw mail unless a message that is still to be read names it.

        Under the lock of its domain: a post of the same bytes is queued before, and keeps them, or behind, and finds them gone (``intake.py``).
        """
        with self._ports.database.write() as tx:
            tenants.lock(tx, row.no)
            if ref.rpartition("/")[2] in _queued(tx, row):
                return False
            self._ports.blobs.delete(ref)
        return True

    def _sweep_files(self, rows: list[TenantRow]) -> int:
        """Files that no letter names, once a day."""
        now = self._ports.clock()
        if self._files_at is not None and abs(now - self._files_at) < FILES_EVERY:
            return 0
        self._files_at = now
        return sum(sweep_unnamed(self._ports.database, self._ports.blobs, row.no, row.domain, now) for row in rows)

    def _sweep_orphans(self) -> None:
        """Posts to services that nobody wrote down."""
        orphans = unowned.orphans(self._ports)
        for key in orphans & self._orphans:
            self._ports.blobs.delete(key)
        self._orphans = orphans


class Sweeps:
    """Sweeps of one process, one an hour by the clock, whichever of its threads asks."""

    def __init__(self, ports: ServerPorts) -> None:
        self._ports = ports
        self._sweeper = Sweeper(ports)
        self._swept_at: datetime | None = None
        self._lock = threading.Lock()

    def when_due(self) -> None:
        """Sweep unless that was done within the hour."""
        with self._lock:
            now = self._ports.clock()
            if self._swept_at is not None and abs(now - self._swept_at) < SWEEP_EVERY:
                return
            self._swept_at = now
        try:
            alarms.look(self._ports)
        except Exception as error:
            log.error("the boxes could not be looked at: %s", logs.place(error))  # the next round does
        self._sweeper.sweep()


def _queued(tx: Connection, row: TenantRow) -> str:
    """What the messages that are still to be read name, as one text."""
    queued = select(job.c.ids).where(job.c.tenant == row.no, job.c.kind == "receive", job.c.state != "done")
    return "\n".join(tx.execute(queued).scalars())
