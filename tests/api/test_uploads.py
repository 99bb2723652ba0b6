"""Uploads that go on after a cut (protocol 4.12): what is kept, who may go on, and what is thrown away."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from lokole.mail.model import Contact, Email
from lokole.mailbox.schema import upload, upload_part
from lokole.server.sweep import Sweeper
from lokole.sync.records import EmailRecord
from lokole.sync.signing import EMPTY_BODY_SHA256, body_sha256, sign_request
from tests.unit.server.place import COVERED, BoxAtPlace, Place, packed

CHUNK = 16 * 1024


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def package(size: int = 40_000, uid: str = "u1") -> bytes:
    """A package of about ``size`` bytes that does not compress."""
    noise = "".join(body_sha256(f"{uid}{n}".encode()) for n in range(size // 32))
    email = Email(sender=Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),), subject=uid, body=noise)
    return packed([EmailRecord(uid, email)])


def path_of(content: bytes) -> str:
    return f"/api/exchange/packages/{body_sha256(content)}"


def cut(
    box: BoxAtPlace, method: str, content: bytes, headers: dict[str, str], *, until: int, pieces: int = 1000
) -> None:
    """One request of which ``until`` bytes of the body come before the line breaks, in steps of ``pieces`` bytes."""
    box.counter += 1
    path = path_of(content)
    signature = sign_request(
        box.seed,
        device_id=box.device_id,
        method=method,
        path_and_query=path,
        body_sha256=body_sha256(content),
        counter=box.counter,
        headers={name: value for name, value in headers.items() if name in COVERED[method]},
    )
    start = int(headers.get("Upload-Offset", "0"))
    coming = content[start : start + until]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": coming[at : at + pieces], "more_body": True} for at in range(0, until, pieces)
    ]
    sent = {**headers, "Authorization": signature, "Content-Length": str(len(content) - start)}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("192.0.2.1", 1),
        "server": ("testserver", 80),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        return

    app: Any = box.place.server.app
    asyncio.run(app(scope, receive, send))


def look(box: BoxAtPlace, content: bytes) -> httpx2.Response:
    return box.call("HEAD", path_of(content), signing={"body_sha256": EMPTY_BODY_SHA256})


def go_on(
    box: BoxAtPlace, content: bytes, offset: int, until: int | None = None, changes: dict[str, str] | None = None
) -> httpx2.Response:
    part = content[offset:until]
    complete = "?1" if until is None or until >= len(content) else "?0"
    said = {"Content-Type": "application/partial-upload", "Upload-Offset": str(offset), "Upload-Complete": complete}
    said |= {name.replace("_", "-"): value for name, value in (changes or {}).items()}
    return box.call("PATCH", path_of(content), part, said, {"body_sha256": body_sha256(content)})


def begin(box: BoxAtPlace, content: bytes, until: int) -> None:
    box.seq += 1
    cut(box, "PUT", content, box.upload_headers(box.seq), until=until)


def rows(place: Place, table: Any) -> int:
    with place.ports.database.read() as tx:
        return int(tx.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.mark.parametrize("until", [1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 30_000, 39_999])
def test_every_byte_that_came_before_a_cut_is_kept(place: Place, box: BoxAtPlace, until: int) -> None:
    content = package()
    begin(box, content, until)
    answer = look(box, content)
    assert answer.status_code == 204
    assert answer.headers["upload-offset"] == str(until)
    assert answer.headers["upload-length"] == str(len(content))
    assert answer.headers["upload-complete"] == "?0"
    assert answer.headers["upload-limit"].startswith("max-size=")
    assert place.world.sent == [], "nothing of it is read"
    done = go_on(box, content, until)
    assert done.status_code == 201, done.text
    assert done.json() == {"sha256": body_sha256(content), "seq": box.seq, "held": True}
    assert done.headers["upload-complete"] == "?1"
    assert len(place.world.sent) == 1
    assert rows(place, upload) == rows(place, upload_part) == 0


def test_a_package_of_less_than_a_chunk_is_kept_too(place: Place, box: BoxAtPlace) -> None:
    content = package(3000)
    assert len(content) < CHUNK
    begin(box, content, 1500)
    assert look(box, content).headers["upload-offset"] == "1500"
    assert go_on(box, content, 1500).status_code == 201
    assert len(place.world.sent) == 1


def test_parts_may_be_sent_one_by_one_and_cut_again(place: Place, box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 5000)
    part = go_on(box, content, 5000, 9000)
    assert (part.status_code, part.headers["upload-offset"], part.headers["upload-complete"]) == (204, "9000", "?0")
    said = {"Content-Type": "application/partial-upload", "Upload-Offset": "9000", "Upload-Complete": "?1"}
    cut(box, "PATCH", content, said, until=20_001)
    assert look(box, content).headers["upload-offset"] == "29001"
    assert go_on(box, content, 29_001).status_code == 201
    assert len(place.world.sent) == 1


def test_when_the_answer_was_lost_a_look_says_that_it_is_held(place: Place, box: BoxAtPlace) -> None:
    content = package()
    box.seq += 1
    box.put_bytes(content, seq=box.seq)
    answer = look(box, content)
    assert (answer.status_code, answer.headers["upload-complete"]) == (204, "?1")
    assert answer.headers["upload-offset"] == answer.headers["upload-length"] == str(len(content))
    again = go_on(box, content, 100)
    assert (again.status_code, again.json()["code"], again.headers["upload-complete"]) == (400, "completed", "?1")
    assert again.json()["type"].endswith("#completed-upload")
    assert len(place.world.sent) == 1


def test_another_offset_is_named(box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 20_000)
    for offset in (0, 19_999, 20_001, len(content)):
        answer = go_on(box, content, offset)
        assert (answer.status_code, answer.json()["code"]) == (409, "offset")
        assert answer.headers["upload-offset"] == "20000"
        assert (answer.json()["expected-offset"], answer.json()["provided-offset"]) == (20_000, offset)
    assert look(box, content).headers["upload-offset"] == "20000"


def test_another_box_does_not_find_it(place: Place, box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 20_000)
    other = place.box("b.lokole.test")
    assert look(other, content).status_code == 404
    assert go_on(other, content, 20_000).status_code == 404
    assert other.call("DELETE", path_of(content)).status_code == 204
    assert look(box, content).headers["upload-offset"] == "20000"


def test_a_whole_that_is_not_what_its_name_says_is_dropped(place: Place, box: BoxAtPlace) -> None:
    content = package()
    begin(box, content[:-1] + b"?", 20_000)  # an honest name, but not of these bytes
    wrong = content[:-1] + b"?"
    said = {"Content-Type": "application/partial-upload", "Upload-Offset": "20000", "Upload-Complete": "?1"}
    digest = body_sha256(wrong)
    twisted = wrong[20_000:][::-1]
    answer = box.call("PATCH", path_of(wrong), twisted, said, {"body_sha256": digest})
    assert (answer.status_code, answer.json()["code"], answer.headers["upload-complete"]) == (400, "digest", "?1")
    assert look(box, wrong).status_code == 404
    assert rows(place, upload_part) == 0
    assert place.world.sent == []


def test_a_length_that_differs_is_refused(box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 20_000)
    said = {"Content-Type": "application/partial-upload", "Upload-Offset": "20000", "Upload-Complete": "?1"}
    for part in (content[20_000:-1], content[20_000:] + b"more"):
        answer = box.call("PATCH", path_of(content), part, said, {"body_sha256": body_sha256(content)})
        assert (answer.status_code, answer.json()["code"]) == (400, "length")
    assert go_on(box, content, 20_000).status_code == 201


def test_a_put_begins_from_the_first_byte_again(place: Place, box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 20_000)
    box.put_bytes(content, seq=box.seq)
    assert rows(place, upload_part) == 0
    assert len(place.world.sent) == 1


def test_the_oldest_of_too_many_gives_way(place: Place, box: BoxAtPlace) -> None:
    contents = [package(20_000, f"u{n}") for n in range(5)]
    for content in contents:
        begin(box, content, 17_000)
        place.clock.pass_by(minutes=1)
    assert [look(box, content).status_code for content in contents] == [404, 204, 204, 204, 204]
    assert rows(place, upload) == 4


def test_parts_are_kept_for_seven_days(place: Place, box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 20_000)
    sweeper = Sweeper(place.ports)
    place.clock.pass_by(days=6, hours=23)
    sweeper.sweep()
    assert rows(place, upload) == 1
    place.clock.pass_by(hours=2)
    sweeper.sweep()
    assert rows(place, upload) == rows(place, upload_part) == 0
    assert look(box, content).status_code == 404


def test_what_is_dropped_on_demand_is_gone(place: Place, box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 20_000)
    assert box.call("DELETE", path_of(content)).status_code == 204
    assert look(box, content).status_code == 404
    assert rows(place, upload_part) == 0


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"Content_Type": "application/json"}, 415, "media-type"),
        ({"Upload_Complete": "yes"}, 400, "number"),
        ({"Upload_Offset": "-1"}, 400, "number"),
        ({"Upload_Offset": "x"}, 400, "number"),
    ],
)
def test_a_part_that_says_nonsense_changes_nothing(
    box: BoxAtPlace, changes: dict[str, str], status: int, code: str
) -> None:
    content = package()
    begin(box, content, 20_000)
    answer = go_on(box, content, 20_000, changes=changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert look(box, content).headers["upload-offset"] == "20000"


def test_offset_and_end_of_a_part_are_signed(box: BoxAtPlace) -> None:
    content = package()
    begin(box, content, 20_000)
    said = {"Content-Type": "application/partial-upload", "Upload-Offset": "20000", "Upload-Complete": "?1"}
    for changed in ({"Upload-Offset": "0"}, {"Upload-Complete": "?0"}):
        signed = {name: (said | changed)[name] for name in ("Upload-Offset", "Upload-Complete")}
        signing = {"body_sha256": body_sha256(content), "headers": signed}
        assert box.call("PATCH", path_of(content), content[20_000:], said, signing).status_code == 401


def test_an_older_request_adds_nothing_to_what_a_newer_one_began(place: Place, box: BoxAtPlace) -> None:
    from lokole.mailbox import uploads

    content = package()
    row = place.row(box.domain)
    digest = body_sha256(content)
    with place.ports.database.write() as tx:
        old = uploads.begin(tx, row.no, sha256=digest, length=40_000, epoch=7, seq=9, type="t", now=place.clock())
        uploads.add_part(tx, row.no, old, 0, content[:100])
        new = uploads.begin(tx, row.no, sha256=digest, length=40_000, epoch=7, seq=9, type="t", now=place.clock())
        uploads.add_part(tx, row.no, new, 0, content[:100])
        with pytest.raises(uploads.LostTurn):
            uploads.add_part(tx, row.no, old, 100, content[100:200])
        newest = uploads.resume(tx, row.no, digest, place.clock())
        assert newest is not None
        assert newest.offset == 100
        with pytest.raises(uploads.LostTurn):
            uploads.add_part(tx, row.no, new, 100, content[100:200])


def test_a_download_with_another_validator_is_whole_and_beyond_the_end_is_416(place: Place, box: BoxAtPlace) -> None:
    place.webhook(
        box.webhook, b"From: bob@example.org\r\nTo: ann@a.lokole.test\r\n\r\nhello\r\n", ["ann@a.lokole.test"]
    )
    (offered,) = box.offers()
    path = f"/api/exchange/packages/{offered['sha256']}"
    etag = f'"{offered["sha256"]}"'
    whole = box.call("GET", path)
    assert (whole.headers["etag"], whole.headers["accept-ranges"]) == (etag, "bytes")
    rest = box.call("GET", path, headers={"Range": "bytes=10-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, whole.content[10:])
    assert rest.headers["content-range"] == f"bytes 10-{offered['size'] - 1}/{offered['size']}"
    other = box.call("GET", path, headers={"Range": "bytes=10-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)
    beyond = box.call("GET", path, headers={"Range": f"bytes={offered['size']}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{offered['size']}")
