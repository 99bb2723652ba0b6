"""/metrics: who may read it, that Prometheus can, and that what happened is counted once and over restarts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lokole.mail.errors import Permanent
from lokole.mail.model import Contact, Email
from lokole.server.counting import EVENTS, Events, read_events
from lokole.sync.records import EmailRecord
from tests.unit.server.place import NEIGHBOUR, OPERATOR, Place, message, place_in

TOKEN = "a token for numbers only"
DOMAIN = "a.lokole.test"


def numbers(place: Place) -> Mapping[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    answer = place.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def events(place: Place) -> dict[str, int]:
    return {name[1]: int(value) for name, value in numbers(place).items() if name[0] == "lokole_events_total" and value}


def test_without_a_token_in_the_settings_it_is_not_there_for_anybody(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}"}):
            assert place.client.get("/metrics", headers=headers).status_code == 404


@pytest.mark.parametrize("shown", ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {NEIGHBOUR}", TOKEN])
def test_nothing_but_the_token_opens_it(tmp_path: Path, shown: str) -> None:
    with place_in(tmp_path, metrics_token=TOKEN) as place:
        answer = place.client.get("/metrics", headers={"Authorization": shown})
        assert answer.status_code == 401
        assert place.client.get("/metrics", auth=OPERATOR).status_code == 401
        assert "lokole_" not in answer.text


def test_guessing_the_token_is_slowed_down(tmp_path: Path) -> None:
    with place_in(tmp_path, metrics_token=TOKEN) as place:
        for _ in range(20):
            assert place.client.get("/metrics").status_code == 401
        assert place.client.get("/metrics").status_code == 429


def test_a_day_of_a_village_is_counted(tmp_path: Path) -> None:
    with place_in(tmp_path, metrics_token=TOKEN) as place:
        assert events(place) == {}
        box = place.box(DOMAIN, ["ann"])
        place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
        place.webhook("nobody's", message(), ["ann@a.lokole.test"])
        found = numbers(place)
        assert found["lokole_boxes", "claimed"] == 1
        assert found["lokole_letters_waiting",] == 1
        box.fetch()
        place.world.troubles = [
            Permanent("no"),
        ]
        for seq, to in enumerate(("bob@example.org", "eve@example.org"), 10):
            email = Email(sender=Contact("ann@a.lokole.test"), to=(Contact(to),), subject="x", body="y")
            box.put([EmailRecord(uid=f"{seq:032x}", email=email)], seq=seq)
        place.client.get("/api/email/register/", auth=("operator", "wrong"))
        place.client.get("/api/email/register/", headers={"Authorization": "Bearer nobody's"})
        place.clock.pass_by(days=5)
        found = numbers(place)
        assert found["lokole_letters_waiting",] == 0
        assert found["lokole_boxes_away",] == 1
        assert found["lokole_nights_missed",] == 5
        assert found["lokole_jobs", "send", "dead"] == 0
        assert found["lokole_job_overdue_seconds", "send"] == 0
        place.ports.bell.work_inline(lambda: None)
        place.webhook(box.webhook, message(subject="later"), ["ann@a.lokole.test"])
        place.clock.pass_by(minutes=10)
        assert numbers(place)["lokole_job_overdue_seconds", "receive"] == 600
        place.work()
        assert events(place) == {
            "new_client_registered": 1,
            "email_received_for_client": 2,
            "email_stored_for_client": 2,
            "unregistered_client": 1,
            "emails_delivered_to_client": 1,
            "email_stored_from_client": 3,
            "emails_received_from_client": 2,
            "email_delivered_from_client": 1,
            "letter_refused": 1,
            "bad_password": 1,
            "unknown_user": 1,
        }


def test_no_name_and_no_word_stands_there(tmp_path: Path) -> None:
    with place_in(tmp_path, metrics_token=TOKEN) as place:
        box = place.box(DOMAIN, ["ann"])
        place.webhook(box.webhook, message(subject="a private word"), ["ann@a.lokole.test"])
        text = place.client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        for word in ("ann", DOMAIN, "private", box.webhook, OPERATOR[1], TOKEN):
            assert word not in text


def test_counts_are_there_after_a_restart_and_when_nobody_has_asked(tmp_path: Path) -> None:
    with place_in(tmp_path, metrics_token=TOKEN) as place:
        place.register(DOMAIN)
    with place_in(tmp_path, metrics_token=TOKEN, seed=2) as place:
        place.register("b.lokole.test")
        assert events(place) == {"new_client_registered": 2}
        assert events(place) == {"new_client_registered": 2}


def test_what_could_not_be_written_is_counted_on(place: Place) -> None:
    counted = Events()
    counted.count("domain_deleted", 3)

    class Broken:
        def write(self) -> Any:
            raise OSError("disk full")

    for _ in range(2):
        with pytest.raises(OSError):
            counted.write(Broken())  # type: ignore[arg-type]
    counted.count("domain_deleted")
    counted.write(place.ports.database)
    with place.ports.database.read() as tx:
        assert read_events(tx)["domain_deleted"] == 4


def test_an_event_without_a_name_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        Events().count("anything")
    assert len(EVENTS) >= 13
