"""The line that a box says of itself: small, and the same while nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from lokole import __version__
from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device import health
from lokole.device.box import Box
from lokole.device.schedule import SCHEDULE_OPTION
from lokole.mailbox import outbound, quarantine, schema, visits
from lokole.mailbox.options import set_option
from lokole.ports.machine import MachineState
from lokole.sync import jsontext
from lokole.sync.records import MAX_HEALTH_BYTES, HealthRecord
from lokole.testing import FrozenClock
from tests.unit.device.people import write

QUIET = {"version": __version__, "reads": [0, 1, 2], "waiting": 0, "apart": 0, "missing": 0, "leaves": "0 2 * * *"}


def line(box: Box, free: int | None = None) -> dict[str, object]:
    with box.ports.database.read() as tx:
        return health.line(tx, box.row(), box.ports.clock(), free, box.zone)


def test_a_box_that_is_well_says_the_same_every_night(box: Box, clock: FrozenClock) -> None:
    assert line(box) == QUIET
    for _ in range(3):
        write(box, "ann", "bob@example.org")
        clock.advance(hours=24)
        assert box.sync().result == "ok"
        assert line(box) == QUIET
    assert [line(box, free << 20)["free"] for free in (0, 1, 900, 1023, 1024, 3000)] == [0, 1, 512, 512, 1024, 2048]


def test_what_is_wrong_stands_in_the_line(box: Box, clock: FrozenClock, peer: InProcessExchange) -> None:
    write(box, "ann", "bob@example.org")
    clock.advance(days=3)
    with box.ports.database.write() as tx:
        no = visits.start_visit(tx, box.tenant, clock())
        visits.end_visit(tx, box.tenant, no, clock(), result="no-connection" * 9)
        quarantine.quarantine(
            tx, tenant=box.tenant, kind="record", source="", reason="", raw_ref=None, key="k", now=clock()
        )
        set_option(tx, box.tenant, "held_together", {"missing": 3, "letters": 1284, "at": 0})
    clock.advance(hours=-1)
    found = line(box, 2**50)
    assert found == QUIET | {
        "waiting": 1,
        "oldest": 2,
        "apart": 1,
        "missing": 3,
        "free": 2**30,
        "failed": "no-connectionno-connectionno-c",
        "clock": True,
    }
    assert len(jsontext.write(found)) <= MAX_HEALTH_BYTES


def test_a_machine_says_only_what_is_wrong_with_it_and_in_steps(box: Box, clock: FrozenClock) -> None:
    def said(**state: object) -> dict[str, object]:
        with box.ports.database.read() as tx:
            found = health.line(tx, box.row(), clock(), None, box.zone, MachineState(**state))  # type: ignore[arg-type]
        return {name: value for name, value in found.items() if name not in QUIET}

    for well in ({"signal": 30}, {"signal": 100}, {"copied_at": clock() - timedelta(days=31)}):
        assert said(**well) == {}
    assert said(copied_at=clock() + timedelta(days=900)) == {}, "a clock that was set is no old copy"
    assert [said(card_errors=number)["card"] for number in (1, 3, 1000)] == [1, 2, 512]
    assert said(power_is_low=True) == {"power": "low"}
    assert [said(signal=percent)["signal"] for percent in (0, 9, 12, 29)] == [0, 0, 10, 20]
    assert [said(copied_at=clock() - timedelta(days=days))["copied"] for days in (32, 63, 100)] == [32, 32, 64]


def test_everything_at_its_worst_has_room_in_the_line(box: Box, clock: FrozenClock) -> None:
    write(box, "ann", "bob@example.org")
    with box.ports.database.write() as tx:
        no = visits.start_visit(tx, box.tenant, clock())
        visits.end_visit(tx, box.tenant, no, clock(), result="no-connection" * 9)
        set_option(tx, box.tenant, "held_together", {"missing": 99_999, "letters": 99_999, "at": 0})
        tx.execute(schema.email.update().values(received_at=0))  # 1970: a clock without a battery
    clock.advance(hours=-1)
    worst = MachineState(10**9, power_is_low=True, signal=0, copied_at=clock() - timedelta(days=9999))
    with box.ports.database.read() as tx:
        found = health.line(tx, box.row(), clock(), 2**50, ZoneInfo("Africa/Kinshasa"), worst)
    assert found.keys() >= {"failed", "clock", "oldest", "card", "power", "signal", "copied", "leaves", "zone"}
    assert len(jsontext.write(found)) < MAX_HEALTH_BYTES


def test_the_machine_is_asked_before_each_visit(box: Box) -> None:
    states = [MachineState(power_is_low=True), MachineState()]
    box.ports = replace(box.ports, machine=lambda: states.pop())
    for told in (None, "low"):
        box.note_health()
        with box.ports.database.read() as tx:
            rows = [row.record for row in outbound.waiting_records(tx, box.tenant, "up")]
        assert [one.body.get("power") for one in rows if isinstance(one, HealthRecord)] == [told]


def test_a_line_is_sent_when_it_is_another_one_than_the_server_knows(box: Box) -> None:
    def note(free: int) -> list[object]:
        with box.ports.database.write() as tx:
            health.note_health(tx, box.row(), box.ports.clock(), free << 20, box.zone)
            rows = outbound.waiting_records(tx, box.tenant, "up")
            assert all(isinstance(row.record, HealthRecord) for row in rows)
            return [row.record.body["free"] for row in rows if isinstance(row.record, HealthRecord)]

    assert note(600) == [512]
    with box.ports.database.write() as tx:
        tx.execute(schema.outbound.update().values(state="delivered"))
    assert note(700) == []
    assert note(400) == [256]
    assert note(700) == [512]


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ({"hours": [2, 14], "days": None}, "0 2,14 * * *"),
        ({"hours": [23], "days": [0, 5, 6]}, "0 23 * * 1,6,0"),
        ({"cron": "30 3 1,15 * *"}, "30 3 1,15 * *"),
    ],
)
def test_the_line_says_when_the_box_leaves(box: Box, schedule: object, told: str) -> None:
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, SCHEDULE_OPTION, schedule)
        zone = ZoneInfo("America/Argentina/ComodRivadavia")
        assert health.line(tx, box.row(), box.ports.clock(), None, zone) == QUIET | {"leaves": told, "zone": str(zone)}


def test_hours_for_which_there_is_no_room_are_left_out(box: Box) -> None:
    with box.ports.database.write() as tx:
        set_option(
            tx,
            box.tenant,
            SCHEDULE_OPTION,
            {"cron": f"{','.join(map(str, range(60)))} {','.join(map(str, range(24)))} * * *"},
        )
        found = health.line(tx, box.row(), box.ports.clock(), None, ZoneInfo("Africa/Kinshasa"))
    assert found == {name: value for name, value in QUIET.items() if name != "leaves"}
