"""Boxes of the first Lokole: their two calls, their words, and the storage that they share with nobody else's packages."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.config import Url
from lokole.mail.model import Contact, Email
from lokole.server import intake, v1_boxes
from lokole.sync.package import Compression, read_package
from lokole.sync.records import AccountRecord, EmailRecord
from lokole.sync.signing import encode_key, new_key, public_key
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, message, packed, place_in

DOMAIN = "old.lokole.test"


class OldBox:
    """What a first Lokole box does, over a folder as its LOCAL provider does it."""

    def __init__(self, place: Place, details: dict[str, Any]) -> None:
        self.place = place
        self.details = details
        self.folder = Path(details["storage_account"]) / details["resource_container"]

    def upload(self, content: bytes, name: str = "6a4f2c1e-0d2b-4b7e-9c1d-0a1b2c3d4e5f.tar.zstd") -> httpx2.Response:
        (self.folder / name).write_bytes(content)
        return self.call_upload({"resource_id": name})

    def call_upload(self, body: object) -> httpx2.Response:
        return self.place.client.post(f"/api/email/upload/{self.details['client_id']}", json=body)

    def call_download(self, query: str = "?compression=zstd") -> httpx2.Response:
        return self.place.client.get(f"/api/email/download/{self.details['client_id']}{query}")

    def ask(self, query: str = "?compression=zstd") -> str | None:
        answer = self.call_download(query)
        assert answer.status_code == 200, answer.text
        name: str | None = answer.json()["resource_id"]
        return name

    def read(self, name: str) -> list[EmailRecord]:
        content = (self.folder / name).read_bytes()
        os.utime(self.folder / name)  # as a reader leaves it on a file system that keeps access times
        stat = (self.folder / name).stat()
        os.utime(self.folder / name, ns=(stat.st_mtime_ns + 10**9, stat.st_mtime_ns))
        return [record for record in read_package(io.BytesIO(content)) if isinstance(record, EmailRecord)]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path / "server", v1_boxes=True, exchange=Url(f"folder://{tmp_path}/exchange")) as place:
        yield place


@pytest.fixture
def box(old: Place) -> OldBox:
    return OldBox(old, old.register(DOMAIN))


def letter(uid: str, **more: Any) -> EmailRecord:
    fields: dict[str, Any] = {"sender": Contact(f"ann@{DOMAIN}"), "to": (Contact("bob@example.org"),), "subject": uid}
    return EmailRecord(uid, Email(**(fields | more)))


def arrive(place: Place, to: str, *recipients: str, subject: str = "hello") -> None:
    intake.accept(place.ports, "bob@example.org", list(recipients), message(to=to, subject=subject))


def test_the_details_name_the_storage_as_such_a_box_expects_it(old: Place, box: OldBox, tmp_path: Path) -> None:
    assert set(box.details) >= {"client_id", "domain", "storage_account", "storage_key", "resource_container", "code"}
    assert box.details["storage_account"] == str(tmp_path / "exchange")
    assert box.details["storage_key"]
    assert box.folder.is_dir()
    assert box.details["webhook"] == box.details["client_id"]


def test_without_the_setting_no_storage_is_named_and_the_calls_are_refused(place: Place) -> None:
    details = place.register(DOMAIN)
    assert not {"storage_account", "storage_key", "resource_container"} & set(details)
    old = place.client.post(f"/api/email/upload/{details['client_id']}", json={"resource_id": "a.tar.gz"})
    assert (old.status_code, old.json()) == (403, "client is not registered")
    assert place.client.get(f"/api/email/download/{details['client_id']}").status_code == 403


def test_a_box_with_a_key_is_refused_on_these_paths_and_sees_no_storage(old: Place, box: OldBox) -> None:
    key = encode_key(public_key(new_key(old.ports.entropy)))
    claimed = old.client.post("/api/exchange/claim", json={"code": box.details["code"], "public_key": key})
    assert claimed.status_code == 200
    assert box.call_upload({"resource_id": "a.tar.gz"}).status_code == 403
    assert box.call_download().status_code == 403
    assert set(old.client.get(f"/api/email/register/{DOMAIN}", auth=OPERATOR).json()) == {
        "client_id",
        "domain",
        "webhook",
    }


def test_what_was_packed_for_a_box_of_the_first_lokole_reaches_the_box_that_claims_its_row(
    old: Place, box: OldBox
) -> None:
    arrive(old, f"ann@{DOMAIN}", f"ann@{DOMAIN}")
    assert v1_boxes.offer_download(old.ports, box.details["client_id"], "gz") is not None  # the answer never got out
    ours = BoxAtPlace(old, DOMAIN, box.details["webhook"])
    ours.claim(box.details["code"])
    ours.put([AccountRecord(f"ann@{DOMAIN}", version=1)])
    assert [one.email.subject for one in ours.fetch()] == ["hello"]


# --- up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", list(Compression))
def test_a_package_is_read_its_letters_leave_and_it_is_removed(
    old: Place, box: OldBox, compression: Compression
) -> None:
    name = f"x{compression.extension}"
    hashed = "$2b$12$" + "x" * 53
    content = packed([letter("u1"), AccountRecord(f"ann@{DOMAIN}", hashed)], own_box=False, compression=compression)
    answer = box.upload(content, name)
    assert (answer.status_code, answer.json()) == (200, "uploaded")
    (sent,) = old.world.sent
    assert sent.sender.startswith("bounce-"), "what the world sends back names the letter"
    assert f"From: ann@{DOMAIN}".encode() in sent.message
    assert not (box.folder / name).exists()
    assert old.client.get(f"/api/email/metrics/users/{DOMAIN}").json() == {"users": 1}


def test_the_same_call_again_is_uploaded_and_sends_nothing_more(old: Place, box: OldBox) -> None:
    content = packed([letter("u1")], own_box=False)
    for _ in range(2):
        assert box.upload(content).status_code == 200
    assert box.call_upload({"resource_id": "6a4f2c1e-0d2b-4b7e-9c1d-0a1b2c3d4e5f.tar.zstd"}).json() == "uploaded"
    assert len(old.world.sent) == 1


def test_letters_of_another_domain_do_not_leave(old: Place, box: OldBox) -> None:
    box.upload(packed([letter("u1", sender=Contact("ann@else.test")), letter("u2")], own_box=False))
    assert len(old.world.sent) == 1
    assert [one.kind for one in old.quarantined()] == ["record"]


@pytest.mark.parametrize(
    "name", ["../x.tar.gz", "a/b.tar.gz", ".x.tar.gz", "x\x00.tar.gz", "..", "%2e%2e", " ", "x" * 250]
)
def test_a_name_is_a_plain_name(old: Place, box: OldBox, name: str) -> None:
    assert box.call_upload({"resource_id": name}).status_code == 400


def test_a_name_with_an_unknown_ending_is_told_in_the_old_words(old: Place, box: OldBox) -> None:
    answer = box.call_upload({"resource_id": "x.tar.foo"})
    assert (answer.status_code, answer.json()) == (400, 'unknown compression format "foo"')


@pytest.mark.parametrize("body", [{}, {"resource_id": None}, {"resource_id": 7}, [], "x"])
def test_a_body_without_a_name_is_400(old: Place, box: OldBox, body: object) -> None:
    assert box.call_upload(body).status_code == 400


def test_a_package_that_is_not_there_is_told(old: Place, box: OldBox) -> None:
    assert (box.call_upload({"resource_id": "x.tar.gz"}).status_code, old.jobs("ready")) == (404, 0)


def test_one_box_cannot_have_anothers_package_read(old: Place, box: OldBox) -> None:
    other = OldBox(old, old.register("other.lokole.test"))
    (other.folder / "theirs.tar.zstd").write_bytes(packed([letter("u1")], own_box=False))
    assert box.call_upload({"resource_id": "theirs.tar.zstd"}).status_code == 404
    assert (other.folder / "theirs.tar.zstd").exists()


# --- down ----------------------------------------------------------------------------------------


def test_nothing_waiting_is_null(old: Place, box: OldBox) -> None:
    assert box.call_download().json() == {"resource_id": None}


def test_compression_is_gz_when_it_is_left_out_and_an_unknown_one_is_told(old: Place, box: OldBox) -> None:
    arrive(old, f"ann@{DOMAIN}", f"ann@{DOMAIN}")
    answer = box.call_download("?compression=foo")
    assert (answer.status_code, answer.json()) == (400, 'unknown compression format "foo"')
    name = box.ask("")
    assert name is not None and name.endswith(".tar.gz")


@pytest.mark.parametrize("compression", ["zstd", "gz", "bz2", "xz"])
def test_what_waits_is_fetched_in_the_form_that_such_a_box_reads(old: Place, box: OldBox, compression: str) -> None:
    arrive(old, f"Ann <ann@{DOMAIN}>", f"ann@{DOMAIN}")
    name = box.ask(f"?compression={compression}")
    assert name is not None and name.endswith(f".tar.{compression}")
    (got,) = box.read(name)
    assert got.email.subject == "hello"
    assert got.email.sent_at is not None
    assert not got.email.recipients and not got.email.message_id
    assert old.pending(DOMAIN) == 0
    assert box.details["storage_account"] not in json.dumps(old.client.get("/openapi.json").json())


def test_everybody_at_the_domain_is_known_and_headers_are_made_to_fit_the_envelope(old: Place, box: OldBox) -> None:
    ann, bob, carl = (f"{name}@{DOMAIN}" for name in ("ann", "bob", "carl"))
    arrive(old, f"{ann}, {carl}, list@example.org", ann, bob)
    name = box.ask()
    assert name is not None
    first, second = box.read(name)
    assert [one.address for one in first.email.to] == [ann, "list@example.org"]  # carl gets one of his own
    assert first.email.bcc == ()
    assert [one.address for one in second.email.to] == ["list@example.org"]
    assert [one.address for one in second.email.bcc] == [bob]
    assert first.uid != second.uid
    assert first.email.body == second.email.body


def test_asked_again_within_the_window_it_is_the_same_name(old: Place, box: OldBox) -> None:
    arrive(old, f"ann@{DOMAIN}", f"ann@{DOMAIN}", subject="one")
    first = box.ask()
    assert first is not None
    box.read(first)
    arrive(old, f"ann@{DOMAIN}", f"ann@{DOMAIN}", subject="two")
    old.clock.pass_by(minutes=29)
    assert box.ask() == first
    old.clock.pass_by(minutes=2)
    second = box.ask()
    assert second is not None and second != first
    assert [one.email.subject for one in box.read(second)] == ["two"]
    old.clock.pass_by(minutes=31)
    assert box.ask() is None


def test_a_package_that_nobody_opened_is_offered_once_more(old: Place, box: OldBox) -> None:
    arrive(old, f"ann@{DOMAIN}", f"ann@{DOMAIN}")
    first = box.ask()
    assert first is not None
    os.utime(box.folder / first, (1, 2))  # never read since it was written
    old.clock.pass_by(hours=24)
    assert box.ask() == first
    old.clock.pass_by(hours=24)
    assert box.ask() is None


def test_an_answer_that_broke_changes_nothing(old: Place, box: OldBox) -> None:
    from lokole.server import v1_boxes

    arrive(old, f"ann@{DOMAIN}", f"ann@{DOMAIN}")
    broken = v1_boxes.offer_download(old.ports, box.details["client_id"], "zstd")
    assert broken is not None
    assert old.pending(DOMAIN) == 1
    old.clock.pass_by(days=2)
    assert box.ask() == broken.name
    assert old.pending(DOMAIN) == 0


def test_pictures_become_jpeg_for_such_a_box(old: Place, box: OldBox) -> None:
    assert old.ports.settings.pictures(v1=True).format == "jpeg"
    assert old.ports.settings.pictures(v1=False).format == "webp"


def test_unknown_clients_are_told_in_the_old_words(old: Place) -> None:
    for path in ("nobody", "x" * 100, "é"):
        up = old.client.post(f"/api/email/upload/{path}", json={"resource_id": "x.tar.gz"})
        down = old.client.get(f"/api/email/download/{path}")
        for answer in (up, down):
            assert (answer.status_code, answer.json()) == (403, "client is not registered")


def test_packages_in_a_store_that_all_boxes_share_go_with_their_box(old: Place) -> None:
    storage = old.ports.exchange
    assert storage is not None
    object.__setattr__(old.ports, "exchange", replace(storage, shared_container="shared", blobs=MemoryBlobStore()))
    found = {}
    for domain in (DOMAIN, "other.lokole.test"):
        details = old.register(domain)
        old.webhook(details["webhook"], message(to=f"ann@{domain}"), [f"ann@{domain}"])
        found[domain] = OldBox(old, details).ask()
    assert old.ports.exchange is not None
    assert sorted(old.ports.exchange.blobs.list()) == sorted(str(name) for name in found.values())
    assert old.client.delete(f"/api/email/register/{DOMAIN}", auth=OPERATOR).status_code == 200
    assert list(old.ports.exchange.blobs.list()) == [found["other.lokole.test"]]
