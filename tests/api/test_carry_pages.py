"""The whole way of a passer-by over the pages of a real box and a real server, without scripts and without an account."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from lokole.device.box import Box
from lokole.device.build import web_app
from lokole.server.api.carry import MOST_FILES
from lokole.sync.bundle import CONTENT_TYPE, MAX_BUNDLE_BYTES
from tests.api.test_carry import DOMAIN, box_at, from_outside, inbox, waiting
from tests.unit.device.people import write
from tests.unit.server.place import Place, place_in
from tests.unit.webmail.browser import Browser


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, web=True) as found:
        yield found


@pytest.fixture
def box(place: Place, tmp_path: Path) -> Iterator[Box]:
    made = box_at(place, tmp_path / "box", DOMAIN)
    yield made
    made.ports.database.close()


@pytest.fixture
def visitor(box: Box) -> Browser:
    return Browser(web_app(box))


def fetch(visitor: Browser) -> bytes:
    visitor.open("/").follow("Carry the mail").press("Get the file")
    assert visitor.response.mimetype == CONTENT_TYPE, visitor.text
    return visitor.response.get_data()


def in_town(place: Place, content: bytes, **headers: str) -> httpx2.Response:
    return place.client.post("/carry", files={"file": ("lokole.lkl.tar", content)}, headers=headers)


def home(visitor: Browser, content: bytes) -> str:
    return visitor.open("/carry").press("Hand it in", files=[("return.lkl.tar", content, "application/x-tar")]).text


def test_a_letter_goes_to_town_and_another_comes_home(place: Place, box: Box, visitor: Browser) -> None:
    write(box, "ann", "bob@example.org", "From the village")
    up = fetch(visitor)
    assert fetch(visitor) == up
    place.client.post("/carry", files={"file": ("lokole.lkl.tar", up)})
    from_outside(place, "From town")
    answer = in_town(place, up)
    assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    assert answer.headers["content-disposition"] == f'attachment; filename="return-{DOMAIN}.lkl.tar"'
    assert answer.headers["content-length"] == str(len(answer.content))
    assert in_town(place, up).content == answer.content, "whoever passes by next gets the same"
    assert len(place.world.sent) == 1
    assert "1 letter came for people here" in home(visitor, answer.content)
    assert "was here before" in home(visitor, answer.content)
    assert (inbox(box), waiting(box)) == (["From town"], 0)


def test_a_file_of_a_box_with_nothing_to_send_brings_home_what_waits(place: Place, box: Box, visitor: Browser) -> None:
    home(visitor, in_town(place, fetch(visitor)).content)  # its people are known in town now
    home(visitor, in_town(place, fetch(visitor)).content)
    from_outside(place, "From town")
    assert "1 letter came for people here" in home(visitor, in_town(place, fetch(visitor)).content)


def test_what_broke_off_is_taken_as_far_as_it_is_whole(place: Place, box: Box, visitor: Browser) -> None:
    up = fetch(visitor)
    in_town(place, up)
    from_outside(place, "One")
    in_town(place, up)
    from_outside(place, "Two")
    answer = in_town(place, up).content
    with tarfile.open(fileobj=io.BytesIO(answer)) as archive:
        members = archive.getmembers()
    assert len(members) == 3, "what was held, and two letters"
    assert "The file broke off on its way. Fetch it once more." in home(visitor, answer[:700])
    said = home(visitor, answer[: members[-1].offset_data + 10])
    assert "1 letter came for people here." in said
    assert "What was whole is taken; fetch it once more for the rest." in said
    assert inbox(box) == ["One"]
    assert "1 letter came for people here." in home(visitor, answer)
    assert inbox(box) == ["One", "Two"]


def test_files_of_others_do_no_harm(place: Place, box: Box, visitor: Browser, tmp_path: Path) -> None:
    other = box_at(place, tmp_path / "other", "other.lokole.test")
    theirs = Browser(web_app(other))
    foreign = in_town(place, fetch(theirs)).content
    assert "This file is not for here" in home(visitor, foreign)
    for strange in (b"", b"\xff\xd8 a photo", b"\0" * 10240):
        assert "This is not a file with mail" in home(visitor, strange) or "broke off" in home(visitor, strange)
        answer = in_town(place, strange)
        assert answer.status_code == 400
        assert "Choose the file that you took" in answer.text
    assert "not for here" in in_town(place, foreign).text or "knows who made" in in_town(place, foreign).text
    other.ports.database.close()


def test_the_page_in_town_is_found_read_and_changes_nothing(place: Place) -> None:
    assert 'href="/carry"' in place.client.get("/").text
    for address in ("/carry", "/web/carry"):
        answer = place.client.get(address)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert "Do you carry mail of a village?" in answer.text
        assert 'href="/web/s/' in answer.text, "the same look"
    french = place.client.get("/carry", headers={"Accept-Language": "fr"}).text
    assert "<html lang=fr>" in french
    assert "<html lang=fr>" in place.client.get("/carry?lang=fr").text
    assert "<html lang=en>" in place.client.get("/carry?lang=xx").text


def test_a_form_in_town_without_a_file_or_from_another_site_is_told(place: Place, visitor: Browser) -> None:
    answer = place.client.post("/carry", data={"x": "y"})
    assert (answer.status_code, "Choose the file first" in answer.text) == (400, True)
    assert in_town(place, fetch(visitor), origin="https://elsewhere.example").status_code == 400
    assert in_town(place, fetch(visitor), origin="http://testserver").status_code == 200


def test_a_file_that_is_too_large_for_town_is_told_and_not_kept(place: Place) -> None:
    answer = in_town(place, b"\0" * (MAX_BUNDLE_BYTES + 2**20))
    assert (answer.status_code, "This file is too large" in answer.text) == (413, True)


def test_one_place_may_hand_in_so_many_files_whichever_way(place: Place) -> None:
    for _ in range(MOST_FILES - 1):
        place.client.post("/api/exchange/carry", content=b"x")
    assert in_town(place, b"x").status_code == 400
    answer = in_town(place, b"x", **{"Lokole-Held-Back": "too-large"})
    assert (answer.status_code, "That was too often" in answer.text) == (429, True)
    assert place.client.get("/carry").status_code == 200
    place.clock.pass_by(hours=1, minutes=1)
    assert in_town(place, b"x", **{"Lokole-Held-Back": "too-large"}).status_code == 400, "only we may say that"


def test_a_form_of_any_size_and_shape_is_answered(place: Place) -> None:
    for content, kind in ((b"", "multipart/form-data"), (b"--x\r\n", "multipart/form-data; boundary=x"), (b"a=b", "")):
        answer = place.client.post("/carry", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 400, (content, kind)
