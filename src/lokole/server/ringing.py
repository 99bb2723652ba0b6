"""A broker beside the rows: tells it of what is due, and does the row that it tells of.

Telling is a thread of its own in every process, woken by the bell and once in :data:`~lokole.server.worker.LOOK_SECONDS`.
It is also the sweeper: what was queued before a crash, whose time has come, whose worker died or whose message got lost is a row that is due
and was not told of for a while. No process has to be there for another one's rows.
When the broker is away, rows wait; nobody who hands a letter in notices.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from lokole.mail.errors import Temporary
from lokole.mailbox import jobs as rows
from lokole.ports.broker import Broker
from lokole.server import logs
from lokole.server.counting import EventWriter
from lokole.server.jobs import KINDS, Kind
from lokole.server.ports import ServerPorts
from lokole.server.running import Runner
from lokole.server.sweep import Sweeps
from lokole.server.worker import LOOK_SECONDS

log = logging.getLogger(__name__)

#: Seconds between attempts while the broker does not answer.
AWAY_SECONDS = 3.0
#: Rows in one transaction and one go to the broker.
AT_ONCE = 100
#: Seconds between two looks whether it is time to sweep.
_SWEEP_LOOK = 60.0


class Ringer:
    """Tells a broker of rows that are due, each once, and again when nobody leased it within the time of a lease."""

    def __init__(self, ports: ServerPorts, broker: Broker) -> None:
        self._ports = ports
        self._broker = broker
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_away = False

    def start(self) -> None:
        """Begin, in a thread."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._go_on, name="ringer", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 30.0) -> None:
        """Tell of nothing more; may be repeated."""
        self._stopping.set()
        self._ports.bell.ring()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None
        self._broker.close()

    def ring_due(self) -> int:
        """Tell of up to :data:`AT_ONCE` rows; returns how many. Raises Temporary when the broker was not reached: they count as untold."""
        ports = self._ports
        with ports.database.write() as tx:
            due = rows.take_unrung(tx, now=ports.clock(), again_after=ports.settings.lease, limit=AT_ONCE)
        if not due:
            return 0
        try:
            self._broker.publish(due)
        except Temporary:
            with ports.database.write() as tx:
                rows.unring(tx, due)
            raise
        return len(due)

    def _go_on(self) -> None:
        while not self._stopping.is_set():
            heard = self._ports.bell.rings
            try:
                while not self._stopping.is_set() and self.ring_due():
                    pass
                self._say(away=False)
            except Temporary as error:
                self._say(away=True, told=str(error))
                self._stopping.wait(AWAY_SECONDS)
                continue
            except Exception as error:
                log.error("the ringer could not look for work: %s", logs.place(error))
                self._stopping.wait(AWAY_SECONDS)
                continue
            self._ports.bell.wait(heard, LOOK_SECONDS)

    def _say(self, *, away: bool, told: str = "") -> None:
        """One line when it goes and one when it comes back."""
        if away != self._is_away:
            self._is_away = away
            if away:
                log.warning("work waits in the database: %s", told)
            else:
                log.info("the broker and the database are back")


class BrokerHand:
    """A ``ports.broker.Hand``: one process that does the rows it is told of, tells of those that its work makes, and counts what happens."""

    def __init__(
        self, ports: ServerPorts, broker: Broker, *, sweeps: bool = False, kinds: Mapping[str, Kind] = KINDS
    ) -> None:
        self._ports = ports
        self._runner = Runner(ports, kinds)
        self._ringer = Ringer(ports, broker)
        self._counting = EventWriter(ports.events, ports.database)
        self._stopping = threading.Event()
        self._runner.start()
        self._ringer.start()
        self._counting.start()
        if sweeps:
            threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()

    def run(self, no: int) -> None:
        """Do the row ``no`` when it is due and free."""
        try:
            self._runner.work_one(no)
        except Exception as error:
            # the row is as it was, and is told of again
            log.error("row %d could not be looked at: %s", no, logs.place(error))

    def stop(self) -> None:
        """Stop renewing, telling and sweeping, write down and tell what was counted, and give the database back."""
        self._stopping.set()
        self._ringer.stop()
        self._runner.stop()
        self._counting.stop()
        if self._ports.telemetry is not None:
            self._ports.telemetry.close()
        self._ports.database.close()

    def _sweep(self) -> None:
        sweeps = Sweeps(self._ports)
        while not self._stopping.is_set():
            try:
                sweeps.when_due()
            except Exception as error:
                log.error("the sweep failed: %s", logs.place(error))
            self._stopping.wait(_SWEEP_LOOK)
