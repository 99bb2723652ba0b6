"""The boxes as the status page asks for them: each with its numbers, whose they are, and the days behind them."""

from __future__ import annotations

from typing import Any

from lokole.mail.model import Contact, Email
from lokole.sync.records import EmailRecord
from tests.unit.server.place import NEIGHBOUR, OPERATOR, Place, message

DOMAIN = "aa.lokole.test"


def boxes(place: Place) -> dict[str, Any]:
    answer = place.client.get("/api/email/metrics/boxes", auth=OPERATOR)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_box_is_shown_with_what_waits_and_when_it_was_here(place: Place) -> None:
    box = place.box(DOMAIN, ["ann", "ben"])
    place.register("zz.lokole.test")
    assert (
        place.webhook(box.webhook, message(to=f"ann@{DOMAIN}", text="x" * 3000), [f"ann@{DOMAIN}"]).status_code == 200
    )
    told = boxes(place)
    assert told["caller"] == {"name": OPERATOR[0], "sees_all": True}
    first, second = told["boxes"]
    assert [first["domain"], second["domain"]] == [DOMAIN, "zz.lokole.test"]
    assert (first["people"], first["waiting"], first["state"]) == (2, 1, "claimed")
    assert 3000 <= first["waiting_bytes"] < 4000
    assert first["last_visit"] is not None
    assert (second["people"], second["waiting"], second["waiting_bytes"]) == (0, 0, 0)
    assert (second["state"], second["last_visit"], second["twin_seen"]) == ("waiting", None, None)
    assert "code" not in second, "whoever may look is not therefore given the code"


def test_anybody_may_ask_how_many_letters_wait_and_how_many_people_there_are(place: Place) -> None:
    box = place.box(DOMAIN, ["ann", "ben"])

    def counted() -> list[object]:
        answers = [place.client.get(f"/api/email/metrics/{what}/{DOMAIN}") for what in ("pending", "users")]
        return [answer.json() for answer in answers if answer.status_code == 200]

    assert counted() == [{"pending_emails": 0}, {"users": 2}]
    for subject in ("one", "two"):
        place.webhook(box.webhook, message(to=f"ann@{DOMAIN}", subject=subject), [f"ann@{DOMAIN}"])
    assert counted() == [{"pending_emails": 2}, {"users": 2}]
    box.fetch()
    assert counted() == [{"pending_emails": 0}, {"users": 2}]


def test_the_days_count_what_arrived_at_the_end_it_was_for(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    before = boxes(place)
    assert len(before["days"]) == 30
    assert before["days"][-1] | {"bytes_up": 0} == {
        "day": "2026-03-01", "boxes": 1, "letters_up": 0, "letters_down": 0, "bytes_up": 0, "bytes_down": 0,
    }  # fmt: skip
    place.clock.pass_by(days=2)
    box.put([_letter(f"ann@{DOMAIN}", "bob@example.org")])
    place.webhook(box.webhook, message(to=f"ann@{DOMAIN}"), [f"ann@{DOMAIN}"])
    assert len(box.offers()) == 1
    assert _today(place)["letters_down"] == 0, "packed, and not yet acknowledged: it has not arrived"
    box.fetch()
    today = _today(place)
    assert (today["letters_up"], today["letters_down"], today["boxes"]) == (1, 1, 1)
    assert today["bytes_up"] > 100
    assert today["bytes_down"] > 100
    one = place.client.get(f"/api/email/metrics/boxes/{DOMAIN}", auth=OPERATOR).json()
    assert one["days"] == boxes(place)["days"]
    assert one["traffic"]["letters_down"] == 1
    assert one["traffic"]["bytes_up"] == sum(day["bytes_up"] for day in one["days"])


def test_nights_without_a_visit_are_counted(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    place.clock.pass_by(days=4)
    (box,) = boxes(place)["boxes"]
    assert box["nights_missed"] == 4
    assert "missed 4 nights" in box["sentence"]


def test_an_owner_sees_their_own_boxes_and_their_own_days(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    asking = {"Authorization": f"Bearer {NEIGHBOUR}"}
    assert (
        place.client.post("/api/email/register/", json={"domain": "own.lokole.test"}, headers=asking).status_code == 201
    )
    told = place.client.get("/api/email/metrics/boxes", headers=asking).json()
    assert [box["domain"] for box in told["boxes"]] == ["own.lokole.test"]
    assert told["caller"]["sees_all"] is False
    assert sum(day["bytes_up"] for day in told["days"]) == 0, "what other boxes carried is not theirs to know"
    refused = place.client.get(f"/api/email/metrics/boxes/{DOMAIN}", headers=asking)
    assert (refused.status_code, refused.json()["code"]) == (403, "not-yours")
    assert place.client.get("/api/email/metrics/boxes/nothing.test", headers=asking).status_code == 404


def _today(place: Place) -> dict[str, Any]:
    day: dict[str, Any] = boxes(place)["days"][-1]
    return day


def _letter(sender: str, recipient: str) -> EmailRecord:
    return EmailRecord("u1", Email(sender=Contact(sender), to=(Contact(recipient),), subject="Hello"))
