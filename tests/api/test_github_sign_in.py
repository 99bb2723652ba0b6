"""The registration API with GitHub beside the operator's password: who owns what, who overrides, and what GitHub's troubles are answered with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lokole.config import Url
from tests.fakes.github import FakeGitHub
from tests.fakes.web_server import HANG_UP, NONSENSE, Said
from tests.unit.server.place import OPERATOR, Place, place_in

DOMAIN = "a.lokole.test"
PATH = f"/api/email/register/{DOMAIN}"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


@pytest.fixture
def place(tmp_path: Path, github: FakeGitHub) -> Iterator[Place]:
    found: dict[str, Any] = {
        "github_organization": "ascoderu",
        "github_team": "operators",
        "github_sudo_team": "admins",
    }
    with place_in(tmp_path, adapters={"identity": None}, github_url=Url(github.url), **found) as place:
        yield place


def call(place: Place, token: str, method: str, path: str = PATH, domain: str | None = None) -> httpx2.Response:
    body = None if domain is None else {"domain": domain}
    return place.client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})


def register(place: Place, token: str, domain: str = DOMAIN) -> int:
    return call(place, token, "POST", "/api/email/register/", domain).status_code


def domains(place: Place, token: str) -> list[str]:
    return [one["domain"] for one in call(place, token, "GET", "/api/email/register/").json()["clients"]]


def test_a_domain_is_its_owners_and_the_sudo_teams(place: Place, github: FakeGitHub) -> None:
    ann, bob = (github.person(name, "ascoderu", "operators") for name in ("ann", "bob"))
    sudo = github.person("sue", "ascoderu", "admins")
    assert register(place, ann) == 201
    assert place.row(DOMAIN).owner == "github:ann"
    assert call(place, ann, "GET").status_code == 200
    for method, path in (("GET", PATH), ("DELETE", PATH), ("DELETE", f"{PATH}/keys")):
        answer = call(place, bob, method, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-yours")
    assert domains(place, ann) == domains(place, sudo) == [DOMAIN]
    assert domains(place, bob) == []
    assert register(place, bob) == 409
    assert call(place, sudo, "GET").status_code == 200
    assert call(place, sudo, "DELETE").status_code == 200
    assert domains(place, ann) == []


def test_a_second_token_of_the_same_person_is_the_same_owner(place: Place, github: FakeGitHub) -> None:
    assert register(place, github.person("ann", "ascoderu", "operators")) == 201
    assert call(place, github.person("Ann", "ascoderu", "operators"), "GET").status_code == 200


def test_a_login_like_the_operators_name_owns_nothing_of_the_operator(place: Place, github: FakeGitHub) -> None:
    place.register(DOMAIN)
    assert call(place, github.person(OPERATOR[0], "ascoderu", "operators"), "GET").status_code == 403


def test_who_is_in_no_team_is_403_and_an_unknown_token_401(place: Place, github: FakeGitHub) -> None:
    answer = call(place, github.person("eve", "ascoderu"), "GET")
    assert (answer.status_code, answer.json()["code"]) == (403, "team")
    answer = call(place, "ghp_unknown", "GET")
    assert answer.status_code == 401
    assert "ghp_unknown" not in answer.text


@pytest.mark.parametrize("trouble", [Said(502), Said(429, headers={"Retry-After": "17"}), HANG_UP, NONSENSE])
def test_github_in_trouble_is_503_for_tokens_and_nothing_for_the_operator(
    place: Place, github: FakeGitHub, trouble: Said
) -> None:
    ann = github.person("ann", "ascoderu", "operators")
    github.troubles = [trouble] * 12
    for _ in range(12):  # more than there may be wrong passwords
        answer = call(place, ann, "GET")
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) == (17 if trouble.status == 429 else 60)
        assert place.client.get("/api/email/register/", auth=OPERATOR).status_code == 200
    assert register(place, ann) == 201


def test_no_token_is_written_down(place: Place, github: FakeGitHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    ann, eve = github.person("ann", "ascoderu", "operators"), github.person("eve")
    github.troubles = [Said(500)]
    for token in (ann, ann, eve, "ghp_unknown"):
        call(place, token, "GET", "/api/email/register/")
    database = (place.ports.settings.data / "lokole.db").read_bytes()
    for token in (ann, eve, "ghp_unknown"):
        assert token not in caplog.text
        assert token.encode() not in database
