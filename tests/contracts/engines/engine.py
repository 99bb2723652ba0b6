"""The engines of LOKOLE_JOBS as tests drive them: each does what is due when it is told to, by its own way.

``rows`` is two threads that lease rows. ``celery`` tells a real RabbitMQ of the rows and has a real Celery consumer, in a thread of this
process, do them: so clocks, fakes and scripted kinds of work are the same for every engine, and all that lies between is real.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from lokole.adapters.broker.celery import Address, CeleryBroker, take_tasks
from lokole.mailbox import jobs
from lokole.server.bell import Doorbell
from lokole.server.jobs import KINDS, Kind
from lokole.server.ringing import Ringer
from lokole.server.running import Runner
from lokole.server.worker import Worker
from tests.unit.server.place import Place

Engine = Callable[[Place], Callable[[Mapping[str, Kind]], int]]
#: what the broker's user ``guest`` has
PASSWORD = "guest"


def use(place: Place, engine: Engine) -> None:
    """Let ``engine`` do all work of ``place``, also when the bell rings."""
    work = engine(place)
    place.engine = work

    def at_once() -> None:
        place.work()

    place.ports.bell.work_inline(at_once)


def rows(place: Place) -> Callable[[Mapping[str, Kind]], int]:
    """Threads, with a bell of their own."""

    def work(kinds: Mapping[str, Kind]) -> int:
        counted = _Counted(kinds)
        worker = Worker(replace(place.ports, bell=Doorbell()), threads=2, kinds=counted.kinds)
        worker._sweeps.when_due = lambda: None  # type: ignore[method-assign]  # not asked for here
        worker.start()
        try:
            _until_idle(place, lambda: bool(worker._runner.busy()))
        finally:
            worker.stop()
        return counted.count

    return work


class Consumer:
    """A Celery consumer that serves one place after the other."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._runner: Runner | None = None
        self._done = 0
        self._at_work = False
        self._broker = CeleryBroker(Address.read(url, PASSWORD))

    @contextmanager
    def running(self) -> Iterator[Consumer]:
        """With the consumer's thread."""
        from celery.worker import WorkController, state

        app = CeleryBroker(Address.read(self._url, PASSWORD)).app
        take_tasks(app, self._run)
        ready = threading.Event()
        worker = WorkController(
            app=app, pool="solo", concurrency=1, ready_callback=lambda _: ready.set(),
            without_heartbeat=True, without_mingle=True, without_gossip=True,
        )  # fmt: skip
        thread = threading.Thread(target=worker.start, daemon=True)
        thread.start()
        assert ready.wait(30)
        yield self
        # as a signal does, in the main thread of `lokole worker`
        state.should_stop = 0
        thread.join(30)
        assert not thread.is_alive()
        state.should_stop = None
        app.close()
        self._broker.clear()
        self._broker.close()

    def __call__(self, place: Place) -> Callable[[Mapping[str, Kind]], int]:
        ringer = Ringer(replace(place.ports, bell=Doorbell()), self._broker)

        def work(kinds: Mapping[str, Kind]) -> int:
            self._runner, self._done = Runner(replace(place.ports, bell=Doorbell()), kinds), 0
            _until_idle(place, lambda: self._at_work, again=ringer.ring_due)
            self._runner = None
            return self._done

        return work

    def _run(self, no: int) -> None:
        runner = self._runner
        if runner is None:
            return  # nobody asked: the row is told of again
        self._at_work = True
        try:
            self._done += runner.work_one(no)
        finally:
            self._at_work = False


class _Counted:
    """``kinds`` whose runs are counted."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self.kinds = {name: replace(kind, run=self._counting(kind)) for name, kind in kinds.items()}

    def _counting(self, kind: Kind) -> Callable[..., bool]:
        def run(ports: object, job: object) -> bool:
            with self._lock:
                self.count += 1
            return kind.run(ports, job)  # type: ignore[arg-type]

        return run


def _until_idle(
    place: Place, at_work: Callable[[], bool], again: Callable[[], int] = lambda: 0, seconds: float = 120
) -> None:
    """Until nothing is due and nothing is at work; ``again`` is called until then.

    Looked at twice: work that ends between the two questions of one look has left more work, which the next one sees.
    """
    end = time.monotonic() + seconds
    idle = 0
    while idle < 2:
        again()
        busy = at_work()
        with place.ports.database.read() as tx:
            due = jobs.next_due(tx, place.clock())
        busy = busy or at_work() or (due is not None and due <= place.clock())
        idle = 0 if busy else idle + 1
        assert time.monotonic() < end, "the engine did not do its work"
        if busy:
            time.sleep(0.005)


__all__ = ["KINDS", "Consumer", "Engine", "rows", "use"]
