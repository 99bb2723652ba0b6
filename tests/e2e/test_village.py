"""Box and server on one injected clock: days pass, letters go and come without anybody's hand, and what breaks is mended."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lokole.device.box import Box
from lokole.device.signer import TWIN_OPTION
from lokole.mail.mime import parse_email
from lokole.mail.model import Attachment, DeliveryState
from lokole.mailbox import lists, packages, recipients, tenants
from lokole.mailbox.database import Database
from lokole.mailbox.options import get_option
from lokole.testing import CountedEntropy, FrozenClock, Village, village
from tests.unit.device.people import person, write

pytestmark = pytest.mark.e2e

DAY = 24 * 60
ANSWER = (
    b"From: Bob <bob@example.org>\r\nTo: ann@village.lokole.test\r\nSubject: Re: Hello\r\nMessage-ID: <a@example.org>\r\n"
    b"Content-Type: text/plain\r\n\r\nThank you!\r\n"
)


def inbox(place: Village, name: str) -> list[str]:
    someone = person(place.box, name)
    with place.box.ports.database.read() as tx:
        return [row.subject for row in lists.list_folder(tx, someone, "inbox").rows]


def test_a_day_passes_and_the_letter_is_in_the_world(tmp_path: Path) -> None:
    clock = FrozenClock(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    with village(tmp_path, clock=clock, zone=ZoneInfo("Africa/Kinshasa")) as place:
        place.let_pass(minutes=15)
        photo = Attachment("goat.jpg", b"\xff\xd8" + bytes(3000), "image/jpeg")
        no = write(place.box, "ann", "bob@example.org", "By itself", attachments=(photo,))
        assert place.let_pass(minutes=15 * 60) == 0
        assert place.outside.sent == []
        assert place.let_pass(minutes=9 * 60) == 1

        (message,) = place.outside.sent
        assert message.sender.startswith("bounce-") and message.sender.endswith("@village.lokole.test")
        assert message.recipient == "bob@example.org"
        email = parse_email(message.message).email
        assert email.subject == "By itself"
        assert [file.content for file in email.attachments] == [photo.content]
        with place.box.ports.database.read() as tx:
            # the last look before hanging up has brought the receipt home in the same night
            assert [one.state for one in recipients.deliveries(tx, place.box.tenant, no)] == [DeliveryState.ACCEPTED]

        # the answer waits at the server and comes with the next night
        place.write_from_outside(ANSWER, sender="bob@example.org", recipients=["ann@village.lokole.test"])
        assert inbox(place, "ann") == []
        assert place.let_pass(minutes=DAY) == 1
        assert inbox(place, "ann") == ["Re: Hello"]
        with place.server.ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain="village.lokole.test")
            assert row is not None
            assert packages.count_waiting(tx, row.no, "down") == 0
        assert place.let_pass(minutes=2 * DAY) == 2
        assert inbox(place, "ann") == ["Re: Hello"]
        assert len(place.outside.sent) == 1


def test_a_village_is_the_same_after_a_restart(tmp_path: Path) -> None:
    clock, entropy = FrozenClock(), CountedEntropy()
    with village(tmp_path, clock=clock, entropy=entropy) as place:
        write(place.box, "ann", "bob@example.org", "Before")
    with village(tmp_path, clock=clock, entropy=entropy) as place:
        assert place.box.sync().letters_up == 1
        assert [message.recipient for message in place.outside.sent] == ["bob@example.org"]


def test_a_copied_card_is_noticed_and_loses_nothing(tmp_path: Path) -> None:
    """Two boxes with one key: the one that is behind takes the server's counter, and both sides write it down."""
    clock = FrozenClock()
    with village(tmp_path / "one", clock=clock) as place:
        write(place.box, "ann", "bob@example.org", "Before the copy")
        place.box.sync()
        place.box.ports.database.close()
        shutil.copytree(tmp_path / "one" / "box", tmp_path / "two")
        write(place.box, "ann", "bob@example.org", "From the first")
        assert place.box.sync().result == "ok"

        twin = Box(
            replace(place.box.ports, database=Database(f"sqlite:///{tmp_path / 'two' / 'lokole.db'}")),
            place.box.settings,
        )
        person(twin, "ben")
        report = twin.sync()
        assert (report.result, report.waiting) == ("ok", 0)
        with place.server.ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain="village.lokole.test")
            assert row is not None
            known = tenants.find_credential(tx, row.device_id)
        assert known is not None
        assert known.twin_seen_at == clock()
        with twin.ports.database.read() as tx:
            assert get_option(tx, twin.tenant, TWIN_OPTION) is not None

        # from here on the two share no number: what each writes arrives
        write(twin, "ben", "bob@example.org", "From the twin")
        write(place.box, "ann", "bob@example.org", "From the first again")
        assert twin.sync().letters_up == 1
        assert place.box.sync().letters_up == 1
        twin.ports.database.close()
        subjects = [parse_email(message.message).email.subject for message in place.outside.sent]
        assert subjects == ["Before the copy", "From the first", "From the twin", "From the first again"]
