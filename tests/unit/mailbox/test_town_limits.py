"""What a box bounds is told to the server once, and holds for whoever writes there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lokole.mail.errors import BadPackage, Refused
from lokole.mail.model import Account
from lokole.mailbox import accounts, outbound, standing
from lokole.mailbox.allowances import BoxLimits, box_limits, check_letter, set_box_limits
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection
from lokole.mailbox.town_limits import note_limits, take_limits
from lokole.sync.records import RequestRecord
from tests.mailbox_world import World

FILE = StoredAttachment("a", "text/plain", None, "0" * 64, 600)


def told(tx: Connection, world: World) -> list[RequestRecord]:
    return [
        one.record
        for one in outbound.waiting_records(tx, world.tenant, "up")
        if isinstance(one.record, RequestRecord) and one.record.kind == "limits"
    ]


def roams(tx: Connection, person: Account) -> None:
    accounts.set_password(tx, person, "$2b$10$" + "x" * 53)
    accounts.set_roaming(tx, person, True)


def refused(tx: Connection, world: World, files: int = 0) -> str:
    try:
        check_letter(tx, world.ann, text="x", attachments=[FILE] * files, outwards=True, now=world.now)
    except Refused as error:
        return error.code
    return ""


def test_what_is_bounded_is_told_when_it_changes_and_not_otherwise(world: World) -> None:
    with world.database.write() as tx:
        assert note_limits(tx, world.tenant) == 0, "a box without limits says nothing"
        set_box_limits(tx, world.tenant, BoxLimits(letter_bytes=1000, files=2, night_bytes=5))
        assert (note_limits(tx, world.tenant), note_limits(tx, world.tenant)) == (1, 0)
        assert [dict(one.body) for one in told(tx, world)] == [{"account": "", "letter_bytes": 1000, "files": 2}]
        set_box_limits(tx, world.tenant, BoxLimits())
        assert note_limits(tx, world.tenant) == 1
        assert [dict(one.body) for one in told(tx, world)] == [{"account": ""}], "that there are none any more, too"


def test_only_who_writes_in_town_is_told_of(world: World) -> None:
    with world.database.write() as tx:
        standing.set_local_only(tx, world.ann, True)
        standing.set_local_only(tx, world.bob, True)
        assert note_limits(tx, world.tenant) == 0
        roams(tx, world.ann)
        assert note_limits(tx, world.tenant) == 1
        assert [dict(one.body) for one in told(tx, world)] == [{"account": "ann", "local_only": True}]


@pytest.mark.parametrize(
    ("body", "files", "code"),
    [
        ({"account": "", "letter_bytes": 1000}, 2, "letter-size"),
        ({"account": "", "files": 1}, 2, "letter-files"),
        ({"account": "ann", "local_only": True}, 0, "local-only"),
        ({"account": "ann", "paid_until": 1_000_000}, 0, "unpaid"),
        ({"account": "bob", "local_only": True}, 0, ""),
        ({"account": "nobody", "local_only": True}, 0, ""),
    ],
)
def test_what_was_told_holds_at_the_other_end(world: World, body: dict[str, Any], files: int, code: str) -> None:
    with world.database.write() as tx:
        take_limits(tx, world.tenant, 7, 3, RequestRecord("limits", str(body["account"]), body))
        assert refused(tx, world, files) == code
        take_limits(tx, world.tenant, 7, 4, RequestRecord("limits", str(body["account"]), {"account": body["account"]}))
        assert refused(tx, world, files) == "", "taken back"


def test_letters_of_a_day_are_bounded_there_too(world: World) -> None:
    with world.database.write() as tx:
        take_limits(tx, world.tenant, 7, 3, RequestRecord("limits", "", {"account": "", "letters_a_day": 1}))
        assert [refused(tx, world), refused(tx, world)] == ["", "letters-a-day"]


def test_an_older_package_that_comes_late_changes_nothing(world: World) -> None:
    with world.database.write() as tx:
        for epoch, seq, files, counts in ((7, 5, 5, True), (7, 4, 4, False), (7, 5, 5, True), (8, 1, 1, True)):
            record = RequestRecord("limits", "", {"account": "", "files": files})
            assert take_limits(tx, world.tenant, epoch, seq, record) is counts
        assert box_limits(tx, world.tenant).files == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"account": 3}, {"account": "", "files": 0}, {"account": "", "files": True}, {"account": "", "files": "1"},
     {"account": "ann", "paid_until": -1}, {"account": "ann", "paid_until": 2**70}, {"account": "ann", "paid_until": 1.5},
     {"account": "ann", "quota_bytes": 0}, {"account": "ann", "quota_bytes": True}, {"account": "ann", "quota_bytes": 2**63},
     {"account": "ann", "quota_bytes": 5, "used_bytes": -1}, {"account": "nobody", "quota_bytes": "5"}],
)  # fmt: skip
def test_what_is_not_as_the_protocol_says_is_refused(world: World, body: dict[str, Any]) -> None:
    with world.database.write() as tx:
        with pytest.raises(BadPackage):
            take_limits(tx, world.tenant, 7, 3, RequestRecord("limits", "", body))
        assert refused(tx, world, 1) == ""


def test_how_much_room_is_taken_is_told_in_steps_until_it_is_nearly_full(world: World) -> None:
    with world.database.write() as tx:
        roams(tx, world.ann)
        standing.set_quota(tx, world.ann, 16_000)
        said = []
        for size in (0, 500, 900, 14_500, 17_000):
            if size:
                world.incoming(tx, [world.ann], body="x" * size)
            note_limits(tx, world.tenant)
            said.append(told(tx, world)[-1].body.get("used_bytes", 0))
    assert said == [0, 0, 1000, 15_900, 32_900]


def test_an_end_that_was_paid_travels_to_the_microsecond(world: World) -> None:
    until = world.now + timedelta(days=3, microseconds=5)
    with world.database.write() as tx:
        standing.set_paid_until(tx, world.ann, until)
        roams(tx, world.ann)
        note_limits(tx, world.tenant)
        (record,) = told(tx, world)
        standing.set_paid_until(tx, world.ann, None)
        take_limits(tx, world.tenant, 1, 1, record)
        assert standing.get_standing(tx, world.ann).paid_until == until
