"""What the server serves below ``/status``: the built page, how long it is kept, its summary; who may ask from elsewhere; GitHub."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lokole.server import status_files
from lokole.server.summary import MAX_BYTES, summary
from tests.corpus import REPOSITORY
from tests.github_sign_in import CLIENT_ID, fake_github
from tests.unit.server.place import OPERATOR, Place, place_in

BUILT = REPOSITORY / "src" / "lokole" / "server" / "status"
#: bytes of everything that a browser loads, compressed
MOST = 280_000


def loaded() -> list[str]:
    """What the page loads, by name; the licences of what it is made of are there to be read."""
    return ["index.html", *sorted(f"assets/{path.name}" for path in (BUILT / "assets").iterdir())]


def test_the_page_is_asked_for_each_time_and_its_files_are_kept_for_a_year(place: Place) -> None:
    to_page = place.client.get("/status", follow_redirects=False)
    assert (to_page.status_code, to_page.headers["location"]) == (307, "/status/")
    page = place.client.get("/status/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    names = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', page.text)
    assert len(names) >= 3
    for name in names:
        file = place.client.get(f"/status/{name}")
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert file.headers["content-encoding"] == "gzip"
        assert file.content == (BUILT / name).read_bytes()
        plain = place.client.get(f"/status/{name}", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == file.content


def test_vendors_stand_apart_from_what_changes_with_our_releases() -> None:
    scripts = {path.name.partition("-")[0]: path.stat().st_size for path in (BUILT / "assets").glob("*.js")}
    assert scripts["vendor"] > 10 * scripts["index"]
    assert all(re.search(r"-[\w-]{8}\.(js|css)$", path.name) for path in (BUILT / "assets").iterdir())


def test_all_of_it_is_light() -> None:
    assert sum(len(gzip.compress((BUILT / name).read_bytes(), 9)) for name in loaded()) <= MOST


def test_the_policy_is_strict_and_the_same_on_a_host_that_sends_no_headers(place: Place) -> None:
    page = place.client.get("/status/")
    (said,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', page.text)
    assert page.headers["content-security-policy"] == f"{said}; frame-ancestors 'none'"
    assert "unsafe" not in said
    assert "<style" not in page.text
    assert re.findall(r"<script(?![^>]*\bsrc=)", page.text) == []
    assert re.findall(r'(?:src|href)="(?!\./|summary")', page.text) == [], (
        "everything is beside the page, wherever that is"
    )


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "assets/nothing.js",
        "../settings.py",
        "assets/../../app.py",
        "..%2fapp.py",
        "assets",
        "assets/",
        "%00",
    ],
)
def test_nothing_else_is_served(place: Place, name: str) -> None:
    assert place.client.get(f"/status/{name}").status_code == 404
    assert status_files.get_file(name) is None


def test_the_page_is_told_where_its_server_is_and_how_one_signs_in(place: Place, tmp_path: Path) -> None:
    assert place.client.get("/status/config.json").json() == {"endpoint": "", "github": False, "links": {}}
    with place_in(tmp_path / "other", github_client_id=CLIENT_ID) as other:
        assert other.client.get("/status/config.json").json()["github"] is True
    assert 'href="/status/"' in place.client.get("/").text


# --- the summary ---------------------------------------------------------------------------------


def test_the_summary_needs_no_script_and_asks_for_name_and_password(place: Place) -> None:
    place.box("aa.lokole.test", ["ann"])
    asked = place.client.get("/status/summary")
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert "aa.lokole.test" not in asked.text
    page = place.client.get("/status/summary", auth=OPERATOR)
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store"
    assert "1 box, 0 of them silent" in page.text
    assert "aa.lokole.test" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_passwords_cannot_be_guessed_at_the_summary(place: Place) -> None:
    for n in range(10):
        assert place.client.get("/status/summary", auth=(OPERATOR[0], f"wrong {n}")).status_code == 401
    assert place.client.get("/status/summary", auth=OPERATOR).status_code == 429
    assert place.client.get("/api/email/register/", auth=OPERATOR).status_code == 429, "one count for both doors"


@pytest.mark.parametrize("said", ["Basic", "Basic !!!", "Basic YWJj", "Bearer x", "Basic /w=="])
def test_what_is_no_name_and_password_is_refused(place: Place, said: str) -> None:
    assert place.client.get("/status/summary", headers={"Authorization": said}).status_code == 401


def box(domain: str, **changes: Any) -> dict[str, Any]:
    plain = {
        "domain": domain, "state": "claimed", "people": 3, "waiting": 0, "last_visit": "2026-03-01T02:00:00+00:00",
        "nights_missed": 0, "sentence": "", "health": {"version": "1.0"}, "health_at": None, "waiting_bytes": 0,
        "twin_seen": None, "traffic": {},
    }  # fmt: skip
    return plain | changes


@pytest.mark.parametrize("length", [10, 60])
def test_the_summary_stays_small_with_any_number_of_boxes_and_shows_the_urgent_ones_first(length: int) -> None:
    boxes = [box(f"{n:04}.{'a' * length}.test", health={"version": "é" * 200}) for n in range(3000)]
    boxes[2999]["nights_missed"] = 12
    text = summary({"boxes": boxes}, datetime(2026, 3, 1, tzinfo=UTC))
    assert len(text.encode()) <= MAX_BYTES
    assert text.index("2999.") < text.index("0000.")
    assert "silent for 12 nights" in text
    shown = text.count("<tr><td")
    assert shown > 10
    assert f"And {3000 - shown:,} boxes more" in text


def test_the_summary_escapes_what_a_box_says_of_itself() -> None:
    text = summary({"boxes": [box("a.test", health={"version": "<script>"})]}, datetime(2026, 3, 1, tzinfo=UTC))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "No box is registered yet." in summary({"boxes": []}, datetime(2026, 3, 1, tzinfo=UTC))


# --- asked from elsewhere ------------------------------------------------------------------------


def test_a_page_elsewhere_may_ask_only_where_its_origin_is_set(place: Place, tmp_path: Path) -> None:
    ours, theirs = "https://example.github.io", "https://evil.test"
    wanted = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    path = "/api/email/register/a.test"
    for origin in (ours, theirs):
        assert "access-control-allow-origin" not in place.client.get(path, headers={"Origin": origin}).headers
    with place_in(tmp_path / "other", status_origins=f"{ours} http://localhost:3000") as other:
        before = other.client.options(path, headers={"Origin": ours, **wanted})
        assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, ours)
        assert "access-control-allow-credentials" not in before.headers
        refused = other.client.get(path, headers={"Origin": ours})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ours), (
            "errors are readable too"
        )
        assert other.client.options(path, headers={"Origin": theirs, **wanted}).status_code == 400
        assert "access-control-allow-origin" not in other.client.get(path, headers={"Origin": theirs}).headers


@pytest.mark.parametrize(
    "origin", ["*", "example.org", "https://example.org/status", "https://a.test,https://b.test", "null"]
)
def test_an_origin_that_is_none_stops_the_start(place: Place, tmp_path: Path, origin: str) -> None:
    with pytest.raises(ValueError, match="LOKOLE_STATUS_ORIGINS"), place_in(tmp_path / "other", status_origins=origin):
        pass


# --- GitHub --------------------------------------------------------------------------------------


def test_github_gives_a_token_through_the_server(tmp_path: Path) -> None:
    with (
        fake_github() as github,
        place_in(tmp_path, github_client_id=CLIENT_ID, github_sign_in_url=github.url) as place,
    ):
        begun = place.client.post("/api/email/github/device")
        assert begun.headers["cache-control"] == "no-store"
        told = begun.json()
        code = {"device_code": told["device_code"]}
        assert place.client.post("/api/email/github/token", json=code).json()["token"] is None
        github.type(told["user_code"])
        assert place.client.post("/api/email/github/token", json=code).json()["token"] == github.token
        refused = place.client.post("/api/email/github/token", json={"device_code": "made up"})
        assert refused.status_code == 400
        github.fault = (500, b"")
        assert place.client.post("/api/email/github/token", json=code).status_code == 503


def test_nobody_has_github_asked_without_end(tmp_path: Path) -> None:
    with (
        fake_github() as github,
        place_in(tmp_path, github_client_id=CLIENT_ID, github_sign_in_url=github.url) as place,
    ):
        answers = [place.client.post("/api/email/github/device").status_code for _ in range(22)]
        assert answers == [200] * 20 + [429] * 2
        assert len(github.asked) == 20
