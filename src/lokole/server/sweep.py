"""What nobody needs any more goes: done work, old questions, forms whose letters are stored, packages and raw mail past retention."""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import and_, exists, select, update

from lokole.mailbox import jobs, limits, tenants, uploads
from lokole.mailbox.database import to_micros
from lokole.mailbox.schema import email, job, package, quarantine, waiting
from lokole.mailbox.seen import forget_before
from lokole.mailbox.tenants import TenantRow
from lokole.server.ports import ServerPorts
from lokole.server.strangers import ASKED
from lokole.server.v1_boxes import EXCHANGED

log = logging.getLogger(__name__)

#: Done rows are kept this long, so that the same work is not queued twice by a late repeat.
KEEP_DONE = timedelta(days=7)
#: A sender gives up after five days; a question older than this is nobody's.
KEEP_ASKED = timedelta(days=7)
#: A box that has not come back by then sends its package from the first byte (protocol 4.12).
KEEP_PARTS = timedelta(days=7)


class Sweeper:
    """Sweeps one server; a form is removed only when it was nobody's at two sweeps in a row."""

    def __init__(self, ports: ServerPorts) -> None:
        self._ports = ports
        self._orphans: set[str] = set()

    def sweep(self) -> None:
        """Go round once; may be repeated, and run in several processes."""
        ports = self._ports
        now = ports.clock()
        with ports.database.write() as tx:
            done = jobs.forget_done(tx, now - KEEP_DONE)
            forget_before(tx, ASKED, now - KEEP_ASKED)
            limits.forget_expired(tx, now)
            uploads.forget_before(tx, now - KEEP_PARTS)
        with ports.database.read() as tx:
            rows = tenants.list_tenants(tx)
        blobs = sum(self._sweep_packages(row) + self._sweep_raw(row) for row in rows)
        self._sweep_forms(rows)
        log.info("swept: %d rows of work, %d blobs", done, blobs)

    def _sweep_packages(self, row: TenantRow) -> int:
        """Packages that were acknowledged, or read, longer ago than the retention; their rows stay, for the numbers."""
        limit = to_micros(self._ports.clock() - self._ports.settings.retention)
        old = and_(
            package.c.tenant == row.no,
            package.c.state.in_(("acknowledged", "unpacked", "fetched")),
            package.c.changed_at < limit,
            package.c.blob != "",
            ~exists().where(quarantine.c.raw_ref == package.c.blob, quarantine.c.resolved_at.is_(None)),
            ~exists().where(waiting.c.package == package.c.no, waiting.c.state != "delivered"),
        )
        with self._ports.database.read() as tx:
            found = tx.execute(select(package.c.no, package.c.blob).where(old).order_by(package.c.no).limit(1000)).all()
        for _, blob in found:
            exchanged = blob.removeprefix(EXCHANGED)
            if exchanged == blob:
                self._ports.blobs.delete(blob)
            elif self._ports.exchange is not None:
                self._ports.exchange.blobs.delete(exchanged)
        if found:
            with self._ports.database.write() as tx:
                tx.execute(update(package).where(package.c.no.in_([no for no, _ in found])).values(blob=""))
        return len(found)

    def _sweep_raw(self, row: TenantRow) -> int:
        """Raw mail whose letter is older than the retention, waits nowhere and is not kept apart."""
        limit = to_micros(self._ports.clock() - self._ports.settings.retention)
        waits = exists().where(waiting.c.email == email.c.order_no, waiting.c.state != "delivered")
        apart = exists().where(quarantine.c.raw_ref == email.c.raw_ref, quarantine.c.resolved_at.is_(None))
        old = and_(email.c.tenant == row.no, email.c.received_at < limit, email.c.raw_ref.is_not(None), ~waits, ~apart)
        with self._ports.database.read() as tx:
            found = tx.execute(select(email.c.order_no, email.c.raw_ref).where(old).limit(1000)).all()
        for _, ref in found:
            self._ports.blobs.delete(ref)
        if found:
            with self._ports.database.write() as tx:
                numbers = [no for no, _ in found]
                tx.execute(update(email).where(email.c.order_no.in_(numbers)).values(raw_ref=None))
        return len(found)

    def _sweep_forms(self, rows: list[TenantRow]) -> None:
        """Forms that a worker died over after their letter was stored."""
        orphans: set[str] = set()
        for row in rows:
            forms = set(self._ports.blobs.list(f"{row.domain}/form/"))
            if not forms:
                continue
            with self._ports.database.read() as tx:
                queued = tx.execute(
                    select(job.c.ids).where(job.c.tenant == row.no, job.c.kind == "receive", job.c.state != "done")
                )
                needed = "\n".join(queued.scalars())
            orphans |= {key for key in forms if key not in needed}
        for key in orphans & self._orphans:
            self._ports.blobs.delete(key)
        self._orphans = orphans
