"""What the server says about itself, and above all what it does not."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from lokole.mail.errors import Temporary
from lokole.mail.model import Contact, Email
from lokole.ports.identity import Caller
from lokole.server import logs
from lokole.sync.records import AccountRecord, EmailRecord
from tests.unit.server.place import NEIGHBOUR, OPERATOR, Place, message, place_in

#: Words that are in letters, addresses, keys and passwords of the test below.
CANARIES = (
    "canarysubject",
    "canarytext",
    "canaryann",
    "canarybob",
    "canary.test",
    "canaryhash",
    OPERATOR[1],
    NEIGHBOUR,
)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logs.quieten()
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def test_nothing_of_a_letter_an_address_or_a_secret_is_written(place: Place, written: io.StringIO) -> None:
    box = place.box("canary.test", ["canaryann"])
    raw = message(to="canaryann@canary.test", subject="canarysubject", text="canarytext")
    place.webhook(box.webhook, raw, ["canaryann@canary.test", "canaryzoe@canary.test"], "canarybob@example.org")
    place.webhook("wrong" + box.webhook, raw, ["canaryann@canary.test"])
    place.client.post(f"/api/email/sendgrid/{box.webhook}", content=raw)
    letter = Email(
        sender=Contact("canaryann@canary.test"),
        to=(Contact("canarybob@example.org"),),
        subject="canarysubject",
        body="canarytext",
    )
    place.world.troubles = [Temporary("canarybob said canarytext"), Temporary("canarytext")]
    box.put([EmailRecord("u1", letter), AccountRecord("canaryann@canary.test", "$2b$canaryhash", version=2)])
    box.put([EmailRecord("u2", Email(sender=Contact("canarybob@else.test"), subject="canarysubject"))])
    box.put_bytes(b"canarytext that is no package", seq=9)
    place.world.troubles = [ValueError("canarytext")]  # type: ignore[list-item]
    place.clock.pass_by(hours=1)
    place.work()
    box.fetch()
    place.client.get("/api/email/register/canary.test", auth=OPERATOR)
    place.client.get("/api/email/register/canary.test", auth=("operator", "canaryhash"))
    place.client.post("/api/email/register/", json={"domain": "CANARY.test", "x": "canarytext"}, auth=OPERATOR)
    place.client.get("/api/email/register/", headers={"Authorization": f"Bearer {NEIGHBOUR}"})
    place.client.post("/api/exchange/claim", json={"code": "canarytext", "public_key": "canaryhash"})
    text = written.getvalue()
    assert text.count("\n") > 20
    for canary in (*CANARIES, box.webhook, box.device_id, box.seed.hex()):
        assert canary.lower() not in text.lower(), canary


def test_nothing_of_a_body_that_cannot_be_read_is_written(place: Place, written: io.StringIO) -> None:
    """Connexion writes down what it fails on, and a claim is the one-time code of a box."""
    place.register("canary.test")
    bodies = (
        b'{"code": "canarycode\x80", "public_key": "canaryhash"}',
        b'{"code": "canarycode\\ud800", "public_key": "' + b"canarykey" * 4 + b'1234567"}',
        b'{"code": "canarycode", "canarynumber": ' + b"7" * 5000 + b"}",
        b'["canarycode", ' * 50_000,
    )
    paths = ("exchange/claim", "email/upload/canaryclient", "email/github/token", "email/register/")
    for path in (*paths, "email/register/canary.test/owner"):
        for body in bodies:
            for media_type in ("application/json", "Application/JSON; charset=canary"):
                answer = place.client.post(
                    f"/api/{path}", content=body, headers={"Content-Type": media_type}, auth=OPERATOR
                )
                assert (answer.status_code, answer.json()["detail"]) == (400, "the body is no JSON in UTF-8"), path
    text = written.getvalue()
    assert text.count("POST") == 41
    for canary in ("canary", "7777"):
        assert canary not in text.lower()


class Faulty:
    """Whoever is asked who is calling, and fails."""

    def by_password(self, name: str, password: str) -> Caller | None:
        raise ValueError(f"{name} said {password}")

    def by_token(self, token: str) -> Caller | None:
        raise ValueError(token)


def test_of_a_fault_that_connexion_meets_its_type_and_place_are_told(tmp_path: Path, written: io.StringIO) -> None:
    with place_in(tmp_path, adapters={"identity": Faulty()}) as place:
        answer = place.client.get("/api/email/register/", auth=("canaryname", "canarypassword"))
    assert (answer.status_code, answer.json()["code"]) == (500, "fault")
    text = written.getvalue()
    assert "ValueError at server/api/register.py" in text
    assert "canary" not in text


def test_each_line_is_an_object_with_the_id_of_its_work(place: Place, written: io.StringIO) -> None:
    place.client.get("/healthcheck/ping")
    box = place.box("a.lokole.test")
    box.put([EmailRecord("u1", Email(sender=Contact("ann@a.lokole.test")))])
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    ours = [line for line in lines if line["logger"].startswith("lokole")]
    assert {"time", "level", "logger", "text"} <= set(ours[0])
    ids = {line["id"].partition("-")[0] for line in ours if "id" in line}
    assert ids == {"request", "job"}
    assert any(line["text"].startswith("GET /healthcheck 200") for line in ours)


def test_of_an_error_its_type_and_place_are_told(written: io.StringIO) -> None:
    try:
        raise KeyError("somebody's words")
    except KeyError as error:
        told = logs.place(error)
        logging.getLogger("x").exception("it failed")
    assert told.startswith("KeyError at test_logs.py:")
    (line,) = [json.loads(one) for one in written.getvalue().splitlines()]
    assert line["error"] == told
    assert "somebody" not in written.getvalue()
