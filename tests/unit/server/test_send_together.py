"""Letters of a box by SendGrid: one call for a letter, one state for each recipient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.config import Url
from lokole.mail.model import Contact, DeliveryState, Email
from lokole.server import provider_trouble
from lokole.server.counting import read_events
from lokole.sync.records import AccountRecord, EmailRecord
from tests.sendgrid import KEY, SendGrid, sendgrid
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, place_in
from tests.unit.server.test_send import letter, states


@pytest.fixture
def world() -> Iterator[SendGrid]:
    with sendgrid() as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, world: SendGrid) -> Iterator[Place]:
    way = SendGridMailOut(KEY, base_url=world.url, timeout=5)
    with place_in(tmp_path, mail_out_port=way, sendgrid_key=KEY, mail_out=Url("sendgrid:")) as found:
        yield found


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann", "carl"])


def written(*to: str, cc: tuple[str, ...] = (), bcc: tuple[str, ...] = (), uid: str = "u1") -> EmailRecord:
    return letter(uid, to, cc=tuple(Contact(one) for one in cc), bcc=tuple(Contact(one) for one in bcc))


def test_everybody_outside_gets_the_letter_in_one_call(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    box.put([written("bob@example.org", cc=("eve@example.com",), bcc=("secret@example.net",))])
    (mail,) = world.taken
    (copy,) = mail["personalizations"]
    assert [one["email"] for one in copy["to"] + copy["cc"] + copy["bcc"]] == [
        "bob@example.org",
        "eve@example.com",
        "secret@example.net",
    ]
    assert set(states(place).values()) == {(DeliveryState.ACCEPTED, "")}
    again = written("bob@example.org", cc=("eve@example.com",), bcc=("secret@example.net",))
    box.put([again, AccountRecord("dan@a.lokole.test", version=1)])
    assert len(world.taken) == 1


def test_whoever_is_refused_by_name_does_not_keep_it_from_the_others(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    box.put([written("bob@example.org", "élise@example.org", cc=("eve@example.com",))])
    assert world.recipients() == ["bob@example.org", "eve@example.com"]
    assert {address: state for address, (state, _) in states(place).items()} == {
        "bob@example.org": DeliveryState.ACCEPTED,
        "élise@example.org": DeliveryState.REFUSED,
        "eve@example.com": DeliveryState.ACCEPTED,
    }


def test_letters_that_left_and_that_were_refused_are_counted_once_for_each_recipient(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    box.put([written("bob@example.org", "élise@example.org", cc=("eve@example.com",))])
    place.ports.events.write(place.ports.database)
    with place.ports.database.read() as tx:
        counted = read_events(tx)
    assert (counted["email_delivered_from_client"], counted["letter_refused"]) == (2, 1)


def test_people_of_other_boxes_here_take_no_detour(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    other = place.box("b.lokole.test", ["dora"])
    box.put([written("dora@b.lokole.test", "bob@example.org")])
    assert world.recipients() == ["bob@example.org"]
    (arrived,) = other.fetch()
    assert [str(one) for one in arrived.email.recipients] == ["dora@b.lokole.test"]
    assert set(states(place).values()) == {(DeliveryState.ACCEPTED, "")}


def test_a_letter_to_people_here_alone_asks_nobody_outside(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    place.box("b.lokole.test", ["dora"])
    box.put([written("dora@b.lokole.test")])
    assert world.calls == 0


def test_a_crowd_goes_in_several_calls(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    people = [f"p{n}@example.org" for n in range(2100)]
    box.put([written(*people)])
    assert world.recipients() == people
    assert len(world.taken) == 3


def test_what_fails_for_a_while_is_sent_to_all_later_and_for_five_days_at_most(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    world.next = [503, 429]
    box.put([written("bob@example.org", "eve@example.com")])
    for minutes in (1, 5):
        assert {state for state, _ in states(place).values()} == {DeliveryState.AT_SERVER}
        place.clock.pass_by(minutes=minutes)
        place.work()
    assert set(states(place).values()) == {(DeliveryState.ACCEPTED, "")}
    world.next = [503] * 1000
    box.put([written("bob@example.org", "eve@example.com", uid="u2")])
    for _ in range(60):
        place.clock.pass_by(hours=3)
        place.work()
    assert set(states(place, "u2").values()) == {(DeliveryState.REFUSED, "expired")}


def test_a_refused_letter_comes_home_once_for_each(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    box.put([letter("u1", ("bob@example.org",), body="<p>x</p>", subject="x", sender=Contact("ann@a.lokole.test"))])
    world.max_bytes = 10
    box.put([written("bob@example.org", "eve@example.com", uid="u2")])
    assert set(states(place, "u2").values()) == {(DeliveryState.REFUSED, "5.3.4 the letter is too large")}
    assert len(box.fetch()) == 2


def test_a_key_that_was_taken_back_is_told_to_the_operator_and_loses_nothing(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    world.next = [401]
    box.put([written("bob@example.org")])
    assert states(place)["bob@example.org"][0] is DeliveryState.AT_SERVER
    told = place.client.get("/api/email/metrics/trouble", auth=OPERATOR).json()
    assert told["quarantined"] == {"provider": 1}
    assert "LOKOLE_SENDGRID_KEY" in told["newest"][0]["reason"]
    assert KEY not in str(told)
    place.clock.pass_by(minutes=1)
    place.work()
    assert states(place)["bob@example.org"][0] is DeliveryState.ACCEPTED
    with place.ports.database.write() as tx:
        provider_trouble.forget_trouble(tx, place.clock())
    assert place.quarantined() != []
    place.clock.pass_by(days=3)
    with place.ports.database.write() as tx:
        provider_trouble.forget_trouble(tx, place.clock())
    assert place.quarantined() == []


def test_a_person_in_french_is_told_in_french(place: Place, box: BoxAtPlace, world: SendGrid) -> None:
    box.put([AccountRecord("ann@a.lokole.test", language="fr", version=2)])
    box.put([EmailRecord("u9", Email(sender=Contact("ann@a.lokole.test"), to=(Contact("élise@example.org"),)))])
    (home,) = box.fetch()
    assert home.email.subject.startswith("Votre lettre n’est pas arrivée")


def test_a_service_among_the_recipients_is_answered_here_and_handed_to_nobody(
    place: Place, box: BoxAtPlace, world: SendGrid
) -> None:
    box.put([written("echo@bot.lokole.ca", "bob@example.org")])
    (mail,) = world.taken
    (copy,) = mail["personalizations"]
    assert [one["email"] for one in copy["to"]] == ["bob@example.org"]
    assert [one.email.sender.address for one in box.fetch()] == ["echo@bot.lokole.ca"]
    box.put([written("echo@bot.lokole.ca", uid="u2")])
    assert len(world.taken) == 1
