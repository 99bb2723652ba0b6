"""A domain from its registration to its end with SendGrid and Cloudflare, each with state, and their troubles in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lokole.config import Url
from lokole.server.worker import Worker
from tests.fakes.cloudflare import TOKEN, FakeCloudflare
from tests.fakes.sendgrid_parse import KEY, FakeSendGridParse
from tests.fakes.web_server import HANG_UP, NONSENSE, Said
from tests.unit.server.place import OPERATOR, Place, place_in

DOMAIN = "village.lokole.ca"
PATH = f"/api/email/register/{DOMAIN}"


@dataclass
class World:
    place: Place
    cloudflare: FakeCloudflare
    sendgrid: FakeSendGridParse

    def register(self) -> None:
        answer = self.place.client.post("/api/email/register/", json={"domain": DOMAIN}, auth=OPERATOR)
        assert (answer.status_code, answer.json()) == (201, "accepted")

    def status(self) -> int:
        return self.place.client.get(PATH, auth=OPERATOR).status_code


@contextmanager
def world_in(folder: Path) -> Iterator[World]:
    with FakeCloudflare("lokole.ca") as cloudflare, FakeSendGridParse("lokole.ca") as sendgrid:
        settings: dict[str, Any] = {
            "dns": Url("cloudflare:"),
            "cloudflare_url": Url(cloudflare.url),
            "cloudflare_token": TOKEN,
            "intake": Url("sendgrid:"),
            "sendgrid_url": Url(sendgrid.url),
            "sendgrid_key": KEY,
            "address": Url("https://mail.lokole.ca"),
            "spf": "v=spf1 include:sendgrid.net ~all",
        }
        with place_in(folder, **settings) as place:
            yield World(place, cloudflare, sendgrid)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as found:
        yield found


def test_registered_mail_comes_and_deleted_it_comes_no_more(world: World) -> None:
    world.register()
    details = world.place.client.get(PATH, auth=OPERATOR).json()
    assert world.sendgrid.settings[DOMAIN]["url"] == f"https://mail.lokole.ca/api/email/sendgrid/{details['webhook']}"
    assert world.cloudflare.lines("lokole.ca") == {
        f"{DOMAIN} MX 10 mx.sendgrid.net",
        f'{DOMAIN} TXT "v=spf1 include:sendgrid.net ~all"',
    }
    assert world.place.client.delete(PATH, auth=OPERATOR).status_code == 200
    assert world.sendgrid.settings == {}
    assert world.cloudflare.lines("lokole.ca") == set()


@pytest.mark.parametrize("who", ["sendgrid", "cloudflare"])
@pytest.mark.parametrize(
    "trouble", [Said(500), Said(429), HANG_UP, NONSENSE], ids=["500", "429", "hang up", "nonsense"]
)
def test_the_work_is_tried_again_until_the_provider_is_well(world: World, who: str, trouble: Said) -> None:
    provider = world.sendgrid if who == "sendgrid" else world.cloudflare
    provider.troubles = [trouble] * 3
    world.register()
    for _ in range(3):
        assert world.status() == 404
        world.place.clock.pass_by(hours=1)
        world.place.work()
    assert world.status() == 200
    provider.troubles = [trouble] * 3
    assert world.place.client.delete(PATH, auth=OPERATOR).status_code == 200
    for _ in range(3):
        assert world.status() == 404
        world.place.clock.pass_by(hours=1)
        world.place.work()
    assert world.sendgrid.settings == {}
    assert world.cloudflare.lines("lokole.ca") == set()


@pytest.mark.parametrize(("who", "name"), [("sendgrid", "SendGrid"), ("cloudflare", "Cloudflare")])
def test_a_key_that_is_not_taken_is_told_to_the_operator(world: World, who: str, name: str) -> None:
    provider = world.sendgrid if who == "sendgrid" else world.cloudflare
    provider.troubles = [Said(403)]
    world.register()
    (told,) = world.place.quarantined()
    assert told.kind == "provider" and told.reason.startswith(f"{name} does not take the key")
    world.place.clock.pass_by(hours=1)
    world.place.work()
    assert world.status() == 200


def test_what_was_given_up_is_said_and_can_be_deleted_and_registered_anew(world: World) -> None:
    world.cloudflare.add("lokole.ca", DOMAIN, "MX", "mx.elsewhere.org", priority=1)
    world.register()
    answer = world.place.client.get(PATH, auth=OPERATOR)
    assert (answer.status_code, answer.json()["code"]) == (409, "given-up")
    (told,) = world.place.quarantined()
    assert told.reason.startswith(f"{DOMAIN} could not be made ready: mail for this domain goes elsewhere")
    assert world.place.jobs("dead", "prepare") == 1
    (box,) = world.place.client.get("/api/email/metrics/boxes", auth=OPERATOR).json()["boxes"]
    assert box["state"] == "given-up"
    assert "could not be made ready" in world.place.client.get("/status/summary", auth=OPERATOR).text
    assert world.place.client.delete(PATH, auth=OPERATOR).status_code == 200
    assert world.sendgrid.settings == {}
    world.cloudflare.zones["lokole.ca"].clear()
    world.register()
    assert world.status() == 200


def test_a_domain_deleted_while_it_is_made_ready_leaves_nothing_behind(world: World) -> None:
    place = world.place
    place.ports.bell.work_inline(lambda: None)
    world.register()
    answer = world.cloudflare.answer

    def deleted_meanwhile(asked: Any) -> Said:
        if asked.method == "POST" and DOMAIN in str(asked.json):
            world.cloudflare.answer = answer  # type: ignore[method-assign]
            assert place.client.delete(PATH, auth=OPERATOR).status_code == 200
            Worker(place.ports, threads=0).work_off()  # of another process, which is quick
        return answer(asked)

    world.cloudflare.answer = deleted_meanwhile  # type: ignore[method-assign]
    place.work()
    place.work()
    assert world.sendgrid.settings == {}
    assert world.cloudflare.lines("lokole.ca") == set()
    assert world.status() == 404
