"""How often one address may call by SMTP: nobody else is held up, nothing is refused for good, and memory has an end."""

from __future__ import annotations

import pytest

from lokole.server.networks import is_in, network_of, read_networks
from lokole.server.smtp_pace import FULL, TOO_OFTEN, Pace
from tests.unit.server.place import Clock

A, B = "192.0.2.7", "192.0.2.8"


def pace(clock: Clock, **more: int) -> Pace:
    return Pace(clock, connections=3, recipients=6, exempt=read_networks("X", ["198.51.100.0/24", "::1/128"]), **more)


def test_whoever_calls_too_often_waits_and_nobody_else_does() -> None:
    clock = Clock()
    door = pace(clock)
    assert [door.enter(A) for _ in range(4)] == [None, None, None, TOO_OFTEN]
    assert door.enter(B) is None
    assert TOO_OFTEN.code == FULL.code == 421
    clock.pass_by(seconds=19)
    assert door.enter(A) is TOO_OFTEN
    clock.pass_by(seconds=1)
    assert [door.enter(A), door.enter(A)] == [None, TOO_OFTEN]
    clock.pass_by(hours=1)
    assert [door.enter(A) for _ in range(4)] == [None, None, None, TOO_OFTEN]


def test_recipients_are_counted_over_all_connections() -> None:
    clock = Clock()
    door = pace(clock)
    assert [door.may_name(A) for _ in range(7)] == [True] * 6 + [False]
    assert door.may_name(B)
    clock.pass_by(seconds=10)
    assert [door.may_name(A), door.may_name(A)] == [True, False]


def test_networks_of_ones_own_do_as_they_like() -> None:
    door = pace(Clock(), most_in_all=2)
    assert [door.enter("198.51.100.9") for _ in range(20)] == [None] * 20
    assert all(door.may_name("::1") for _ in range(20))
    assert door.counted == 0


def test_one_machine_has_many_addresses_of_one_network() -> None:
    door = pace(Clock())
    assert [door.enter(f"2001:db8:0:1::{n}") for n in range(4)] == [None, None, None, TOO_OFTEN]
    assert door.enter("2001:db8:0:2::1") is None
    assert [door.may_name(one) for one in ("::ffff:192.0.2.7", A) * 4] == [True] * 6 + [False] * 2


def test_connections_at_the_same_time_are_few_for_one_and_bounded_for_all() -> None:
    clock = Clock()
    door = Pace(clock, connections=100, recipients=1, most_at_once=2, most_in_all=3)
    assert [door.enter(A) for _ in range(3)] == [None, None, TOO_OFTEN]
    assert [door.enter(B), door.enter(B)] == [None, FULL]
    door.leave(A)
    assert door.enter(B) is None
    for one in (A, B, B):
        door.leave(one)
    assert [door.enter(A) for _ in range(3)] == [None, None, TOO_OFTEN]


def test_memory_is_bounded_however_many_call() -> None:
    door = pace(Clock(), most_counted=50, most_in_all=10_000)
    for n in range(1000):
        door.enter(f"10.0.{n // 250}.{n % 250}")
    assert door.counted == 50
    for n in range(1000):
        door.leave(f"10.0.{n // 250}.{n % 250}")
    assert door.enter(A) is None


def test_a_clock_that_is_put_back_keeps_nobody_out() -> None:
    clock = Clock()
    door = pace(clock)
    while door.enter(A) is None:
        pass
    clock.pass_by(days=-400)
    assert door.enter(A) is TOO_OFTEN
    clock.pass_by(minutes=1)
    assert door.enter(A) is None


def test_what_is_no_address_is_counted_as_itself() -> None:
    door = pace(Clock())
    assert network_of("") is None
    assert [door.enter("") for _ in range(4)] == [None, None, None, TOO_OFTEN]
    assert not is_in("nonsense", read_networks("X", ["0.0.0.0/0"]))
    assert network_of("fe80::1%eth0") == network_of("fe80::2")


def test_a_network_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match=r"LOKOLE_SMTP_EXEMPT cannot have “192.0.2.1/24”"):
        read_networks("LOKOLE_SMTP_EXEMPT", ["192.0.2.1/24"])
