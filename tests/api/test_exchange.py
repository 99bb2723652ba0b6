"""The exchange paths: who signs, what may repeat, and that nobody reaches another's packages."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from lokole.mail.model import Contact, Email
from lokole.mailbox.schema import credential
from lokole.mailbox.tenants import TenantRow
from lokole.server import offer
from lokole.server.api.exchange import BUILDERS
from lokole.server.ports import ServerPorts
from lokole.sync.package import Compression
from lokole.sync.records import EmailRecord
from lokole.sync.signing import body_sha256, new_key, sign_request
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, message, packed

LIST = "/api/exchange/packages"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def letter(uid: str = "u1") -> EmailRecord:
    return EmailRecord(uid, Email(sender=Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),), subject=uid))


def test_the_first_time_is_201_and_every_repeat_200(place: Place, box: BoxAtPlace) -> None:
    content = packed([letter()])
    first = box.put_bytes(content, seq=2, expect=201)
    assert first.json() == {"sha256": body_sha256(content), "seq": 2, "held": True}
    for _ in range(3):
        assert box.put_bytes(content, seq=2, expect=200).json() == first.json()
    assert len(place.world.sent) == 1


def test_a_number_belongs_to_one_package(place: Place, box: BoxAtPlace) -> None:
    box.put_bytes(packed([letter("u1")]), seq=2)
    answer = box.put_bytes(packed([letter("u2")]), seq=2, expect=409)
    assert answer.json()["code"] == "seq"
    assert len(place.world.sent) == 1


def test_bytes_that_are_not_those_of_the_path_are_refused(place: Place, box: BoxAtPlace) -> None:
    content = packed([letter()])
    digest = body_sha256(b"something else")
    headers = box.upload_headers(2)
    answer = box.call("PUT", f"{LIST}/{digest}", content, headers, {"body_sha256": digest})
    assert (answer.status_code, answer.json()["code"]) == (400, "digest")
    answer = box.call("PUT", f"{LIST}/{digest}", content, headers)
    assert answer.status_code == 401
    assert place.world.sent == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Lokole-Seq": "0"}, 400),
        ({"Lokole-Seq": "-1"}, 400),
        ({"Lokole-Seq": "1.5"}, 400),
        ({"Lokole-Seq": "9" * 19}, 400),
        ({"Lokole-Epoch": "x"}, 400),
    ],
)
def test_wrong_headers_are_named(place: Place, box: BoxAtPlace, changes: dict[str, str], status: int) -> None:
    content = packed([letter()])
    path = f"{LIST}/{body_sha256(content)}"
    answer = box.call("PUT", path, content, box.upload_headers(2) | changes)
    assert answer.status_code == status, answer.text
    assert answer.json()["field"] in changes
    assert place.world.sent == []


def test_a_package_that_is_too_large_is_413(tmp_path: Any) -> None:
    from tests.unit.server.place import place_in

    with place_in(tmp_path, max_package_mb=1) as place:
        box = place.box("a.lokole.test", ["ann"])
        answer = box.put_bytes(b"x" * (2**20 + 1), seq=2, expect=413)
        assert answer.json()["code"] == "too-large"


@pytest.mark.parametrize("compression", list(Compression))
def test_every_compression_is_taken(place: Place, box: BoxAtPlace, compression: Compression) -> None:
    content = packed([letter()], compression=compression)
    headers = box.upload_headers(2) | {"Content-Type": compression.content_type}
    assert box.call("PUT", f"{LIST}/{body_sha256(content)}", content, headers).status_code == 201
    assert len(place.world.sent) == 1


# --- signatures ----------------------------------------------------------------------------------


def test_each_part_of_a_request_is_signed(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test")
    wrong: list[dict[str, Any]] = [
        {"seed": new_key(place.ports.entropy)},
        {"seed": other.seed},
        {"device_id": other.device_id},
        {"device_id": "nobody"},
        {"method": "POST"},
        {"path_and_query": LIST + "?after=1"},
        {"path_and_query": LIST + "/"},
        {"body_sha256": body_sha256(b"x")},
        {"headers": {"lokole-seq": "1"}},
    ]
    for signing in wrong:
        answer = box.call("GET", LIST, signing=signing)
        assert answer.status_code == 401, signing
        assert answer.json()["code"] == "signature"
    assert box.call("GET", LIST).status_code == 200


def test_the_headers_of_an_upload_are_signed(place: Place, box: BoxAtPlace) -> None:
    content = packed([letter()])
    path = f"{LIST}/{body_sha256(content)}"
    for changed in ({"Lokole-Seq": "3"}, {"Lokole-Epoch": "8"}, {"Content-Type": Compression.GZ.content_type}):
        answer = box.call("PUT", path, content, box.upload_headers(2) | changed, {"headers": box.upload_headers(2)})
        assert answer.status_code == 401
    assert place.world.sent == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Lokole",
        "Basic eDp5",
        "Bearer x",
        "Lokole device=a,counter=1,signature=x",
        "Lokole device=a,counter=-1,signature=" + "A" * 86,
    ],
)
def test_what_is_no_signature_is_401(place: Place, value: str) -> None:
    for method, path in (
        ("GET", LIST),
        ("GET", f"{LIST}/{'0' * 64}"),
        ("PUT", f"{LIST}/{'0' * 64}"),
        ("POST", "/api/exchange/ack"),
    ):
        answer = place.client.request(method, path, headers={"Authorization": value})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_replayed_request_is_409_with_the_servers_counter_marks_a_twin_and_locks_nobody_out(
    place: Place, box: BoxAtPlace
) -> None:
    for _ in range(3):
        box.call("GET", LIST)
    answer = box.call("GET", LIST, signing={"counter": 2})
    assert answer.status_code == 409
    assert answer.json()["counter"] == box.counter - 1
    assert answer.json()["code"] == "counter"
    with place.ports.database.read() as tx:
        assert tx.execute(select(credential.c.twin_seen_at)).scalar_one() is not None
    assert box.call("GET", LIST).status_code == 200
    trouble = place.client.get("/api/email/metrics/trouble", auth=OPERATOR).json()
    assert trouble["twins"] == {box.domain: place.clock.now.isoformat()}, "the operator is warned"
    place.client.delete(f"/api/email/register/{box.domain}/keys", auth=OPERATOR)
    assert place.client.get("/api/email/metrics/trouble", auth=OPERATOR).json()["twins"] == {}


def test_a_key_that_was_taken_back_opens_nothing_and_the_letters_stay(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
    (mine,) = box.offers()
    assert place.client.delete(f"/api/email/register/{box.domain}/keys", auth=OPERATOR).status_code == 200
    answers = [
        box.call("GET", LIST),
        box.call("GET", f"{LIST}/{mine['sha256']}"),
        box.put_bytes(packed([letter()]), seq=1, expect=403),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "revoked")] * 3
    assert place.pending("a.lokole.test") == 1


def test_a_counter_may_jump(place: Place, box: BoxAtPlace) -> None:
    box.counter += 1_000_000
    assert box.call("GET", LIST).status_code == 200


def test_a_box_reaches_its_own_packages_only(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["dora"])
    place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
    (mine,) = box.offers()
    assert other.offers() == []
    assert other.call("GET", f"{LIST}/{mine['sha256']}").status_code == 404
    assert other.acknowledge(mine["epoch"], mine["seq"]) == 0
    assert place.pending("a.lokole.test") == 1
    content = packed([letter()])
    box.put_bytes(content, seq=2)
    assert (
        box.call("GET", f"{LIST}/{body_sha256(content)}").status_code == 404
    )  # what it uploaded is not handed out again


def test_a_download_goes_on_where_it_broke(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(text="word " * 500), ["ann@a.lokole.test"])
    (offered,) = box.offers()
    path = f"{LIST}/{offered['sha256']}"
    whole = box.call("GET", path).content
    rest = box.call("GET", path, headers={"Range": "bytes=100-"})
    assert (rest.status_code, rest.content) == (206, whole[100:])
    assert rest.headers["content-range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
    assert box.call("GET", path, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    assert box.call("GET", path, headers={"Range": "bytes=nonsense"}).content == whole


def test_few_packages_are_built_at_once_and_every_box_gets_its_own(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [place.box(f"b{n}.lokole.test", ["ann"]) for n in range(3 * BUILDERS)]
    for box in boxes:
        place.webhook(box.webhook, message(), [f"ann@{box.domain}"])
    build, full, lock = offer.build_pending, threading.Event(), threading.Lock()
    inside = most = 0

    def watched(ports: ServerPorts, row: TenantRow) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == BUILDERS:
                full.set()
        assert full.wait(30), "fewer than BUILDERS were let in"
        time.sleep(0.2)  # room for one too many to come in
        try:
            build(ports, row)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(offer, "build_pending", watched)
    with ThreadPoolExecutor(len(boxes)) as visits:
        offered = list(visits.map(BoxAtPlace.offers, boxes))
    assert [len(packages) for packages in offered] == [1] * len(boxes)
    assert len({packages[0]["sha256"] for packages in offered}) == len(boxes)
    assert most == BUILDERS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"epoch": 1}',
        b'{"epoch": "1", "seq": 1}',
        b'{"epoch": 1, "seq": -1}',
        b'{"epoch": 1, "seq": true}',
        b'{"epoch": 1, "seq": 1, "beyond": 7}',
        b'{"epoch": 1, "seq": 1, "beyond": [0]}',
        b'{"epoch": 99999999999999999999, "seq": 1}',
        b"[" * 60_000,
    ],
)
def test_an_unreadable_acknowledgement_is_400(box: BoxAtPlace, body: bytes) -> None:
    answer = box.call("POST", "/api/exchange/ack", body, {"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text


def test_an_acknowledgement_is_small_and_json(box: BoxAtPlace) -> None:
    body = json.dumps({"epoch": 1, "seq": 1}).encode()
    assert box.call("POST", "/api/exchange/ack", body, {"Content-Type": "text/plain"}).status_code == 415
    assert (
        box.call("POST", "/api/exchange/ack", b" " * 100_000, {"Content-Type": "application/json"}).status_code == 413
    )


def test_a_signature_is_made_for_one_server_path_only(place: Place, box: BoxAtPlace) -> None:
    """An acknowledgement cannot be made out of a download that somebody overheard."""
    overheard = sign_request(
        box.seed, device_id=box.device_id, method="GET", path_and_query=LIST, body_sha256=body_sha256(b""), counter=99
    )
    answer = place.client.post(
        "/api/exchange/ack", content=b"", headers={"Authorization": overheard, "Content-Type": "application/json"}
    )
    assert answer.status_code == 401
