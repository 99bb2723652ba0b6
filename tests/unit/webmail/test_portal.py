"""The installed page, what may be kept on a telephone, and the page for whoever joins the Wi-Fi."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lokole.webmail.keep import HEADER
from lokole.webmail.views.portal import PROBES
from tests.unit.webmail.conftest import PASSWORD, Box

OWN = "http://lokole.lan/"


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("host", ["connectivitycheck.gstatic.com", "captive.apple.com", "www.msftconnecttest.com:80"])
def test_a_telephone_that_asks_for_internet_is_told_where_to_go(
    make_box: Callable[..., Box], path: str, host: str
) -> None:
    box = make_box(address=OWN)
    answer = box.app.test_client().get(f"/{path}", headers={"Host": host})
    assert answer.status_code == 200
    text = answer.get_data(as_text=True)
    assert f'<a href="{OWN}">' in text
    assert "You are near a Lokole." in text
    assert "csrf" not in text
    assert "Set-Cookie" not in answer.headers
    # nothing that would have to come from that foreign address
    assert "src=" not in text
    assert "stylesheet" not in text


def test_the_boxs_own_names_have_no_such_pages(make_box: Callable[..., Box]) -> None:
    box = make_box(address=OWN)
    for host in ("lokole.lan", "192.168.1.1", "localhost:5000", "[fe80::1]:80"):
        assert box.app.test_client().get("/generate_204", headers={"Host": host}).status_code == 404, host
    foreign = {"Host": "captive.apple.com"}
    assert make_box().app.test_client().get("/generate_204", headers=foreign).status_code == 404
    assert box.app.test_client().post("/generate_204", headers=foreign).status_code in (400, 405)


def test_the_page_of_the_wifi_is_there_at_the_root_when_lokole_lives_below_a_prefix(
    make_box: Callable[..., Box],
) -> None:
    box = make_box(address="http://lokole.lan/lokole/", prefix="/lokole")
    answer = box.app.test_client().get("/hotspot-detect.html", headers={"Host": "captive.apple.com"})
    assert "http://lokole.lan/lokole/" in answer.get_data(as_text=True)


def test_the_manifest_names_pages_and_a_picture_that_are_there(box: Box) -> None:
    client = box.app.test_client()
    told = json.loads(client.get("/manifest.webmanifest").get_data())
    assert told["start_url"] == "/email/inbox"
    assert told["icons"][0]["sizes"] == "192x192"
    assert client.get(told["icons"][0]["src"]).get_data()[:4] == b"\x89PNG"


def test_the_worker_keeps_only_files_that_are_there(box: Box) -> None:
    client = box.app.test_client()
    answer = client.get("/worker.js")
    assert answer.headers["Cache-Control"] == "no-cache"
    told = json.loads(answer.get_data(as_text=True).partition("self.LOKOLE = ")[2].partition(";\n")[0])
    for address in [*told["assets"], told["offline"]]:
        assert client.get(address).status_code == 200, address
    assert "{when}" in told["seen"]
    offline = client.get(told["offline"]).get_data(as_text=True)
    assert "The box is out of reach" in offline


def test_pages_may_be_kept_on_somebodys_own_telephone_only_and_name_nobody(box: Box) -> None:
    own = box.signed_in("mireille")
    other = box.signed_in("joseph")
    box.letter("mireille")
    first = own.open("/email/inbox").response.headers[HEADER]
    assert own.open("/email/1").response.headers[HEADER] == first
    assert other.open("/email/inbox").response.headers[HEADER] != first
    assert "mireille" not in first
    for address in ("/more", "/user/profile", "/user/sessions", "/user/leave", "/email/new", "/who"):
        assert HEADER not in own.open(address).response.headers, address
    assert "offline.js" in own.html
    shared = box.browser().open("/user/login").press("Enter", name="mireille", password=PASSWORD)
    assert HEADER not in shared.open("/email/inbox").response.headers
    assert "offline.js" not in shared.html
    assert HEADER not in box.browser().open("/user/login").response.headers


def test_leaving_tells_the_browser_to_forget(box: Box) -> None:
    browser = box.signed_in("mireille").open("/more")
    answer = browser.client.post("/user/logout", data={"csrf_token": browser.token()})
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    for address, typed in (("/user/sessions/end", {"do": "everywhere"}), ("/user/leave", {"password": PASSWORD})):
        browser = box.enter("mireille").open("/more")
        answer = browser.client.post(address, data={"csrf_token": browser.token(), **typed})
        assert answer.headers["Clear-Site-Data"] == '"cache", "storage"', address


@pytest.mark.parametrize(
    ("address", "typed"),
    [("/user/logout", {}), ("/user/sessions/end", {"do": "everywhere"}), ("/user/leave", {"password": PASSWORD})],
)
def test_whoever_leaves_is_told_so_in_their_own_language(box: Box, address: str, typed: dict[str, str]) -> None:
    box.person("mireille", language="fr")
    browser = box.enter("mireille", "en").open("/more")
    assert "<html lang=fr" in browser.html
    browser.post(address, {"csrf_token": browser.token(), **typed})
    assert browser.open("/user/login").html.count("<html lang=fr") == 1
