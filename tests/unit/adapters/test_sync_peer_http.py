"""The server over HTTP, seen from the box: what is signed, what each answer means, and a line that breaks.

The other end is a server of the standard library that answers by a script; the real server is met in ``tests/e2e``.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lokole.adapters.sync_peer.http import HttpSyncPeer, claim
from lokole.mail.errors import BadPackage, LokoleError, Refused, Temporary
from lokole.mail.model import DeviceId, PackageRef
from lokole.ports.sync_peer import Offered
from lokole.sync.signing import parse_authorization, public_key, verify

SEED = bytes(range(32))
CONTENT = b"a package" * 4000
REF = PackageRef(hashlib.sha256(CONTENT).hexdigest())


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """What the server got, and what it answers: (status, headers, body), or "hang up"."""

    got: list[Request] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes] | str] = field(default_factory=list)
    url: str = ""

    def answer(self, status: int, value: Any, **headers: str) -> None:
        self.answers.append((status, headers, json.dumps(value).encode()))


class Counter:
    def __init__(self) -> None:
        self.value = 0

    def next(self) -> int:
        self.value += 1
        return self.value

    def jump(self, at_least: int) -> None:
        self.value = max(self.value, at_least)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            script.got.append(Request(self.command, self.path, dict(self.headers.items()), body))
            answer = script.answers.pop(0)
            if isinstance(answer, str):
                self.close_connection = True
                if answer == "cut short":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                if answer == "silence":
                    threading.Event().wait(1.0)
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    yield script
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def twins() -> list[str]:
    return []


@pytest.fixture
def peer(script: Script, twins: list[str]) -> Iterator[HttpSyncPeer]:
    made = HttpSyncPeer(
        script.url + "/lokole",
        device_id=DeviceId("dev-1"),
        seed=SEED,
        counter=Counter(),
        on_twin=lambda: twins.append("seen"),
        idle_seconds=5.0,
    )
    yield made
    made.close()


def upload(peer: HttpSyncPeer) -> None:
    peer.upload(
        REF,
        epoch=7,
        seq=3,
        type="application/vnd.lokole.package.v1+tar.zstd",
        size=len(CONTENT),
        content=io.BytesIO(CONTENT),
    )


HELD = {"sha256": REF, "seq": 3, "held": True}


def test_an_upload_is_put_under_its_name_and_signed(peer: HttpSyncPeer, script: Script) -> None:
    script.answer(201, HELD)
    upload(peer)
    (request,) = script.got
    assert (request.method, request.path, request.body) == ("PUT", f"/lokole/api/exchange/packages/{REF}", CONTENT)
    assert request.headers["Lokole-Epoch"] == "7"
    assert request.headers["Lokole-Seq"] == "3"
    assert request.headers["Content-Type"] == "application/vnd.lokole.package.v1+tar.zstd"
    signed = parse_authorization(request.headers["Authorization"])
    assert (signed.device_id, signed.counter) == ("dev-1", 1)
    headers = {name: request.headers[name] for name in ("Content-Type", "Lokole-Epoch", "Lokole-Seq")}
    assert verify(public_key(SEED), signed, method="PUT", path_and_query=request.path, body_sha256=REF, headers=headers)


def test_the_server_is_told_when_something_is_missing(peer: HttpSyncPeer, script: Script) -> None:
    script.answer(200, {"packages": []})
    peer.offers(after=0, unsent=True)
    script.answer(200, {"packages": []})
    peer.offers(after=0)
    asked = [request.path.rpartition("?")[2] for request in script.got if request.method == "GET"]
    assert asked == ["after=0&unsent=1", "after=0"]


def test_bytes_are_counted_as_they_go_over_the_line(peer: HttpSyncPeer, script: Script) -> None:
    script.answer(200, HELD)
    upload(peer)
    assert len(CONTENT) + 300 < peer.bytes_up < len(CONTENT) + 900
    assert 50 < peer.bytes_down < 500


def test_an_answer_that_does_not_say_held_is_not_enough(peer: HttpSyncPeer, script: Script) -> None:
    script.answer(200, {"sha256": REF})
    with pytest.raises(Temporary):
        upload(peer)


def test_every_request_has_a_counter_of_its_own_on_one_connection(peer: HttpSyncPeer, script: Script) -> None:
    for _ in range(3):
        script.answer(200, {"packages": []})
        assert peer.offers(after=5) == []
    counters = [parse_authorization(request.headers["Authorization"]).counter for request in script.got]
    assert counters == [1, 2, 3]
    assert {request.path for request in script.got} == {"/lokole/api/exchange/packages?after=5"}


def test_a_wrong_counter_is_set_right_once_and_the_twin_is_noticed(
    peer: HttpSyncPeer, script: Script, twins: list[str]
) -> None:
    script.answer(409, {"title": "counter", "status": 409, "counter": 900})
    script.answer(201, HELD)
    upload(peer)
    assert twins == ["seen"]
    assert parse_authorization(script.got[1].headers["Authorization"]).counter == 901
    assert script.got[1].body == CONTENT
    script.answer(409, {"status": 409, "counter": 1000})
    script.answer(409, {"status": 409, "counter": 1001})
    with pytest.raises(Refused):
        upload(peer)


def test_offers_come_in_their_order(peer: HttpSyncPeer, script: Script) -> None:
    items = [{"sha256": f"{n:064x}", "epoch": 1, "seq": n, "size": 10 * n, "type": "t"} for n in (2, 1)]
    script.answer(200, {"packages": items})
    assert [offered.seq for offered in peer.offers(after=0)] == [1, 2]


@pytest.mark.parametrize(
    "value", [[], {}, {"packages": 1}, {"packages": [{"sha256": "x"}]}, {"packages": [None]}, "text",
              {"packages": [{"sha256": "short", "epoch": 1, "seq": 1, "size": 1, "type": "t"}]}]
)  # fmt: skip
def test_a_list_that_cannot_be_right_is_the_peers_fault(peer: HttpSyncPeer, script: Script, value: object) -> None:
    script.answer(200, value)
    with pytest.raises(BadPackage):
        peer.offers(after=0)


def test_a_download_is_what_the_server_sends(peer: HttpSyncPeer, script: Script) -> None:
    script.answers.append((200, {}, CONTENT))
    offered = Offered(REF, 1, 1, len(CONTENT), "t")
    assert b"".join(peer.download(offered)) == CONTENT
    assert script.got[0].path == f"/lokole/api/exchange/packages/{REF}"


def test_a_download_of_another_length_is_noticed(peer: HttpSyncPeer, script: Script) -> None:
    script.answers.append((200, {}, CONTENT + b"more"))
    with pytest.raises(BadPackage):
        list(peer.download(Offered(REF, 1, 1, len(CONTENT), "t")))
    script.answers.append((200, {}, CONTENT[:-1]))
    with pytest.raises(Temporary):
        list(peer.download(Offered(REF, 1, 1, len(CONTENT), "t")))


def test_an_acknowledgement_names_what_is_here(peer: HttpSyncPeer, script: Script) -> None:
    script.answer(200, {"delivered": 2})
    peer.acknowledge(epoch=4, seq=7, beyond=[9])
    assert json.loads(script.got[0].body) == {"epoch": 4, "seq": 7, "beyond": [9]}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Refused), (401, Refused), (403, Refused), (404, Refused), (413, Refused), (415, Refused), (429, Temporary),
     (500, Temporary), (502, Temporary), (503, Temporary), (302, Temporary)],
)  # fmt: skip
def test_each_answer_means_something(peer: HttpSyncPeer, script: Script, status: int, kind: type[LokoleError]) -> None:
    script.answer(status, {"title": "No", "code": "some-code"}, Retry_After="30")
    with pytest.raises(kind) as caught:
        peer.offers(after=0)
    if isinstance(caught.value, Refused):
        assert caught.value.code == "some-code"
    if isinstance(caught.value, Temporary):
        assert caught.value.retry_after == 30


def test_an_answer_from_somewhere_between_is_told_by_its_number(peer: HttpSyncPeer, script: Script) -> None:
    script.answers.append((403, {}, b"<html>captive portal</html>"))
    with pytest.raises(Refused) as caught:
        peer.offers(after=0)
    assert caught.value.code == "http-403"


@pytest.mark.parametrize("trouble", ["hang up", "cut short", "silence"])
def test_a_line_that_breaks_is_temporary(script: Script, trouble: str) -> None:
    peer = HttpSyncPeer(script.url, device_id=DeviceId("d"), seed=SEED, counter=Counter(), idle_seconds=0.3)
    script.answers.append(trouble)
    with pytest.raises(Temporary):
        peer.offers(after=0)
    script.answer(200, {"packages": []})
    assert peer.offers(after=0) == [], "the next call connects again"
    peer.close()


def test_a_connection_that_was_closed_meanwhile_is_opened_again(
    peer: HttpSyncPeer, script: Script, twins: list[str]
) -> None:
    script.answer(200, {"packages": []})
    peer.offers(after=0)
    script.answers.append("hang up")
    script.answer(200, {"packages": []})
    peer.offers(after=0)
    counters = [parse_authorization(request.headers["Authorization"]).counter for request in script.got]
    assert counters == [1, 2, 3]
    assert twins == []


def test_a_body_that_takes_for_ever_is_given_up(script: Script) -> None:
    seconds = iter(range(0, 100_000, 400))
    peer = HttpSyncPeer(
        script.url, device_id=DeviceId("d"), seed=SEED, counter=Counter(), monotonic=lambda: float(next(seconds))
    )
    with pytest.raises(Temporary):
        upload(peer)
    peer.close()


def test_nobody_at_the_address_is_temporary() -> None:
    peer = HttpSyncPeer("http://127.0.0.1:9", device_id=DeviceId("d"), seed=SEED, counter=Counter())
    with pytest.raises(Temporary):
        peer.offers(after=0)


@pytest.mark.parametrize("url", ["ftp://example.org", "mail.example.org", "http://", "file:///etc/passwd"])
def test_only_web_addresses_are_servers(url: str) -> None:
    with pytest.raises(Refused):
        HttpSyncPeer(url, device_id=DeviceId("d"), seed=SEED, counter=Counter())


def test_a_claim_sends_the_public_half_and_is_not_signed(script: Script) -> None:
    script.answer(200, {"device_id": "dev-9", "domain": "a.lokole.test"})
    assert claim(script.url, code="c-o-d-e", public_key=b"k" * 32) == ("dev-9", "a.lokole.test", None)
    (request,) = script.got
    assert json.loads(request.body)["code"] == "c-o-d-e"
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((404, {"code": "not-found"}), Refused),
        ((400, {"title": "of the framework, for a code that cannot be one"}), Refused),
        ((429, {}), Temporary),
        ((503, {}), Temporary),
        ((200, {"device_id": "x"}), BadPackage),
        # a server with something behind its address, and other sites
        ((404, {"title": "Not Found"}), BadPackage),
        ((405, {"title": "Method Not Allowed"}), BadPackage),
        ((301, {}), BadPackage),
        ((403, {}), BadPackage),
    ],
)
def test_a_claim_that_fails_says_how(
    script: Script, answer: tuple[int, dict[str, str]], kind: type[LokoleError]
) -> None:
    script.answer(*answer)
    with pytest.raises(kind):
        claim(script.url, code="c", public_key=b"k" * 32)
