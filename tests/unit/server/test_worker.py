"""Work in rows: leased, renewed, tried again, given up, and never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from lokole.config import Url
from lokole.mail.errors import LokoleError, Permanent, Temporary
from lokole.mailbox import jobs
from lokole.mailbox.jobs import Job
from lokole.mailbox.schema import job as job_table
from lokole.server import intake
from lokole.server.jobs import KINDS, MAX_FAULTS, Kind, retry_in
from lokole.server.ports import ServerPorts
from lokole.server.running import MAX_DEATHS
from lokole.server.worker import Worker
from tests.unit.server.place import OPERATOR, Clock, Place, message, place_in


class Script:
    """A kind of work that does what it is told, attempt by attempt."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | None] = []
        self.ran = 0
        self.dead: list[Exception] = []

    def run(self, ports: ServerPorts, job: Job) -> bool:
        self.ran += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        return False

    def on_dead(self, ports: ServerPorts, job: Job, error: Exception) -> None:
        self.dead.append(error)

    @property
    def kinds(self) -> dict[str, Kind]:
        gaps = (timedelta(seconds=10), timedelta(minutes=1))
        return {"script": Kind(self.run, gaps, timedelta(hours=1), self.on_dead)}

    def work(self, place: Place) -> int:
        return place.work(self.kinds)


@pytest.fixture
def script() -> Script:
    return Script()


def enqueue(place: Place, key: str = "k") -> None:
    with place.ports.database.write() as tx:
        jobs.enqueue(tx, "script", key, {}, tenant=None, now=place.clock())


def row(place: Place) -> tuple[str, int, str]:
    with place.ports.database.read() as tx:
        found = tx.execute(select(job_table).where(job_table.c.kind == "script")).one()
    return found.state, found.attempts, found.error


def test_what_fails_for_now_is_tried_again_after_growing_gaps(place: Place, script: Script) -> None:
    script.outcomes = [Temporary("x")] * 3
    enqueue(place)
    script.work(place)
    for seconds, ran in ((9, 1), (1, 2), (59, 2), (1, 3), (60, 4)):
        place.clock.pass_by(seconds=seconds)
        script.work(place)
        assert script.ran == ran
    assert row(place)[0] == "done"


def test_a_peer_that_names_a_time_is_left_alone_until_then(place: Place, script: Script) -> None:
    script.outcomes = [Temporary("x", retry_after=600)]
    enqueue(place)
    script.work(place)
    place.clock.pass_by(seconds=599)
    assert script.work(place) == 0
    place.clock.pass_by(seconds=1)
    assert script.work(place) == 1


def test_after_its_time_it_is_dead_and_says_type_and_place_only(place: Place, script: Script) -> None:
    script.outcomes = [Temporary("ann@a.lokole.test wrote: hello")] * 1000
    enqueue(place)
    for _ in range(70):
        script.work(place)
        place.clock.pass_by(minutes=1)
    state, _, error = row(place)
    assert state == "dead"
    assert "Temporary at" in error and "ann" not in error and "hello" not in error
    assert len(script.dead) == 1
    assert script.work(place) == 0


@pytest.mark.parametrize("error", [Permanent("no"), LokoleError("no")])
def test_a_no_is_final(place: Place, script: Script, error: Exception) -> None:
    script.outcomes = [error]
    enqueue(place)
    script.work(place)
    assert row(place)[0] == "dead"
    assert len(script.dead) == 1


def test_a_fault_of_ours_is_tried_a_few_times(place: Place, script: Script) -> None:
    script.outcomes = [KeyError("ann")] * 100
    enqueue(place)
    for _ in range(20):
        script.work(place)
        place.clock.pass_by(minutes=2)
    assert script.ran == MAX_FAULTS
    assert row(place)[0] == "dead"


def test_a_row_that_takes_its_workers_down_is_given_up(place: Place, script: Script) -> None:
    enqueue(place)
    for _ in range(MAX_DEATHS):
        with place.ports.database.write() as tx:
            assert jobs.lease(tx, now=place.clock(), lease_seconds=60, entropy=place.ports.entropy) is not None
        place.clock.pass_by(seconds=61)  # its worker was never heard of again
    script.work(place)
    assert script.ran == 0
    assert row(place)[0] == "dead"
    assert script.dead


def test_failures_that_were_noted_are_no_deaths(place: Place, script: Script) -> None:
    script.outcomes = [Temporary("x")] * (MAX_DEATHS + 3)
    enqueue(place)
    for _ in range(MAX_DEATHS + 4):
        script.work(place)
        place.clock.pass_by(minutes=2)
    assert row(place)[0] == "done"
    assert script.ran == MAX_DEATHS + 4


def test_a_lease_that_ran_out_goes_to_another_and_the_first_changes_nothing(place: Place, script: Script) -> None:
    enqueue(place)
    with place.ports.database.write() as tx:
        first = jobs.lease(tx, now=place.clock(), lease_seconds=60, entropy=place.ports.entropy)
    assert first is not None
    assert script.work(place) == 0
    place.clock.pass_by(seconds=61)
    assert script.work(place) == 1
    with pytest.raises(jobs.LeaseLost), place.ports.database.write() as tx:
        jobs.finish(tx, first)


def test_a_worker_whose_lease_ran_out_gives_up_nothing_that_another_has_done(place: Place, script: Script) -> None:
    def stalls(ports: ServerPorts, job: Job) -> bool:
        place.clock.pass_by(hours=1)
        with ports.database.write() as tx:
            other = jobs.lease(tx, now=place.clock(), lease_seconds=60, entropy=ports.entropy)
            assert other is not None
            jobs.finish(tx, other)
        raise Permanent("the other end hung up on me")

    enqueue(place)
    place.work({"script": replace(script.kinds["script"], run=stalls)})
    assert row(place)[0] == "done"
    assert script.dead == []


@pytest.mark.parametrize("years", [10, -10])
def test_a_clock_that_jumps_gives_no_thread_what_another_has_in_hand(place: Place, years: int) -> None:
    ran = []

    def jump(ports: ServerPorts, job: Job) -> bool:
        ran.append(job.no)
        place.clock.pass_by(days=365 * years)
        threads = [threading.Thread(target=worker.work_off) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return False

    worker = Worker(place.ports, kinds={"script": Kind(jump, (timedelta(seconds=10),), timedelta(hours=1))})
    enqueue(place)
    assert worker.work_off() == 1
    assert len(ran) == 1
    assert row(place)[0] == "done"


def test_unknown_work_is_dead_at_once(place: Place) -> None:
    with place.ports.database.write() as tx:
        jobs.enqueue(tx, "riddle", "k", {}, tenant=None, now=place.clock())
    place.work()
    assert place.jobs("dead", "riddle") == 1


def test_every_kind_waits_longer_each_time_and_gives_up_some_day() -> None:
    for name, kind in KINDS.items():
        assert list(kind.gaps) == sorted(kind.gaps), name
        assert kind.give_up > kind.gaps[-1], name
    send = KINDS["send"]
    assert send.give_up == timedelta(days=5)
    assert sum(send.gaps[:4], timedelta()) < timedelta(hours=1)


def test_a_long_wait_named_by_a_peer_is_cut_to_a_day() -> None:
    clock = Clock()
    job = Job(
        no=1,
        tenant=None,
        kind="send",
        key="k",
        ids={},
        attempts=1,
        asked=0,
        lease_token="t",
        lease_until=clock.now,
        created_at=clock.now,
    )
    assert retry_in(KINDS["send"], job, Temporary("x", retry_after=10**9), clock.now) == timedelta(days=1)


# --- threads -------------------------------------------------------------------------------------


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@contextmanager
def working(place: Place, kinds: Mapping[str, Kind], threads: int = 2) -> Iterator[Worker]:
    some = Worker(place.ports, threads=threads, kinds=kinds)
    some.start()
    try:
        yield some
    finally:
        some.stop()


def test_threads_wake_when_the_bell_rings_and_do_each_row_once(tmp_path: Path) -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def run(ports: ServerPorts, job: Job) -> bool:
        with lock:
            seen.append(job.no)
        return False

    kinds = {"script": Kind(run, (timedelta(seconds=1),), timedelta(hours=1))}
    with place_in(tmp_path, jobs=Url("rows:"), workers=0) as place, working(place, kinds):
        for n in range(20):
            enqueue(place, f"k{n}")
        place.ports.bell.ring()
        until(lambda: place.jobs("done", "script") == 20)
    assert len(seen) == len(set(seen)) == 20


def test_a_letter_goes_its_way_in_the_threads_of_the_server(tmp_path: Path) -> None:
    with place_in(tmp_path, jobs=Url("rows:"), workers=2) as place:
        place.client.post("/api/email/register/", json={"domain": "a.lokole.test"}, auth=OPERATOR)
        until(lambda: place.row("a.lokole.test").state == "waiting")
        intake.accept(place.ports, "bob@example.org", ["postmaster@a.lokole.test"], message())
        until(lambda: len(place.quarantined()) == 1)


def test_a_lease_at_work_is_renewed(tmp_path: Path) -> None:
    gate = threading.Event()
    begun = threading.Event()

    def run(ports: ServerPorts, job: Job) -> bool:
        begun.set()
        gate.wait(20)
        return False

    kinds = {"script": Kind(run, (timedelta(seconds=1),), timedelta(hours=1))}
    with (
        place_in(tmp_path, jobs=Url("rows:"), workers=0, lease=timedelta(seconds=1)) as place,
        working(place, kinds, threads=1),
    ):
        enqueue(place)
        place.ports.bell.ring()
        assert begun.wait(20)
        with place.ports.database.read() as tx:
            first = tx.execute(select(job_table.c.lease_until)).scalar_one()
        place.clock.pass_by(hours=1)  # by the clock it ran out long ago

        def renewed() -> bool:
            with place.ports.database.read() as tx:
                return bool(tx.execute(select(job_table.c.lease_until)).scalar_one() > first)

        until(renewed)
        gate.set()
        until(lambda: place.jobs("done", "script") == 1)


def test_after_stopping_nothing_new_is_begun(tmp_path: Path, script: Script) -> None:
    with place_in(tmp_path, jobs=Url("rows:"), workers=0) as place:
        enqueue(place)
        with working(place, script.kinds):
            until(lambda: place.jobs("done", "script") == 1)
        enqueue(place, "later")
        time.sleep(0.05)
        assert place.jobs("ready", "script") == 1
