"""Nothing leads a fetch into a network behind the server, and nothing keeps it for ever."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lokole.adapters.fetch.http import HttpFetch, is_public
from lokole.mail.errors import Permanent, Temporary
from tests.fakes.web_server import DRIP, HANG_UP, Asked, FakeProvider, Said


class Site(FakeProvider):
    """Says where it was asked."""

    def answer(self, asked: Asked) -> Said:
        return Said(200, asked.path.encode(), {"Content-Type": "Text/Plain; charset=utf-8"})


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        yield running


def fetch_at(site: Site, **more: float) -> HttpFetch:
    return HttpFetch(user_agent="lokole/1 (test)", trusted=[f"{site.url}/{{language}}"], **more)  # type: ignore[arg-type]


def test_what_the_settings_name_is_asked(site: Site) -> None:
    found = fetch_at(site)(f"{site.url}/a%2Fb")
    assert (found.status, found.type, found.content) == (200, "text/plain", b"/a/b")
    assert found.is_good
    assert site.asked[0].headers["user-agent"] == "lokole/1 (test)"
    assert site.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://0/",
        "https://2130706433/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "http://example.org/",  # without TLS anybody on the way answers
        "https://user:pass@example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https:///nothing",
        "https://example.org:99999/",
        "//example.org/",
    ],
)
def test_anything_private_or_odd_is_not_asked(site: Site, url: str) -> None:
    with pytest.raises(Permanent) as refused:
        fetch_at(site)(url)
    assert refused.value.reason == "not-allowed"


@pytest.mark.parametrize(
    "addresses", [["10.1.2.3"], ["93.184.215.14", "192.168.0.1"], ["fd00::1"], ["64:ff9b::a00:1"], []]
)
def test_a_name_that_leads_into_a_private_network_is_not_asked(addresses: list[str]) -> None:
    fetch = HttpFetch(user_agent="x", resolve=lambda host, port: addresses)
    with pytest.raises(Permanent):
        fetch("https://wiki.example.org/")


def test_the_connection_goes_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        seen.append(address)
        raise OSError("no line here")

    monkeypatch.setattr(socket, "create_connection", connect)
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])  # a name server that thinks of something else the second time
    fetch = HttpFetch(user_agent="x", resolve=lambda host, port: next(answers))
    with pytest.raises(Temporary):
        fetch("https://wiki.example.org/page")
    assert seen == [("93.184.215.14", 443)]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),  # 6to4 of 127.0.0.1
        ("fe80::1%eth0", False),
        ("words", False),
    ],
)
def test_which_addresses_are_of_the_internet(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_it_follows_on_the_same_host_only_and_not_for_ever(site: Site) -> None:
    site.troubles = [Said(307, None, {"Location": "/there"})]
    assert fetch_at(site)(f"{site.url}/here").content == b"/there"
    for location in ("http://127.0.0.1:1/", "https://example.org/", "//example.org/x", "file:///etc/passwd"):
        site.troubles = [Said(302, None, {"Location": location})]
        with pytest.raises(Permanent):
            fetch_at(site)(f"{site.url}/here")
    site.troubles = [Said(302, None, {"Location": "/again"})] * 9
    asked = len(site.asked)
    with pytest.raises(Temporary):
        fetch_at(site)(f"{site.url}/here")
    assert len(site.asked) - asked == 4


def test_slow_dead_and_busy_are_for_later(site: Site) -> None:
    site.troubles = [HANG_UP]
    with pytest.raises(Temporary):
        fetch_at(site)(site.url)
    site.troubles = [Said(429, b"", {"Retry-After": "120"})]
    with pytest.raises(Temporary) as busy:
        fetch_at(site)(site.url)
    assert busy.value.retry_after == 120
    site.troubles = [Said(503)]
    with pytest.raises(Temporary):
        fetch_at(site)(site.url)
    site.troubles = [Said(200, b"x", seconds=0.6)]
    with pytest.raises(Temporary):
        fetch_at(site, idle=0.2)(site.url)
    site.troubles = [DRIP]  # a byte now and then keeps no worker
    with pytest.raises(Temporary):
        fetch_at(site, deadline=0.3)(site.url)
    with closed_port() as port, pytest.raises(Temporary):
        HttpFetch(user_agent="x", trusted=[f"http://127.0.0.1:{port}"])(f"http://127.0.0.1:{port}/")


def test_a_long_answer_is_cut_off_and_a_packed_one_not_unpacked(site: Site) -> None:
    site.troubles = [Said(200, bytes(10_000))]
    with pytest.raises(Permanent) as long:
        fetch_at(site)(site.url, max_bytes=9_999)
    assert long.value.reason == "too-large"
    site.troubles = [Said(200, b"\x1f\x8b bomb", {"Content-Encoding": "gzip"})]
    with pytest.raises(Temporary):
        fetch_at(site)(site.url)


def test_a_missing_page_is_an_answer(site: Site) -> None:
    site.troubles = [Said(404, b"no")]
    found = fetch_at(site)(site.url)
    assert (found.status, found.is_good) == (404, False)


@contextmanager
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # bound, and nobody listens
