"""Handing a domain over, taking keys back, deleting: who may, what stays written down, and that everything else is destroyed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lokole.config import Url
from lokole.mailbox import schema
from lokole.sync.signing import encode_key, new_key, public_key
from tests.fakes.github import FakeGitHub
from tests.unit.server.place import OPERATOR, Place, message, place_in

DOMAIN = "a.lokole.test"
PATH = f"/api/email/register/{DOMAIN}"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


@pytest.fixture
def place(tmp_path: Path, github: FakeGitHub) -> Iterator[Place]:
    found: dict[str, Any] = {"github_organization": "ascoderu", "github_sudo_team": "admins"}
    with place_in(tmp_path, adapters={"identity": None}, github_url=Url(github.url), **found) as place:
        yield place


def call(place: Place, token: str | None, method: str, path: str = PATH, **body: Any) -> Any:
    asked: dict[str, Any] = {"json": body or None}
    if token is None:
        return place.client.request(method, path, auth=OPERATOR, **asked)
    return place.client.request(method, path, headers={"Authorization": f"Bearer {token}"}, **asked)


def acts(place: Place, token: str | None = None, path: str = PATH) -> list[tuple[str, str]]:
    return [(one["actor"], one["act"]) for one in call(place, token, "GET", f"{path}/acts").json()["acts"]]


def test_a_domain_is_handed_over_and_its_giver_has_no_part_in_it_any_more(place: Place, github: FakeGitHub) -> None:
    ann, bob = github.person("ann", "ascoderu"), github.person("bob", "ascoderu")
    call(place, ann, "POST", "/api/email/register/", domain=DOMAIN)
    assert call(place, bob, "POST", f"{PATH}/owner", owner="github:bob").status_code == 403
    answer = call(place, ann, "POST", f"{PATH}/owner", owner="GitHub:Bob")
    assert (answer.status_code, answer.json()) == (200, {"domain": DOMAIN, "owner": "github:bob"})
    for method, path in (("GET", PATH), ("DELETE", PATH), ("DELETE", f"{PATH}/keys"), ("GET", f"{PATH}/acts")):
        assert call(place, ann, method, path).status_code == 403
    assert call(place, ann, "POST", f"{PATH}/owner", owner="github:ann").status_code == 403
    assert call(place, bob, "GET").status_code == 200
    assert call(place, bob, "DELETE", f"{PATH}/keys").status_code == 200
    assert acts(place, bob) == [
        ("github:ann", "registered"), ("github:ann", "handed-over"), ("github:bob", "keys-taken-back"),
    ]  # fmt: skip


def test_the_sudo_team_and_the_operator_hand_over_what_is_others(place: Place, github: FakeGitHub) -> None:
    ann, sue = github.person("ann", "ascoderu"), github.person("sue", "ascoderu", "admins")
    call(place, ann, "POST", "/api/email/register/", domain=DOMAIN)
    assert call(place, sue, "POST", f"{PATH}/owner", owner=OPERATOR[0]).status_code == 200
    assert place.row(DOMAIN).owner == OPERATOR[0]
    assert call(place, None, "POST", f"{PATH}/owner", owner="github:ann").status_code == 200
    assert call(place, ann, "GET").status_code == 200


@pytest.mark.parametrize("owner", ["", "ann", "github:", "github:-a", "github:a b", "github:a/b", "x" * 201, 7, None])
def test_nobody_is_made_owner_who_cannot_sign_in(place: Place, owner: object) -> None:
    place.register(DOMAIN)
    answer = call(place, None, "POST", f"{PATH}/owner", owner=owner)
    assert answer.status_code == (404 if isinstance(owner, str) and 0 < len(owner) <= 200 else 400)
    assert place.row(DOMAIN).owner == OPERATOR[0]


def test_without_github_only_the_operator_owns(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        place.register(DOMAIN)
        assert call(place, None, "POST", f"{PATH}/owner", owner="github:ann").status_code == 404


def test_what_is_deleted_is_destroyed_but_who_did_it_and_when(place: Place, github: FakeGitHub) -> None:
    box = place.box(DOMAIN, ["ann"])
    other = place.box("b.lokole.test", ["ann"])
    place.webhook(box.webhook, message(text="a very private word"), ["ann@a.lokole.test"])
    box.offers()
    no = place.row(DOMAIN).no
    place.clock.pass_by(hours=1)
    assert call(place, None, "DELETE").status_code == 200
    assert list(place.ports.blobs.list(f"{DOMAIN}/")) == []
    with place.ports.database.read() as tx:
        for table in schema.metadata.sorted_tables:
            rows = [str(dict(row)) for row in tx.execute(table.select()).mappings()]
            if table.name not in ("domain_act", "job"):
                assert not [row for row in rows if DOMAIN in row], table.name
            assert not [row for row in rows if "private" in row or "ann@a." in row], table.name
            if "tenant" in table.columns:
                assert not tx.execute(table.select().where(table.c.tenant == no)).all(), table.name
    found = call(place, None, "GET", f"{PATH}/acts").json()["acts"]
    assert [(one["actor"], one["act"]) for one in found] == [
        ("operator", "registered"), ("", "claimed"), ("operator", "deleted"), ("", "destroyed"),
    ]  # fmt: skip
    assert found[2]["at"].startswith("2026-03-01T13:00")
    assert place.row("b.lokole.test").no
    assert other.offers() == []


def test_what_happened_before_is_not_the_next_owners_business(place: Place, github: FakeGitHub) -> None:
    ann = github.person("ann", "ascoderu")
    place.register(DOMAIN)
    call(place, None, "DELETE")
    assert call(place, ann, "GET", f"{PATH}/acts").status_code == 404
    call(place, ann, "POST", "/api/email/register/", domain=DOMAIN)
    assert acts(place, ann) == [("github:ann", "registered")]
    assert len(acts(place)) == 4
    assert call(place, None, "GET", "/api/email/register/never.lokole.test/acts").status_code == 404
    assert call(place, None, "GET", "/api/email/register/no%20domain/acts").status_code == 404


def test_a_claim_that_is_repeated_is_written_down_once(place: Place) -> None:
    code = place.register(DOMAIN)["code"]
    key = encode_key(public_key(new_key(place.ports.entropy)))
    for _ in range(3):
        answer = place.client.post("/api/exchange/claim", json={"code": code, "public_key": key})
        assert answer.status_code == 200
    assert acts(place) == [("operator", "registered"), ("", "claimed")]
