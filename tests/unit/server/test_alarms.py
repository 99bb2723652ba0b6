"""Silence is the alarm: told once, over once, whatever restarts, clocks and other processes do in between."""

from __future__ import annotations

import email
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from lokole.config import Url
from lokole.mail.errors import Temporary
from lokole.mailbox.options import set_option
from lokole.server import alarms, provider_trouble
from lokole.server.control_records import HEALTH_OPTION
from lokole.server.sweep import Sweeps
from lokole.sync.records import AccountRecord, HealthRecord
from tests.fakes.web_server import HANG_UP, Asked, FakeProvider, Said
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, place_in
from tests.unit.server.test_send import letter

DOMAIN = "a.lokole.test"
OPS = "ops@example.org"
SETTINGS: dict[str, Any] = {"alarm_to": (OPS,), "host_name": "mail.lokole.test"}


class FakeChat(FakeProvider):
    """Answers as a chat service does: with a word that is no JSON."""

    def answer(self, asked: Asked) -> Said:
        return Said(200, b"ok")


def told(place: Place) -> list[str]:
    """The first paragraph of every message to the operator so far."""
    place.work()
    letters = [
        email.message_from_bytes(one.message, policy=default) for one in place.world.sent if one.recipient == OPS
    ]
    return [letter.get_content().replace("\r", "").partition("\n\n")[0].replace("\n", " ") for letter in letters]


def days(place: Place, count: int, box: BoxAtPlace | None = None) -> None:
    """So many days, with a look every six hours, and a visit of ``box`` each night."""
    for _ in range(count):
        for _ in range(4):
            place.clock.pass_by(hours=6)
            alarms.look(place.ports)
        if box is not None:
            visit(box)


def visit(box: BoxAtPlace) -> None:
    box.put([AccountRecord(f"ann@{box.domain}", language="en", version=box.seq + 1)])
    box.offers()


def says(place: Place, **health: Any) -> None:
    """The newest line that the box said of itself."""
    with place.ports.database.write() as tx:
        set_option(tx, place.row(DOMAIN).no, HEALTH_OPTION, {"said": health, "at": 0, "epoch": 1, "seq": 1})
    alarms.look(place.ports)


def test_nights_that_are_missed_are_told_once_and_once_when_it_is_over(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    days(place, 5, box)
    assert told(place) == []
    days(place, 2)
    assert told(place) == []
    days(place, 20)
    assert told(place) == [f"The box of {DOMAIN} has missed 2 nights."]
    visit(box)
    for _ in range(3):
        alarms.look(place.ports)
    assert told(place)[1:] == [f"Over: The box of {DOMAIN} has missed 2 nights."]
    days(place, 5)
    assert len(told(place)) == 3


def test_a_box_whose_modem_heard_little_is_missed_with_the_reason(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    says(place, signal=20)
    days(place, 5)
    assert told(place) == [f"The box of {DOMAIN} has missed 2 nights, last signal weak."]
    (found,) = place.client.get("/api/email/metrics/trouble", auth=OPERATOR).json()["boxes"]
    assert " nights, last signal weak" in found["sentence"]


def test_what_a_machine_says_of_itself_is_told(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    for well in ({}, {"signal": 0}, {"oldest": 4}, {"power": "fine", "card": -1, "copied": True, "newer": 7}):
        says(place, **well)
    assert told(place) == []
    says(place, card=4, power="low", oldest=8, copied=64)
    (sentences,) = told(place)
    assert sorted(one.rstrip(".") for one in sentences.split(". ")) == [
        f"The box of {DOMAIN} gets too little power",
        f"The box of {DOMAIN} has a letter that waits for 8 days",
        f"The box of {DOMAIN} has met 4 errors on its card",
        f"The box of {DOMAIN} was last copied 64 days ago",
    ]
    says(place)
    assert told(place)[1].count("Over: ") == 4


def test_a_box_that_comes_on_mondays_is_missed_on_mondays(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    says(place, leaves="0 2 * * 1", zone="Africa/Kinshasa")
    days(place, 8)
    assert told(place) == []
    days(place, 1)
    assert told(place) == [f"The box of {DOMAIN} has missed 2 nights."]


@pytest.mark.parametrize("years", [3, -3, 30])
def test_a_clock_that_jumps_makes_no_mondays(place: Place, years: int) -> None:
    box = place.box(DOMAIN, ["ann"])
    says(place, leaves="0 2 * * 1")
    days(place, 2, box)
    alarms.look(place.ports)
    place.clock.pass_by(days=365 * years)
    for _ in range(5):
        alarms.look(place.ports)
    assert told(place) == []


def test_the_letter_says_that_a_machine_wrote_it(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    days(place, 5)
    assert len(told(place)) == 1
    (sent,) = [one for one in place.world.sent if one.recipient == OPS]
    letter = email.message_from_bytes(sent.message, policy=default)
    assert sent.sender == "lokole@mail.lokole.test"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Subject"] == f"Lokole: The box of {DOMAIN} has missed 2 nights"
    assert letter["Message-ID"].endswith("@mail.lokole.test>")
    assert b"\n" not in sent.message.replace(b"\r\n", b"")


def test_a_restart_tells_nothing_twice_and_forgets_nothing(tmp_path: Path) -> None:
    with place_in(tmp_path, **SETTINGS) as place:
        place.box(DOMAIN, ["ann"])
        days(place, 2)
    for n in range(2, 8):
        with place_in(tmp_path, clock=place.clock, seed=n, **SETTINGS) as place:
            days(place, 1)
            assert len(told(place)) == (1 if n == 2 else 0), n


@pytest.mark.parametrize("years", [3, -3, 30])
def test_a_clock_that_jumps_is_nobodys_silence(place: Place, years: int) -> None:
    box = place.box(DOMAIN, ["ann"])
    days(place, 2, box)
    alarms.look(place.ports)  # it has seen the last visit, so that only the jump lies before the next round
    place.clock.pass_by(days=365 * years)
    for _ in range(5):
        alarms.look(place.ports)
    assert told(place) == []
    days(place, 3, box)
    place.clock.pass_by(days=-365 * years)
    days(place, 3, box)
    assert told(place) == []
    days(place, 4)
    assert told(place) == [f"The box of {DOMAIN} has missed 2 nights."]
    place.clock.pass_by(days=365 * years)
    alarms.look(place.ports)
    place.clock.pass_by(days=-365 * years)
    alarms.look(place.ports)
    assert len(told(place)) == 1


def test_a_server_that_was_off_for_days_blames_no_box(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    days(place, 2, box)
    for off in (5, 40):
        place.clock.pass_by(days=off)
        alarms.look(place.ports)
        visit(box)
    assert told(place) == []


def test_health_that_turns_is_told_once_for_each_thing_and_once_when_it_is_well(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    says(place, free=4096, waiting=0, apart=0, missing=0)
    assert told(place) == []
    for waiting in (3, 4, 5):
        says(place, free=128, waiting=waiting, failed="no-carrier", clock=True)
    (first,) = told(place)
    for words in ("3 letters that wait", "128 MB", "(no-carrier)", "a clock that went back"):
        assert words in first
    says(place, free=4096, waiting=5)
    (_, second) = told(place)
    assert second.count("Over: ") == 3
    assert "wait" not in second
    says(place, free=4096, waiting=0)
    assert told(place)[2] == f"Over: The box of {DOMAIN} has 3 letters that wait for more than two days."


@pytest.mark.parametrize(
    "nonsense",
    [{"free": "none"}, {"free": -1}, {"waiting": True}, {"waiting": 10**30}, {"failed": 7}, {"clock": "yes"}, {"missing": [1]}],
    ids=str,
)  # fmt: skip
def test_what_a_box_should_not_say_says_nothing(place: Place, nonsense: dict[str, Any]) -> None:
    place.box(DOMAIN, ["ann"])
    says(place, **nonsense)
    assert told(place) == []


def test_a_box_cannot_write_into_the_head_of_the_message(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    says(place, failed="x\r\nBcc: eve@example.org\r\n")
    (said,) = told(place)
    assert "eve@" not in said.partition("(")[0]
    assert {one.recipient for one in place.world.sent} == {OPS}
    (sent,) = place.world.sent
    assert email.message_from_bytes(sent.message, policy=default)["Bcc"] is None


def test_health_comes_from_the_boxs_own_package(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    box.put_sealed([HealthRecord({"version": "1", "free": 64, "waiting": 0, "apart": 0, "missing": 0})])
    alarms.look(place.ports)
    assert told(place) == [f"The box of {DOMAIN} has 64 MB of room left."]


def test_of_a_box_that_is_gone_or_was_taken_back_nothing_is_told_to_be_over(place: Place) -> None:
    for name in (DOMAIN, "b.lokole.test"):
        place.box(name, ["ann"])
    days(place, 5)
    assert len(told(place)) == 1, "one message for both"
    place.client.delete(f"/api/email/register/{DOMAIN}", auth=OPERATOR)
    place.client.delete("/api/email/register/b.lokole.test/keys", auth=OPERATOR)
    days(place, 3)
    assert len(told(place)) == 1
    with place.ports.database.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM alarm").scalar_one() == 0


def test_work_that_was_given_up_is_told_but_not_that_of_telling(place: Place) -> None:
    place.register(DOMAIN)
    with place.ports.database.write() as tx:
        tx.exec_driver_sql("UPDATE job SET state = 'dead'")
    alarms.look(place.ports)
    assert told(place) == ["The server has given up 1 pieces of work (lokole server again)."]
    with place.ports.database.write() as tx:
        tx.exec_driver_sql("UPDATE job SET state = 'done' WHERE kind <> 'alarm'")
        tx.exec_driver_sql("UPDATE job SET state = 'dead' WHERE kind = 'alarm'")
    alarms.look(place.ports)
    alarms.look(place.ports)
    assert len(told(place)) == 2


def test_what_only_the_operator_can_mend_is_told_before_letters_come_back(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    place.world.troubles = [Temporary("no", operator="The key does not hold: make a new one.")]
    box.put([letter()])
    place.client.post(f"/api/email/sendgrid/{box.webhook}", data={"text": "taken apart"})
    for _ in range(3):
        alarms.look(place.ports)
    (said,) = told(place)
    assert "The server needs you: The key does not hold: make a new one." in said
    assert "The server needs you: SendGrid posts messages that it has taken apart" in said
    place.clock.pass_by(minutes=1)
    place.work()  # the letter leaves, and nothing is told a second time
    Sweeps(place.ports).when_due()
    assert len(told(place)) == 1
    place.clock.pass_by(days=3)
    place.work()
    Sweeps(place.ports).when_due()
    alarms.look(place.ports)
    assert told(place)[1].count("Over: The server needs you: ") == 2


def test_a_disk_of_the_server_that_fills_up_is_told_while_it_still_can_be(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarms.look(place.ports)
    assert told(place) == []
    monkeypatch.setattr(alarms, "LITTLE_DISK", 10**12)
    for _ in range(2):
        alarms.look(place.ports)
    if not place.ports.database.is_sqlite:  # its disk is elsewhere
        assert told(place) == []
        return
    (said,) = told(place)
    assert said.startswith("The server has ") and said.endswith(" MB of room left.")


def test_a_way_out_that_is_closed_is_told_before_letters_come_back(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    place.world.troubles = [Temporary("no connection to the relay")] * 1000
    box.put([letter(f"u{n}") for n in range(alarms.MANY_UNSENT)])
    while len(place.world.troubles) > 1000 - alarms.MANY_UNSENT * alarms.MANY_TRIES:
        alarms.look(place.ports)
        assert place.jobs("ready", alarms.KIND) == 0
        place.clock.pass_by(minutes=30)
        place.work()
    place.world.troubles = []
    alarms.look(place.ports)
    assert told(place) == ["The server has 10 letters that could not leave for eight hours (lokole doctor)."]
    place.clock.pass_by(hours=6)
    place.work()
    alarms.look(place.ports)
    assert told(place)[1].startswith("Over: The server has 10 letters")


def test_mail_servers_outside_that_are_too_fast_are_no_alarm(place: Place) -> None:
    provider_trouble.tell_operator(place.ports, "Others were too fast.", is_urgent=False)
    alarms.look(place.ports)
    assert told(place) == []


def test_mail_that_does_not_get_out_is_tried_again_as_the_same_letter(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    place.world.troubles = [Temporary("later")] * 2
    days(place, 5)
    for _ in range(3):
        place.clock.pass_by(hours=1)
        place.work()
    assert len(told(place)) == 1
    ids = {email.message_from_bytes(one)["Message-ID"] for one in place.world.attempts[-3:]}
    assert len(ids) == 1


def test_many_boxes_are_one_message_that_ends(place: Place) -> None:
    for n in range(alarms.MOST_NAMED + 5):
        box = f"b{n}.lokole.test"
        place.box(box)
        with place.ports.database.write() as tx:
            set_option(tx, place.row(box).no, HEALTH_OPTION, {"said": {"clock": True}})
    alarms.look(place.ports)
    (said,) = told(place)
    assert said.count("a clock that went back") == alarms.MOST_NAMED
    assert "And 5 more" in said


def test_a_webhook_is_told_too_and_its_trouble_is_for_later(tmp_path: Path) -> None:
    with FakeChat() as chat, place_in(tmp_path, alarm_webhook=Url(f"{chat.url}/hooks/secret/"), **SETTINGS) as place:
        place.box(DOMAIN, ["ann"])
        chat.troubles = [Said(500), HANG_UP]
        days(place, 5)
        for _ in range(3):
            place.clock.pass_by(hours=1)
            place.work()
        assert len(told(place)) == 1
        assert [one.path for one in chat.asked] == ["/hooks/secret/"] * 3
        assert chat.asked[-1].json == {
            "text": f"The box of {DOMAIN} has missed 2 nights.",
            "began": [{"kind": "nights", "domain": DOMAIN, "number": 2, "word": ""}],
            "over": [],
        }


def test_nobody_to_tell_is_no_work(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        place.box(DOMAIN, ["ann"])
        days(place, 5)
        assert place.jobs("ready", alarms.KIND) == place.jobs("done", alarms.KIND) == 0


def test_the_worker_looks_when_it_sweeps(tmp_path: Path) -> None:
    with place_in(tmp_path, **SETTINGS) as place:
        place.box(DOMAIN, ["ann"])
        with place.ports.database.write() as tx:
            set_option(tx, place.row(DOMAIN).no, HEALTH_OPTION, {"said": {"clock": True}})
        Sweeps(place.ports).when_due()
        assert len(told(place)) == 1
