"""Threads that do the work: each leases one row after the other, the one that is due for longest first.

How a row is done stands in ``server/running.py``. Once an hour one of them sweeps (``server/sweep.py``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from lokole.mailbox import jobs as rows
from lokole.server import logs
from lokole.server.jobs import KINDS, Kind
from lokole.server.ports import ServerPorts
from lokole.server.running import Runner
from lokole.server.sweep import Sweeps

log = logging.getLogger(__name__)

#: Seconds between two looks at the database when nobody rings.
LOOK_SECONDS = 1.0


class Worker:
    """The workers of one process. :meth:`work_off` does what is due in the calling thread, for tests and ``inline:``."""

    def __init__(self, ports: ServerPorts, *, threads: int = 1, kinds: Mapping[str, Kind] = KINDS) -> None:
        self._ports = ports
        self._runner = Runner(ports, kinds)
        self._count = threads
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._sweeps = Sweeps(ports)

    def start(self) -> None:
        """Begin to work, in threads."""
        if self._threads or not self._count:
            return
        self._stopping.clear()
        self._runner.start()
        for n in range(self._count):
            thread = threading.Thread(target=self._work_on, name=f"worker-{n}", daemon=True)
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
        self._runner.stop(timeout)

    def work_off(self, most: int = 1_000_000) -> int:
        """Do what is due now, one row after the other; returns how many."""
        done = 0
        while done < most and self.work_one():
            done += 1
        return done

    def work_one(self, *, look: bool = True) -> bool:
        """Do the row that is due for longest; False when none is. Without a ``look`` first where one is likely."""
        if look:
            now = self._ports.clock()
            # a look costs the others nothing, a lease takes the writer's lock
            with self._ports.database.read() as tx:
                due = rows.next_due(tx, now, busy=self._runner.busy())
            if due is None or due > now:
                return False
        return self._runner.work_one()

    def _work_on(self) -> None:
        while not self._stopping.is_set():
            heard = self._ports.bell.rings
            try:
                self._sweeps.when_due()
                look = True
                while not self._stopping.is_set() and self.work_one(look=look):
                    look = False
            except Exception as error:
                log.error("the worker could not look for work: %s", logs.place(error))
            self._ports.bell.wait(heard, LOOK_SECONDS)
