"""Telling a broker of rows that are due, and doing those that it tells of: each once, whatever the broker does in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from lokole.mail.errors import Temporary
from lokole.mailbox import jobs, schema
from lokole.mailbox.jobs import Job
from lokole.ports.broker import Hand
from lokole.server import counting
from lokole.server.bell import Doorbell
from lokole.server.jobs import Kind
from lokole.server.ports import ServerPorts
from lokole.server.ringing import AT_ONCE, BrokerHand, Ringer
from tests.unit.server.place import Place


class FakeBroker:
    """Keeps what it was told; while it is ``away`` it takes the first of them and then says that it was not reached."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.away = False
        self.is_closed = False
        self.heard = threading.Semaphore(0)

    def publish(self, numbers: Sequence[int]) -> None:
        if self.away:
            self.told += numbers[:1]
            raise Temporary("the broker was not reached")
        self.told += numbers
        for _ in numbers:
            self.heard.release()

    def serve(self, make: Callable[[int], Hand], processes: int) -> None:
        raise NotImplementedError

    def waiting(self) -> int | None:
        return len(self.told)

    def clear(self) -> None:
        self.told.clear()

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def ports(place: Place) -> Iterator[ServerPorts]:
    yield replace(place.ports, bell=Doorbell(), events=counting.Events())


def queue(ports: ServerPorts, count: int, **later: float) -> list[int]:
    """So many new rows of a kind of ours, due now or later; their numbers."""
    due = ports.clock() + timedelta(**later)
    with ports.database.write() as tx:
        for n in range(count):
            jobs.enqueue(tx, "ours", f"{due}:{n}", {"n": n}, tenant=None, now=ports.clock(), run_after=due)
    with ports.database.read() as tx:
        found = tx.execute(schema.job.select().where(schema.job.c.kind == "ours").order_by(schema.job.c.no)).all()
    return [row.no for row in found][-count:]


def leave_alone(_ports: ServerPorts, _job: Job) -> bool:
    return False


def ours(run: Callable[[ServerPorts, Job], bool] = leave_alone) -> dict[str, Kind]:
    return {"ours": Kind(run, (timedelta(minutes=1),), timedelta(days=1))}


def test_a_row_is_told_of_once_and_again_when_nobody_took_it(
    place: Place, ports: ServerPorts, broker: FakeBroker
) -> None:
    ringer = Ringer(ports, broker)
    numbers = queue(ports, 3)
    assert (ringer.ring_due(), ringer.ring_due()) == (3, 0)
    assert broker.told == numbers
    place.clock.now += ports.settings.lease
    assert ringer.ring_due() == 3, "its message may have got lost"
    assert broker.told == numbers * 2


def test_a_row_that_is_not_due_is_told_of_when_it_is(place: Place, ports: ServerPorts, broker: FakeBroker) -> None:
    ringer = Ringer(ports, broker)
    numbers = queue(ports, 1, hours=1)
    assert ringer.ring_due() == 0
    place.clock.pass_by(hours=1)
    assert ringer.ring_due() == 1
    assert broker.told == numbers


def test_a_broker_that_is_away_is_told_of_everything_when_it_is_back(ports: ServerPorts, broker: FakeBroker) -> None:
    ringer = Ringer(ports, broker)
    numbers = queue(ports, 3)
    broker.away = True
    for _ in range(2):
        with pytest.raises(Temporary):
            ringer.ring_due()
    broker.away = False
    broker.told.clear()
    assert ringer.ring_due() == 3
    assert broker.told == numbers, "one may be told of twice, none never"


def test_many_rows_are_told_of_in_several_goes(ports: ServerPorts, broker: FakeBroker) -> None:
    ringer = Ringer(ports, broker)
    numbers = queue(ports, AT_ONCE + 3)
    assert [ringer.ring_due() for _ in range(3)] == [AT_ONCE, 3, 0]
    assert sorted(broker.told) == numbers


def test_the_bell_is_heard_by_the_thread_that_tells(ports: ServerPorts, broker: FakeBroker) -> None:
    ringer = Ringer(ports, broker)
    ringer.start()
    ringer.start()
    numbers = queue(ports, 2)
    ports.bell.ring()
    for _ in numbers:
        assert broker.heard.acquire(timeout=30)
    ringer.stop()
    assert broker.told == numbers
    assert broker.is_closed


def test_a_hand_does_the_row_that_it_is_told_of_and_none_that_is_done(ports: ServerPorts, broker: FakeBroker) -> None:
    done: list[int] = []

    def run(_ports: ServerPorts, job: Job) -> bool:
        done.append(job.ids["n"])
        return False

    hand = BrokerHand(ports, broker, kinds=ours(run))
    first, second = queue(ports, 2)
    for no in (second, second, first, 10**9):
        hand.run(no)
    hand.stop()
    assert done == [1, 0]


def test_what_happened_in_a_process_of_a_broker_is_counted_beside_what_happened_in_others(
    place: Place, ports: ServerPorts, broker: FakeBroker
) -> None:
    def run(ports: ServerPorts, _job: Job) -> bool:
        ports.events.count("letter_refused", 2)
        return False

    for _ in range(2):
        ports = replace(ports, events=counting.Events())
        hand = BrokerHand(ports, broker, kinds=ours(run))
        for no in queue(ports, 1, minutes=-1):
            hand.run(no)
        place.clock.pass_by(minutes=1)
        hand.stop()
    with place.ports.database.read() as tx:
        assert counting.read_events(tx)["letter_refused"] == 4
