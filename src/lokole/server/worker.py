"""Threads that do the work: each leases one row after the other, the one that is due for longest first.

The lease of a row at work is renewed by a thread of its own; when the machine dies, the lease runs out and the row is due again.
A row whose worker died several times is given up, so that one letter cannot take every worker down for ever.
Once an hour one of them sweeps (``server/sweep.py``).
"""

from __future__ import annotations

import logging
import threading
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
from lokole.server.sweep import Sweeper

log = logging.getLogger(__name__)

#: Seconds between two looks at the database when nobody rings.
LOOK_SECONDS = 1.0
#: So often may a worker die over one row.
MAX_DEATHS = 5
SWEEP_EVERY = timedelta(hours=1)


class Worker:
    """The workers of one process. :meth:`work_off` does what is due in the calling thread, for tests and ``inline:``."""

    def __init__(self, ports: ServerPorts, *, threads: int = 1, kinds: Mapping[str, Kind] = KINDS) -> None:
        self._ports = ports
        self._kinds = kinds
        self._count = threads
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._at_work: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._leasing = threading.Lock()
        self._sweeper = Sweeper(ports)
        self._swept_at: datetime | None = None

    def start(self) -> None:
        """Begin to work, in threads."""
        if self._threads or not self._count:
            return
        self._stopping.clear()
        targets = [self._work_on] * self._count + [self._renew_leases]
        for n, target in enumerate(targets):
            thread = threading.Thread(target=target, name=f"worker-{n}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout: float = 30.0) -> None:
        """Finish what is at work, take nothing new; rows that are not finished in time keep their lease until it runs out."""
        self._stopping.set()
        if self._threads:
            self._ports.bell.ring()
        for thread in self._threads:
            thread.join(timeout)
        self._threads.clear()

    def work_off(self, most: int = 1_000_000) -> int:
        """Do what is due now, one row after the other; returns how many."""
        done = 0
        while done < most and self.work_one():
            done += 1
        return done

    def work_one(self) -> bool:
        """Do the row that is due for longest; False when none is."""
        ports = self._ports
        now = ports.clock()
        with ports.database.read() as tx:
            due = rows.next_due(tx, now, busy=self._busy())
        if due is None or due > now:
            return False
        job = self._lease(now)
        if job is None:
            return False
        try:
            with logs.working_on(f"job-{job.no}"):
                self._run(job)
        finally:
            with self._lock:
                del self._at_work[job.no]
        return True

    def _busy(self) -> list[int]:
        """What other threads have in hand: a clock that jumps ends their leases, and a letter would go out twice."""
        with self._lock:
            return list(self._at_work)

    def _lease(self, now: datetime) -> Job | None:
        ports = self._ports
        with self._leasing:  # nobody looks between a lease and its note here
            busy = self._busy()
            with ports.database.write() as tx:
                job = rows.lease(tx, now=now, lease_seconds=self._lease_seconds, entropy=ports.entropy, busy=busy)
            if job is not None:
                with self._lock:
                    self._at_work[job.no] = job
        return job

    @property
    def _lease_seconds(self) -> float:
        return self._ports.settings.lease.total_seconds()

    def _run(self, job: Job) -> None:
        kind = self._kinds.get(job.kind)
        if kind is None:
            self._fail(job, None, "unknown kind")
            return
        error: Exception | None = None
        try:
            if self._died_too_often(job):
                raise LokoleError("its workers died")
            if not kind.run(self._ports, job):
                with self._ports.database.write() as tx:
                    rows.finish(tx, job)
        except LeaseLost:
            log.warning("%s: the lease went to another worker", job.kind)
            return
        except Exception as caught:
            error = caught
        if error is None:
            return
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
                kind.on_dead(self._ports, job, told)
            self._fail(job, wait, told)
        except LeaseLost:
            log.warning("%s: the lease went to another worker", job.kind)
        except Exception as again:
            # the lease runs out by itself, then the row is due once more
            log.error("%s: its failure could not be noted: %s", job.kind, logs.place(again))

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

    # --- threads ---------------------------------------------------------------------------------

    def _work_on(self) -> None:
        while not self._stopping.is_set():
            heard = self._ports.bell.rings
            try:
                self._sweep_when_due()
                while not self._stopping.is_set() and self.work_one():
                    pass
            except Exception as error:
                log.error("the worker could not look for work: %s", logs.place(error))
            self._ports.bell.wait(heard, LOOK_SECONDS)

    def _sweep_when_due(self) -> None:
        with self._lock:
            now = self._ports.clock()
            if self._swept_at is not None and abs(now - self._swept_at) < SWEEP_EVERY:
                return
            self._swept_at = now
        self._sweeper.sweep()

    def _renew_leases(self) -> None:
        while not self._stopping.wait(self._lease_seconds / 4):
            with self._lock:
                held = list(self._at_work.values())
            for job in held:
                try:
                    with self._ports.database.write() as tx:
                        rows.renew(tx, job, now=self._ports.clock(), lease_seconds=self._lease_seconds)
                except Exception as error:
                    log.warning("a lease could not be renewed: %s", logs.place(error))
