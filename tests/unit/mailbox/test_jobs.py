from __future__ import annotations

from datetime import timedelta

import pytest

from lokole.mail.errors import NotFound
from lokole.mailbox import jobs
from lokole.mailbox.database import Connection
from tests.mailbox_world import World


def _lease(world: World, tx: Connection, **values: object) -> jobs.Job | None:
    return jobs.lease(tx, now=world.now, lease_seconds=60, entropy=world.entropy, **values)  # type: ignore[arg-type]


def _enqueue(world: World, tx: Connection, key: str = "k", **values: object) -> bool:
    return jobs.enqueue(tx, "send", key, {"email": 3}, tenant=world.tenant, now=world.now, **values)  # type: ignore[arg-type]


def test_a_job_is_leased_once_and_done_once(world: World) -> None:
    with world.database.write() as tx:
        assert _enqueue(world, tx) and not _enqueue(world, tx)
        job = _lease(world, tx)
        assert job is not None
        assert (job.kind, job.key, job.ids, job.attempts, job.tenant) == ("send", "k", {"email": 3}, 1, world.tenant)
        assert _lease(world, tx) is None
        jobs.finish(tx, job)
        assert _lease(world, tx) is None
        assert not _enqueue(world, tx)
        assert jobs.count_jobs(tx, "done", "send") == 1
        with pytest.raises(jobs.LeaseLost):
            jobs.finish(tx, job)


def test_a_job_of_a_killed_worker_goes_to_the_next_and_the_first_cannot_finish_it(world: World) -> None:
    with world.database.write() as tx:
        _enqueue(world, tx)
        first = _lease(world, tx)
        world.later(seconds=61)
        second = _lease(world, tx)
        assert first is not None and second is not None and second.attempts == 2
        with pytest.raises(jobs.LeaseLost):
            jobs.finish(tx, first)
        with pytest.raises(jobs.LeaseLost):
            jobs.renew(tx, first, now=world.now, lease_seconds=60)
        with pytest.raises(jobs.LeaseLost):
            jobs.fail(tx, first, now=world.now, retry_in=None, error="x")
        jobs.finish(tx, second)


def test_a_renewed_lease_is_kept(world: World) -> None:
    with world.database.write() as tx:
        _enqueue(world, tx)
        job = _lease(world, tx)
        assert job is not None
        world.later(seconds=50)
        jobs.renew(tx, job, now=world.now, lease_seconds=60)
        world.later(seconds=50)
        assert _lease(world, tx) is None
        jobs.finish(tx, job)


def test_a_failed_job_comes_back_when_it_is_time_or_is_given_up(world: World) -> None:
    with world.database.write() as tx:
        _enqueue(world, tx)
        job = _lease(world, tx)
        assert job is not None
        jobs.fail(tx, job, now=world.now, retry_in=timedelta(minutes=5), error="Temporary at send")
        assert _lease(world, tx) is None
        assert jobs.next_due(tx, world.now) == world.now + timedelta(minutes=5)
        world.later(minutes=5)
        job = _lease(world, tx)
        assert job is not None
        jobs.fail(tx, job, now=world.now, retry_in=None, error="Permanent at send")
        world.later(days=9)
        assert _lease(world, tx) is None and jobs.next_due(tx, world.now) is None
        (dead,) = jobs.dead_jobs(tx)
        assert (dead.error, dead.attempts) == ("Permanent at send", 2)
        jobs.revive(tx, dead.no, world.now)
        assert _lease(world, tx) is not None
        with pytest.raises(NotFound):
            jobs.revive(tx, dead.no, world.now)


def test_work_asked_for_again_while_it_is_done_is_done_once_more(world: World) -> None:
    with world.database.write() as tx:
        _enqueue(world, tx)
        job = _lease(world, tx)
        assert job is not None
        assert _enqueue(world, tx, again=True)
        assert _lease(world, tx) is None  # not two at once
        jobs.finish(tx, job)
        job = _lease(world, tx)
        assert job is not None
        jobs.finish(tx, job)
        assert _lease(world, tx) is None
        assert _enqueue(world, tx, again=True)
        assert _lease(world, tx) is not None


def test_the_oldest_due_job_comes_first_and_only_of_the_kinds_asked_for(world: World) -> None:
    with world.database.write() as tx:
        jobs.enqueue(tx, "b", "1", {}, tenant=None, now=world.now, run_after=world.now + timedelta(seconds=5))
        jobs.enqueue(tx, "a", "1", {}, tenant=None, now=world.now, run_after=world.now + timedelta(seconds=3))
        assert _lease(world, tx) is None
        world.later(seconds=10)
        assert _lease(world, tx, kinds=["none"]) is None
        late = _lease(world, tx, kinds=["b"])
        early = _lease(world, tx)
        assert late is not None and early is not None
        assert (late.kind, early.kind, early.tenant) == ("b", "a", None)


def test_a_job_can_be_taken_by_its_number(world: World) -> None:
    with world.database.write() as tx:
        _enqueue(world, tx, "1")
        _enqueue(world, tx, "2")
        one = _lease(world, tx)
        assert one is not None
        assert _lease(world, tx, no=one.no) is None
        other = _lease(world, tx, no=one.no + 1)
        assert other is not None and other.key == "2"


def test_done_jobs_are_forgotten_in_time(world: World) -> None:
    with world.database.write() as tx:
        _enqueue(world, tx)
        job = _lease(world, tx)
        assert job is not None
        jobs.finish(tx, job)
        assert jobs.forget_done(tx, world.now) == 0
        assert jobs.forget_done(tx, world.later(days=1)) == 1
        assert _enqueue(world, tx)


def test_a_job_vanishes_with_the_transaction_that_made_it(world: World) -> None:
    with pytest.raises(ZeroDivisionError), world.database.write() as tx:
        _enqueue(world, tx)
        raise ZeroDivisionError
    with world.database.write() as tx:
        assert _lease(world, tx) is None


def test_a_job_that_a_wrong_clock_put_off_for_years_is_due(world: World) -> None:
    world.later(days=3652)
    with world.database.write() as tx:
        _enqueue(world, tx, "queued")
        _enqueue(world, tx, "leased")
        assert _lease(world, tx) is not None
        world.later(days=-3652)
        due = jobs.next_due(tx, world.now)
        assert due is not None and due <= world.now
        assert {job.key for job in (_lease(world, tx), _lease(world, tx)) if job is not None} == {"queued", "leased"}
        assert _lease(world, tx) is None


def test_a_job_that_is_put_off_until_tomorrow_is_not_due(world: World) -> None:
    with world.database.write() as tx:
        _enqueue(world, tx, run_after=world.now + timedelta(days=1))
        assert _lease(world, tx) is None
        assert jobs.next_due(tx, world.now) == world.now + timedelta(days=1)


def test_work_is_done_in_the_order_in_which_it_came_whatever_the_clock_did(world: World) -> None:
    with world.database.write() as tx:
        for key, years in (("first", 10), ("second", 0), ("third", -30)):
            jobs.enqueue(tx, "a", key, {}, tenant=None, now=world.now + timedelta(days=365 * years))
        found = [_lease(world, tx) for _ in range(3)]
    assert [one.key for one in found if one is not None] == ["first", "second", "third"]
