"""Domains over the API: the path of the operator, and of those who should not."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from lokole.config import Url
from lokole.mail.errors import Temporary
from lokole.mailbox import accounts, sessions
from lokole.mailbox.schema import secret
from lokole.server.settings import DkimAlgorithm
from lokole.sync.signing import encode_key, new_key, public_key
from lokole.webmail.parts import ManyTenants
from tests.unit.server.place import NEIGHBOUR, OPERATOR, BoxAtPlace, Place, message, place_in

DOMAIN = "a.lokole.test"
PATH = f"/api/email/register/{DOMAIN}"
TOKEN = {"Authorization": f"Bearer {NEIGHBOUR}"}


def test_registering_answers_at_once_and_the_details_follow(place: Place) -> None:
    place.ports.bell.work_inline(lambda: None)  # the work behind has not begun
    answer = place.client.post("/api/email/register/", json={"domain": DOMAIN}, auth=OPERATOR)
    assert (answer.status_code, answer.json()) == (201, "accepted")
    assert place.client.get(PATH, auth=OPERATOR).status_code == 404
    assert place.client.get("/api/email/register/", auth=OPERATOR).json() == {"clients": []}
    place.work()
    details = place.client.get(PATH, auth=OPERATOR).json()
    assert set(details) == {"client_id", "domain", "code", "webhook"}
    assert place.client.get("/api/email/register/", auth=OPERATOR).json() == {"clients": [{"domain": DOMAIN}]}
    assert set(place.ports.dns.domains) == {DOMAIN}  # type: ignore[attr-defined]


def test_a_claimed_domain_shows_no_code_any_more(place: Place) -> None:
    place.box(DOMAIN)
    assert set(place.client.get(PATH, auth=OPERATOR).json()) == {"client_id", "domain", "webhook"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"domain": "A.lokole.test"},
        {"domain": ""},
        {"domain": "nodot"},
        {"domain": 7},
        {"domain": "a b.test"},
        {"domain": "-a.test"},
        {"domain": "a..test"},
        [],
        "x",
        None,
    ],
)
def test_what_is_no_domain_is_refused_with_the_field_named(place: Place, body: object) -> None:
    answer = place.client.post("/api/email/register/", json=body, auth=OPERATOR)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if isinstance(body, dict):
        assert "domain" in answer.json()["detail"]


def test_a_domain_is_registered_once(place: Place) -> None:
    place.register(DOMAIN)
    answer = place.client.post("/api/email/register/", json={"domain": DOMAIN}, auth=OPERATOR)
    assert answer.status_code == 409
    assert answer.json()["code"] == "exists"


@pytest.mark.parametrize(
    "auth", [None, ("operator", ""), ("operator", "wrong"), ("Operator", OPERATOR[1]), ("", OPERATOR[1])]
)
def test_without_the_right_password_nothing_happens(place: Place, auth: tuple[str, str] | None) -> None:
    place.register(DOMAIN)
    for method, path in (
        ("POST", "/api/email/register/"),
        ("GET", "/api/email/register/"),
        ("GET", PATH),
        ("DELETE", PATH),
        ("DELETE", PATH + "/keys"),
    ):
        headers = {} if auth is None else {"Authorization": f"Basic {b64encode(':'.join(auth).encode()).decode()}"}
        body = {"domain": "b.lokole.test"} if method == "POST" else None
        answer = place.client.request(method, path, json=body, headers=headers)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert answer.headers["content-type"] == "application/problem+json"
    assert place.row(DOMAIN).state == "waiting"


@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Bearer", "Bearer wrong", "Digest x", "", "Basic \xff"])
def test_an_unreadable_authorization_is_401(place: Place, value: str) -> None:
    answer = place.client.get("/api/email/register/", headers={b"Authorization": value.encode("latin-1")})
    assert answer.status_code == 401


def test_somebody_elses_domain_is_not_shown_not_deleted_and_not_listed(place: Place) -> None:
    place.register(DOMAIN)
    for method, path in (("GET", PATH), ("DELETE", PATH), ("DELETE", PATH + "/keys")):
        answer = place.client.request(method, path, headers=TOKEN)
        assert answer.status_code == 403, (method, path)
        assert "code" not in answer.json() or answer.json()["code"] == "not-yours"
    assert place.client.get("/api/email/register/", headers=TOKEN).json() == {"clients": []}
    assert place.client.get("/api/email/metrics/trouble", headers=TOKEN).status_code == 403
    assert place.row(DOMAIN).state == "waiting"


def test_a_neighbour_has_domains_of_their_own_and_the_operator_sees_them(place: Place) -> None:
    place.client.post("/api/email/register/", json={"domain": "n.lokole.test"}, headers=TOKEN)
    assert place.client.get("/api/email/register/", headers=TOKEN).json() == {"clients": [{"domain": "n.lokole.test"}]}
    assert place.client.get("/api/email/register/", auth=OPERATOR).json() == {"clients": [{"domain": "n.lokole.test"}]}
    assert place.client.delete("/api/email/register/n.lokole.test", headers=TOKEN).status_code == 200


def test_a_deleted_domain_and_all_it_kept_are_gone_and_may_come_again(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    other = place.box("b.lokole.test", ["ann"])
    for one in (box, other):
        place.webhook(one.webhook, message(to=f"ann@{one.domain}"), [f"ann@{one.domain}"])
    answer = place.client.delete(PATH, auth=OPERATOR)
    assert (answer.status_code, answer.json()) == (200, "deleted")
    assert place.client.get(PATH, auth=OPERATOR).status_code == 404
    assert place.client.delete(PATH, auth=OPERATOR).status_code == 404
    assert list(place.ports.blobs.list(f"{DOMAIN}/")) == []
    assert box.call("GET", "/api/exchange/packages").status_code == 401
    assert place.webhook(box.webhook, message(), ["ann@a.lokole.test"]).status_code == 403
    assert place.client.get(f"/api/email/metrics/users/{DOMAIN}").status_code == 404
    assert len(other.fetch()) == 1
    place.box(DOMAIN, ["zoe"])


def test_nobody_of_a_deleted_domain_reads_on_in_town_while_a_provider_keeps_it_from_going(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    with place.ports.database.write() as tx:
        ann = accounts.find_account(tx, place.row(DOMAIN).no, "ann")
        assert ann is not None
        token = sessions.create_session(tx, ann, place.clock(), timedelta(days=14), place.ports.entropy)
    place.ports.bell.work_inline(lambda: None)  # the work behind does not come to an end
    assert place.client.delete(PATH, auth=OPERATOR).status_code == 200
    with place.ports.database.read() as tx:
        assert sessions.find_session(tx, token, place.clock()) is None
        assert ManyTenants().tenant_for_login(tx, f"ann@{box.domain}") is None


def test_unknown_domains_are_404_whatever_they_look_like(place: Place) -> None:
    for name in ("b.lokole.test", "ui2", "%2e%2e", "A.B", "x" * 253):
        assert place.client.get(f"/api/email/register/{name}", auth=OPERATOR).status_code == 404
        assert place.client.delete(f"/api/email/register/{name}", auth=OPERATOR).status_code == 404


def test_too_many_wrong_passwords_are_429_for_a_while_and_the_right_one_waits_too(place: Place) -> None:
    for _ in range(10):
        assert place.client.get("/api/email/register/", auth=("operator", "wrong")).status_code == 401
    answer = place.client.get("/api/email/register/", auth=("operator", "wrong"))
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert place.client.get("/api/email/register/", auth=OPERATOR).status_code == 429
    place.clock.pass_by(seconds=61)
    assert place.client.get("/api/email/register/", auth=OPERATOR).status_code == 200


# --- claiming ------------------------------------------------------------------------------------


def claim(place: Place, code: str, key: str) -> int:
    return place.client.post("/api/exchange/claim", json={"code": code, "public_key": key}).status_code


def key_of(place: Place) -> str:
    return encode_key(public_key(new_key(place.ports.entropy)))


def test_a_code_is_taken_however_it_is_typed_and_by_one_box(place: Place) -> None:
    code = place.register(DOMAIN)["code"]
    key = key_of(place)
    assert claim(place, f"  {code.replace('-', ' ').upper()}", key) == 200
    assert claim(place, code, key) == 200  # the answer was lost
    assert claim(place, code, key_of(place)) in (404, 409)
    assert claim(place, "aaaa-bbbb-cccc-dddd", key_of(place)) == 404


def test_a_key_belongs_to_one_device(place: Place) -> None:
    codes = [place.register(f"{name}.lokole.test")["code"] for name in "ab"]
    key = key_of(place)
    assert claim(place, codes[0], key) == 200
    assert claim(place, codes[1], key) == 409
    assert claim(place, codes[1], key_of(place)) == 200


@pytest.mark.parametrize("key", ["", "x" * 43 + "!", "A" * 42, "A" * 45, "é" * 43])
def test_what_is_no_key_is_refused(place: Place, key: str) -> None:
    assert claim(place, place.register(DOMAIN)["code"], key) == 400
    assert place.row(DOMAIN).state == "waiting"


def test_guessing_codes_is_slowed_down(place: Place) -> None:
    code = place.register(DOMAIN)["code"]
    for _ in range(20):
        assert claim(place, "aaaa-bbbb-cccc-dddd", key_of(place)) == 404
    assert claim(place, code, key_of(place)) == 429
    place.clock.pass_by(minutes=11)
    assert claim(place, code, key_of(place)) == 200


def test_a_stolen_box_is_shut_out_and_its_successor_finds_everything_that_waits(place: Place) -> None:
    stolen = place.box(DOMAIN, ["ann"])
    place.webhook(stolen.webhook, message(), ["ann@a.lokole.test"])
    stolen.offers()
    details = place.client.delete(PATH + "/keys", auth=OPERATOR).json()
    assert details["code"]
    assert stolen.call("GET", "/api/exchange/packages").status_code == 403
    successor = BoxAtPlace(place, DOMAIN, stolen.webhook)
    successor.claim(details["code"])
    assert stolen.call("GET", "/api/exchange/packages").status_code == 401
    assert len(successor.fetch()) == 1


def test_the_work_behind_is_tried_again_while_the_outside_fails(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        dns = place.ports.dns

        class Broken:
            def publish(self, domain: str, records: object) -> None:
                raise Temporary("the provider is out of reach")

            def withdraw(self, domain: str, records: object) -> None:
                raise Temporary("the provider is out of reach")

        object.__setattr__(place.ports, "dns", Broken())
        place.client.post("/api/email/register/", json={"domain": DOMAIN}, auth=OPERATOR)
        assert place.client.get(PATH, auth=OPERATOR).status_code == 404
        object.__setattr__(place.ports, "dns", dns)
        place.clock.pass_by(minutes=1)
        place.work()
        assert place.client.get(PATH, auth=OPERATOR).status_code == 200


def test_the_domain_of_the_services_is_nobodys_box(tmp_path: Path) -> None:
    with place_in(tmp_path, bots_domain="bots.lokole.test") as place:
        for domain, status in (("bots.lokole.test", 409), ("x.bots.lokole.test", 201)):
            answer = place.client.post("/api/email/register/", json={"domain": domain}, auth=OPERATOR)
            assert answer.status_code == status
            assert status == 201 or "LOKOLE_BOTS_DOMAIN" in answer.json()["detail"]


def test_the_keys_of_a_domains_signatures_go_with_it_and_its_neighbours_stay(tmp_path: Path) -> None:
    signing: dict[str, Any] = {
        "mail_out": Url("mx:"),
        "host_name": "mail.lokole.test",
        "dkim_algorithms": tuple(DkimAlgorithm),
    }
    with place_in(tmp_path, **signing) as place:

        def kept() -> int:
            with place.ports.database.read() as tx:
                names = tx.execute(select(secret.c.name)).scalars()
                return sum(name.startswith("dkim:") for name in names)

        for domain in (DOMAIN, "b.lokole.test"):
            place.register(domain)
        assert kept() == 4
        before = place.client.get(f"{PATH}/dns", auth=OPERATOR).json()
        assert place.client.delete(PATH, auth=OPERATOR).status_code == 200
        assert kept() == 2
        place.register(DOMAIN)
        after = place.client.get(f"{PATH}/dns", auth=OPERATOR).json()
        assert kept() == 4
        assert before != after
