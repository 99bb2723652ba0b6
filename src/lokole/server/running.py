"""One leased row of work from its lease to its end, whoever leases it: threads that look, or a hand that a broker told of a number.

The lease of a row at work is renewed by a thread of its own; when the machine dies, the lease runs out and the row is due again.
A row whose worker died several times is given up, so that one letter cannot take every worker down for ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select

from lokole.mail.errors import LokoleError, Temporary
from lokole.mailbox import jobs as rows
from lokole.mailbox.jobs import Job, LeaseLost
from lokole.mailbox.schema import job as job_table
from lokole.server import logs
from lokole.server.jobs import KINDS, Kind, retry_in
from lokole.server.ports import ServerPorts
from lokole.server.provider_trouble import tell_operator

log = logging.getLogger(__name__)

#: So often may a worker die over one row.
MAX_DEATHS = 5


class Runner:
    """Leases rows for one process, does them, and renews their leases meanwhile."""

    def __init__(self, ports: ServerPorts, kinds: Mapping[str, Kind] = KINDS) -> None:
        self._ports = ports
        self._kinds = kinds
        self._at_work: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._leasing = threading.Lock()
        self._stopping = threading.Event()
        self._renewing: threading.Thread | None = None

    def start(self) -> None:
        """Begin to renew leases, in a thread."""
        self._stopping.clear()
        self._renewing = threading.Thread(target=self._renew_leases, name="leases", daemon=True)
        self._renewing.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Renew no more; rows that are still at work keep their lease until it runs out."""
        self._stopping.set()
        if self._renewing is not None:
            self._renewing.join(timeout)
            self._renewing = None

    def busy(self) -> list[int]:
        """What this process has in hand: a clock that jumps ends their leases, and a letter would go out twice."""
        with self._lock:
            return list(self._at_work)

    def work_one(self, no: int | None = None) -> bool:
        """Do the row that is due for longest, or just the row ``no``; False when it is not due, or another has it."""
        job = self._lease(self._ports.clock(), no)
        if job is None:
            return False
        started, failed = time.perf_counter(), None
        try:
            with logs.working_on(f"job-{job.no}"):
                failed = self._run(job)
        finally:
            if self._ports.telemetry is not None:
                self._ports.telemetry.work(job.kind, job.attempts, time.perf_counter() - started, failed)
            with self._lock:
                del self._at_work[job.no]
        return True

    def _lease(self, now: datetime, no: int | None) -> Job | None:
        ports = self._ports
        with self._leasing:  # nobody looks between a lease and its note here
            busy = self.busy()
            with ports.database.write(brief=True) as tx:
                job = rows.lease(
                    tx, now=now, lease_seconds=self._lease_seconds, entropy=ports.entropy, no=no, busy=busy
                )
            if job is not None:
                with self._lock:
                    self._at_work[job.no] = job
        return job

    @property
    def _lease_seconds(self) -> float:
        return self._ports.settings.lease.total_seconds()

    def _run(self, job: Job) -> str | None:
        """Do it, or note why not; returns the failure as the row tells it, None without one."""
        kind = self._kinds.get(job.kind)
        if kind is None:
            self._fail(job, None, "unknown kind")
            return "unknown kind"
        error: Exception | None = None
        try:
            if self._died_too_often(job):
                raise LokoleError("its workers died")
            if not kind.run(self._ports, job):
                with self._ports.database.write() as tx:
                    rows.finish(tx, job)
        except LeaseLost:
            log.warning("%s: the lease went to another worker", job.kind)
            return "LeaseLost"
        except Exception as caught:
            error = caught
        if error is None:
            return None
        told = logs.place(error)
        wait = retry_in(kind, job, error, self._ports.clock())
        if isinstance(error, Temporary):
            log.info("%s failed for now, attempt %d: %s", job.kind, job.attempts, told)
            if error.operator is not None:
                self._tell_operator(error.operator)
        else:
            log.error("%s failed, attempt %d: %s", job.kind, job.attempts, told)
        try:
            if wait is None and kind.on_dead is not None:
                # what another worker has done meanwhile is not undone: only whose row it is may give it up
                with self._ports.database.write() as tx:
                    rows.renew(tx, job, now=self._ports.clock(), lease_seconds=self._lease_seconds)
                kind.on_dead(self._ports, job, error)
            self._fail(job, wait, told)
        except LeaseLost:
            log.warning("%s: the lease went to another worker", job.kind)
        except Exception as again:
            # the lease runs out by itself, then the row is due once more
            log.error("%s: its failure could not be noted: %s", job.kind, logs.place(again))
        return told

    def _tell_operator(self, sentence: str) -> None:
        log.error("the operator has to do something: %s", sentence)
        try:
            tell_operator(self._ports, sentence)
        except Exception as again:
            log.error("the operator could not be told: %s", logs.place(again))

    def _fail(self, job: Job, wait: timedelta | None, told: str) -> None:
        with self._ports.database.write() as tx:
            rows.fail(tx, job, now=self._ports.clock(), retry_in=wait, error=f"{job.attempts}: {told}")

    def _died_too_often(self, job: Job) -> bool:
        """A worker that can still speak notes the attempt that failed; attempts since then are deaths."""
        if job.attempts <= MAX_DEATHS:
            return False
        with self._ports.database.read() as tx:
            noted = tx.execute(select(job_table.c.error).where(job_table.c.no == job.no)).scalar() or ""
        last = noted.partition(":")[0]
        return job.attempts - (int(last) if last.isdigit() else 0) > MAX_DEATHS

    def _renew_leases(self) -> None:
        while not self._stopping.wait(self._lease_seconds / 4):
            with self._lock:
                held = list(self._at_work.values())
            for job in held:
                try:
                    with self._ports.database.write(brief=True) as tx:
                        rows.renew(tx, job, now=self._ports.clock(), lease_seconds=self._lease_seconds)
                except Exception as error:
                    log.warning("a lease could not be renewed: %s", logs.place(error))
