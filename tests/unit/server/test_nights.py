"""Nights that a box has missed, by the hours that it told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lokole.ports.identity import Caller
from lokole.server import fleet
from lokole.server.nights import MOST_DAYS, Plan, nights_missed, read_plan
from lokole.sync.records import HealthRecord
from tests.unit.server.place import Place

#: a Sunday
VISIT = datetime(2026, 3, 1, 2, 3, tzinfo=UTC)


def plan(leaves: str, zone: str = "UTC") -> Plan:
    found = read_plan({"leaves": leaves, "zone": zone})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("leaves", "zone", "days", "hour", "missed"),
    [
        ("0 2 * * *", "UTC", 1, 13, 0),  # it may yet come, when the sun shines
        ("0 2 * * *", "UTC", 1, 14, 1),
        ("0 2 * * *", "UTC", 4, 14, 4),
        ("0 2,14 * * *", "UTC", 1, 23, 0),  # the second of the day is not over
        ("0 2,14 * * *", "UTC", 2, 3, 1),  # and a day is one night
        ("0 2 * * 1,4", "UTC", 1, 14, 1),
        ("0 2 * * 4", "UTC", 3, 23, 0),  # Thursdays only
        ("0 2 * * 4", "UTC", 4, 14, 1),
        ("0 2 * * 4", "UTC", 18, 13, 2),
        ("0 2 15 * *", "UTC", 13, 23, 0),
        ("0 2 15 * *", "UTC", 14, 14, 1),
        ("0 2 15 * 4", "UTC", 14, 14, 3),  # either kind of day
        ("0 2 * * *", "Pacific/Auckland", 0, 23, 0),  # its next night begins at 13:00 of ours
        ("0 2 * * *", "Pacific/Auckland", 1, 2, 1),
        ("0 2 * * *", "nowhere/at/all", 1, 14, 1),
        ("0 2 * * *", "../../etc/passwd", 1, 14, 1),
        ("0 2 30 2 *", "UTC", 300, 0, 0),
        ("0 2 * * *", "UTC", 5000, 14, MOST_DAYS),
    ],
)
def test_only_days_on_which_it_was_to_come_are_missed(
    leaves: str, zone: str, days: int, hour: int, missed: int
) -> None:
    now = VISIT.replace(hour=0, minute=0) + timedelta(days=days, hours=hour)
    assert plan(leaves, zone).missed(VISIT, now) == missed


def test_a_visit_shortly_before_its_hour_is_the_visit_of_that_night() -> None:
    noon = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    assert plan("0 2 * * *").missed(datetime(2026, 3, 1, 21, 0, tzinfo=UTC), noon) == 0
    assert plan("0 2 * * *").missed(datetime(2026, 3, 1, 19, 0, tzinfo=UTC), noon) == 1


def test_a_clock_that_went_back_misses_nothing() -> None:
    assert plan("0 2 * * *").missed(VISIT, VISIT - timedelta(days=900)) == 0


@pytest.mark.parametrize(
    "said", [None, [], {}, {"leaves": None}, {"leaves": 7}, {"leaves": "never"}, {"leaves": "0 2"}]
)
def test_what_is_no_plan_is_none(said: object) -> None:
    assert read_plan(said) is None


def test_the_server_counts_by_the_hours_that_the_box_told(place: Place) -> None:
    box = place.box("a.lokole.test", ["ann"])
    assert place.row("a.lokole.test").last_visit_at is not None
    box.put_sealed([HealthRecord({"leaves": "0 2 * * 1", "later": {"fields": "of boxes to come"}})])
    box.offers()
    (shown,) = fleet.fleet(place.ports, Caller("operator", may_override=True))["boxes"]
    said = shown["health"]
    assert said["later"] == {"fields": "of boxes to come"}, "what is not known is kept, and does no harm"
    counts = []
    for _ in range(16):
        place.clock.pass_by(days=1)
        counts.append(nights_missed(place.row("a.lokole.test"), said, place.clock()))
    # a Sunday noon, and Mondays only
    assert counts == [0, *[1] * 7, *[2] * 7, 3]
