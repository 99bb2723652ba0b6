"""The numbers of many boxes at once: as many statements for thirty as for three, and each box its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

from lokole.mailbox import accounts, packages, tenants, traffic
from lokole.ports.identity import Caller
from lokole.server import alarms, fleet, metrics
from lokole.server.boxes import list_boxes
from tests.bench.fleet import counted_statements, fill_fleet
from tests.unit.server.place import Place

EVERYBODY = Caller("operator", may_override=True)
#: for the fleet with its days; more is a statement for each box in disguise
MOST = 16


def test_the_fleet_takes_a_handful_of_statements_however_many_boxes_there_are(place: Place) -> None:
    check_statements(place)


def test_each_box_has_its_own_numbers(place: Place) -> None:
    check_numbers(place)


def check_statements(place: Place) -> None:
    """Also run on PostgreSQL."""
    asked: dict[str, Callable[[], object]] = {
        "boxes": lambda: fleet.fleet(place.ports, EVERYBODY),
        "own": lambda: fleet.fleet(place.ports, Caller("nobody", may_override=False)),
        "one": lambda: fleet.box(place.ports, EVERYBODY, "box1.lokole.test"),
        "trouble": lambda: metrics.trouble(place.ports, EVERYBODY),
        "alarms": lambda: alarms.look(place.ports),
    }
    counts = []
    for boxes in (3, 27):
        fill_fleet(place.ports.database, boxes, place.clock(), nights=2)
        alarms.look(place.ports)  # writes down what it sees of each for the first time
        found = {}
        for name, ask in asked.items():
            with counted_statements(place.ports.database) as statements:
                ask()
            found[name] = len(statements)
        counts.append(found)
    assert counts[0] == counts[1]
    assert max(counts[1].values()) <= MOST
    assert len(fleet.fleet(place.ports, EVERYBODY)["boxes"]) == 30


def check_numbers(place: Place) -> None:
    """Also run on PostgreSQL: what is counted for all at once is what is counted box by box."""
    chance = random.Random(5)
    database, now = place.ports.database, place.clock()
    for _ in range(8):
        people, letters = chance.randrange(4), chance.randrange(4)
        fill_fleet(database, 1, now, people=people, letters=letters, nights=chance.randrange(4))
    with database.read() as tx:
        rows = tenants.list_tenants(tx)
        sizes = traffic.waiting_bytes(tx)
        carried = traffic.by_tenant(tx, now - timedelta(days=30))
        for row, shown in zip(rows, list_boxes(tx, now), strict=True):
            assert (shown.no, shown.domain) == (row.no, row.domain)
            assert shown.people == accounts.count_accounts(tx, row.no)
            assert shown.waiting == packages.count_waiting(tx, row.no, "down")
            only = tenants.numbers(no=row.no)
            assert list_boxes(tx, now, only) == [shown]
            assert sizes.get(row.no, 0) == shown.waiting * 1305 == sum(traffic.waiting_bytes(tx, only).values())
            assert dict(traffic.by_tenant(tx, now - timedelta(days=30), only)) == {
                no: one for no, one in carried.items() if no == row.no
            }
        assert len({(one.people, one.waiting) for one in list_boxes(tx, now)}) > 3
        sums = [one.letters_up for _, one in traffic.by_day(tx, now, 30)]
        assert sum(sums) == sum(one.letters_up for one in carried.values()) > 0
