"""Mail by a carrier, both ways, between a real box and a real server: unordered, repeated, foreign, late."""

from __future__ import annotations

import base64
import io
import random
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from pathlib import Path

import pytest

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device import carrying
from lokole.device.box import Box, DevicePorts
from lokole.device.register import register
from lokole.mail.model import Contact, DeviceId, Email
from lokole.mailbox import accounts, held, lists, options, packages, quarantine, tenants, visits
from lokole.server import carry, devices, exchange, offer
from lokole.server.api.carry import MOST_FILES
from lokole.server.intake import accept
from lokole.server.keys import server_public, server_seed
from lokole.sync.bundle import CONTENT_TYPE
from lokole.sync.container import Header, PayloadKind
from lokole.sync.records import EmailRecord
from lokole.sync.sealed import write_sealed
from lokole.sync.signing import body_sha256, encode_key, public_key
from lokole.testing import CountedEntropy, make_box
from tests.unit.device.people import incoming, person, write
from tests.unit.server.place import OPERATOR, Place, message
from tests.unit.server.test_strangers import asked

DOMAIN = "village.lokole.test"
CARRY = "/api/exchange/carry"


def box_at(place: Place, folder: Path, domain: str) -> Box:
    """A registered box that never meets its server by a line."""

    def claim(_url: str, code: str, key: bytes) -> tuple[DeviceId, str, bytes]:
        row = devices.claim(place.ports, code, encode_key(key), [int(kind) for kind in PayloadKind])
        return row.device_id, row.domain, server_public(place.ports)

    folder.mkdir()
    entropy = CountedEntropy(hash(domain) % 1000)
    made = make_box(folder, peer=InProcessExchange(), entropy=entropy, domain="lokole.local", registered=False)
    ports: DevicePorts = replace(made.ports, claim=claim)
    box = Box(ports, made.settings)
    register(box, place.register(domain)["code"], server_url="http://server.invalid")
    person(box, "ann")
    return box


@pytest.fixture
def box(place: Place, tmp_path: Path) -> Iterator[Box]:
    made = box_at(place, tmp_path / "box", DOMAIN)
    yield made
    made.ports.database.close()


def bundle(box: Box) -> bytes:
    return b"".join(carrying.bundle(box))


def inbox(box: Box) -> list[str]:
    with box.ports.database.read() as tx:
        ann = accounts.find_account(tx, box.tenant, "ann")
        assert ann is not None
        return sorted(row.subject for row in lists.list_folder(tx, ann, "inbox").rows)


def waiting(box: Box) -> int:
    with box.ports.database.read() as tx:
        return packages.count_waiting(tx, box.tenant, "up")


def carried(box: Box) -> datetime | None:
    with box.ports.database.read() as tx:
        return visits.last_carrier(tx, box.tenant)


def from_outside(place: Place, subject: str, domain: str = DOMAIN) -> None:
    secret = place.client.get(f"/api/email/register/{domain}", auth=OPERATOR).json()["webhook"]
    place.webhook(secret, message(to=f"ann@{domain}", subject=subject), [f"ann@{domain}"])


def test_a_passer_by_brings_letters_to_town_and_the_answer_home(place: Place, box: Box) -> None:
    write(box, "ann", "bob@example.org", "From the village")
    up = bundle(box)
    assert waiting(box) == 1, "handing out acknowledges nothing"
    assert bundle(box) == up, "the same file may be asked for again"
    first = place.client.post(CARRY, content=up, headers={"Content-Type": CONTENT_TYPE})
    assert (first.status_code, first.headers["content-type"]) == (200, CONTENT_TYPE)
    assert len(place.world.sent) == 1
    from_outside(place, "From town")
    answer = place.client.post(CARRY, content=up)
    for _ in range(3):
        assert place.client.post(CARRY, content=up).content == answer.content
    assert len(place.world.sent) == 1
    assert place.pending(DOMAIN) == 1, "handing out acknowledges nothing"

    assert carried(box) is None
    taken = carrying.take(box, io.BytesIO(answer.content))
    assert (taken.letters, taken.refused) == (1, [])
    assert carried(box) == box.ports.clock()
    with box.ports.database.write() as tx:
        options.forget_option(tx, box.tenant, visits.CARRIER_OPTION)
    assert inbox(box) == ["From town"]
    assert waiting(box) == 0, "the answer says that the letter was held"
    again = carrying.take(box, io.BytesIO(answer.content))
    assert (again.letters, again.known) == (0, again.packages)
    carrying.take(box, io.BytesIO(first.content))  # late, and of no news
    assert carried(box) is None
    assert inbox(box) == ["From town"]

    back = bundle(box)
    assert back != up
    assert place.client.post(CARRY, content=back).status_code == 200
    assert place.pending(DOMAIN) == 0, "the acknowledgement rode inside"
    assert len(place.world.sent) == 1


def test_nothing_is_handed_out_without_a_package_that_the_box_has_signed(
    place: Place, box: Box, tmp_path: Path
) -> None:
    write(box, "ann", "bob@example.org")
    up = bundle(box)
    from_outside(place, "Secret")
    damaged = bytearray(up)
    damaged[700] ^= 1
    down = place.client.post(CARRY, content=up).content
    before = len(place.world.sent)
    for content in (b"", b"hello", bytes(10_240), bytes(damaged), up[:600], down, up[: len(up) // 2][:800]):
        answer = place.client.post(CARRY, content=content)
        assert answer.status_code == 400, content[:20]
        assert answer.json()["code"]
    assert len(place.world.sent) == before
    other = box_at(place, tmp_path / "other", "other.lokole.test")
    write(other, "ann", "bob@example.org", "Of another")
    answer = place.client.post(CARRY, content=bundle(other))
    assert answer.status_code == 200
    taken = carrying.take(box, io.BytesIO(answer.content))
    assert (taken.packages, taken.letters) == (0, 0), "it is for the other box alone"
    assert set(taken.refused) == {"not-for-us"}
    other.ports.database.close()


def test_a_box_whose_key_was_taken_back_gets_nothing(place: Place, box: Box) -> None:
    write(box, "ann", "bob@example.org")
    up = bundle(box)
    assert place.client.delete(f"/api/email/register/{DOMAIN}/keys", auth=OPERATOR).status_code == 200
    answer = place.client.post(CARRY, content=up)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown-sender")
    assert place.world.sent == []


def test_one_place_may_ask_so_often(place: Place) -> None:
    said = [place.client.post(CARRY, content=b"x").status_code for _ in range(MOST_FILES + 1)]
    assert said == [400] * MOST_FILES + [429]
    place.clock.pass_by(hours=1, minutes=1)
    assert place.client.post(CARRY, content=b"x").status_code == 400


def test_a_stick_goes_to_and_fro_with_foreign_files_on_it(place: Place, box: Box, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "photo.jpg").write_bytes(b"a goat")
    (stick / "strange.lkl").write_bytes(b"no package")
    (stick / "broken.lkl.tar").write_bytes(b"\0" * 511)
    write(box, "ann", "bob@example.org", "One")
    report = carrying.sync_via(box, stick)
    assert (report.result, report.letters_up, report.waiting) == ("ok", 1, 1)
    assert carrying.sync_via(box, stick).bytes_up == 0, "what is there is not written again"
    write(box, "ann", "bob@example.org", "Two")
    carrying.sync_via(box, stick)
    ours = [path for path in stick.glob("*.lkl") if len(path.stem) == 64]
    assert len(ours) == 2
    assert all(path.name.isascii() and path.name == path.name.lower() for path in ours)
    random.Random(1).shuffle(ours)
    from_outside(place, "Home")
    for n, path in enumerate([*ours, ours[0]]):
        answer = place.client.post(CARRY, content=path.read_bytes())
        assert answer.status_code == 200
        (stick / f"RETURN{n}.LKL.TAR").write_bytes(answer.content)
    assert len(place.world.sent) == 2
    report = carrying.sync_via(box, stick)
    assert (report.result, report.letters_down, report.waiting) == ("ok", 1, 0)
    assert inbox(box) == ["Home"]
    left = {path.name for path in stick.iterdir()}
    assert {"photo.jpg", "strange.lkl", "broken.lkl.tar"} <= left
    assert not left & {path.name for path in ours}, "what was acknowledged goes"
    assert not any(name.endswith(".tmp") for name in left)


def test_a_package_that_no_bundle_can_hold_is_packed_anew_in_smaller_ones(place: Place, box: Box) -> None:
    """An older server made packages of any size: the oldest kept back all behind it, the last was refused by the box."""
    write(box, "ann", "bob@example.org")
    place.client.post(CARRY, content=bundle(box))
    row = place.row(DOMAIN)
    for n in range(5):
        file = f"Content-Type: application/octet-stream; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n{_noise(n)}"
        mime = f"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n{file}\r\n--x--\r\n"
        raw = f"From: bob@example.org\r\nTo: ann@{DOMAIN}\r\nSubject: {n}\r\n{mime}".encode()
        accept(place.ports, "bob@example.org", [f"ann@{DOMAIN}"], raw)
    assert offer.build_pending(place.ports, row) == 1
    enough, most = offer.Enough(bytes=60_000), 150_000
    for _ in range(3):
        given = carry.give(place.ports, row, new=False, max_bytes=most, enough=enough)
        assert given.size <= most
        carrying.take(box, io.BytesIO(b"".join(given)))
        place.client.post(CARRY, content=bundle(box))
    assert inbox(box) == ["0", "1", "2", "3", "4"]


def _noise(n: int) -> str:
    return base64.b64encode(random.Random(n).randbytes(40_000)).decode()


def test_a_box_without_a_place_says_so(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    box = make_box(tmp_path / "alone", peer=InProcessExchange(), registered=False)
    assert carrying.sync_via(box, tmp_path).result == "unregistered"
    box.ports.database.close()


def test_a_package_whose_bytes_the_box_has_lost_breaks_no_bundle(place: Place, box: Box) -> None:
    write(box, "ann", "bob@example.org", "A goat")
    (lost,) = carrying.pack_for_carrier(box)
    box.ports.blobs.delete(lost.blob)
    brought = carry.take(place.ports, io.BytesIO(bundle(box)))
    place.work()
    assert (brought.packages, len(place.world.sent)) == (1, 1)


def zoes_letter(place: Place) -> int:
    """Somebody writes to zoe, whom the server does not know; what SMTP says to the next one."""
    secret = place.client.get(f"/api/email/register/{DOMAIN}", auth=OPERATOR).json()["webhook"]
    place.webhook(secret, message(to=f"zoe@{DOMAIN}", subject="For zoe"), [f"zoe@{DOMAIN}"])
    return asked(place, f"zoe@{DOMAIN}")


def test_an_old_file_of_a_carrier_makes_nobody_of_somebody_new(place: Place, box: Box) -> None:
    write(box, "ann", "bob@example.org", "hello")
    old = bundle(box)
    zoe = person(box, "zoe")
    place.clock.pass_by(days=2)
    assert zoes_letter(place) == 450
    place.clock.pass_by(days=1)
    place.client.post(CARRY, content=old)
    place.work()
    assert asked(place, f"zoe@{DOMAIN}") == 450, "the file was made before she was asked for"
    for _ in range(2):
        answer = place.client.post(CARRY, content=bundle(box))
        place.work()
        carrying.take(box, io.BytesIO(answer.content))
    with box.ports.database.read() as tx:
        assert [row.subject for row in lists.list_folder(tx, zoe, "inbox").rows] == ["For zoe"]
    assert place.quarantined() == []


def test_a_file_that_acknowledges_what_a_carrier_brought_says_who_is_nobody(place: Place, box: Box) -> None:
    write(box, "ann", "bob@example.org", "hello")
    assert zoes_letter(place) == 450
    home = place.client.post(CARRY, content=bundle(box)).content
    place.work()
    assert kinds(place) == [], "that file may have been made before"
    carrying.take(box, io.BytesIO(home))
    place.client.post(CARRY, content=bundle(box))
    place.work()
    assert kinds(place) == ["dead-letter"]


def test_a_file_that_is_handed_out_once_more_says_no_more_than_the_first_time(place: Place, box: Box) -> None:
    """Two passers-by have the same file of the box; what came home with the first was made before somebody asked."""
    write(box, "ann", "bob@example.org", "hello")
    up = bundle(box)
    carrying.take(box, io.BytesIO(place.client.post(CARRY, content=up).content))
    old = bundle(box)
    zoe = person(box, "zoe")
    assert zoes_letter(place) == 450
    place.client.post(CARRY, content=up)
    place.client.post(CARRY, content=old)
    place.work()
    assert kinds(place) == [], "the old file acknowledges what it had from the first passer-by"
    for _ in range(2):
        answer = place.client.post(CARRY, content=bundle(box))
        place.work()
        carrying.take(box, io.BytesIO(answer.content))
    with box.ports.database.read() as tx:
        assert [row.subject for row in lists.list_folder(tx, zoe, "inbox").rows] == ["For zoe"]
    assert kinds(place) == []


# --- a number that is taken by other bytes (protocol 8.7) ----------------------------------------


def twin_of(box: Box, folder: Path, seed: int) -> Box:
    """Another machine with the card of ``box`` as it is now."""
    box.ports.database.close()
    shutil.copytree(box.ports.spool or folder, folder)
    made = make_box(
        folder, peer=InProcessExchange(), entropy=CountedEntropy(seed), domain="lokole.local", registered=False
    )
    return Box(made.ports, made.settings)


def one_down(place: Place, box: Box, seq: int, letter: EmailRecord) -> bytes:
    """Package down number ``seq`` of the server's present epoch, as an older copy of the server would make it."""
    row = box.row()
    epoch = exchange.present_epoch(place.ports)
    out = io.BytesIO()
    write_sealed(
        out,
        Header("down", row.domain, row.device_id, epoch, seq, PayloadKind.ZSTD),
        [letter],
        sender_seed=server_seed(place.ports),
        recipient_public=public_key(box.seed),
        entropy=CountedEntropy(seq),
    )
    return out.getvalue()


def kinds(place: Place) -> list[str]:
    return [one.kind for one in place.quarantined()]


def test_letters_of_twins_are_taken_though_their_packages_have_one_number(
    place: Place, box: Box, tmp_path: Path
) -> None:
    twin = twin_of(box, tmp_path / "twin", 77)
    write(box, "ann", "bob@example.org", "From the first")
    write(twin, "ann", "bob@example.org", "From the second")
    first, second = bundle(box), bundle(twin)
    for content in (first, second, second, first):
        assert place.client.post(CARRY, content=content).status_code == 200
    sent = sorted(subject_of(one.message) for one in place.world.sent)
    assert sent == ["From the first", "From the second"]
    assert "twin" in kinds(place), "its operator is warned"
    with place.ports.database.read() as tx:
        known = tenants.find_credential(tx, box.row().device_id)
    assert known is not None
    assert known.twin_seen_at is not None
    twin.ports.database.close()


def test_a_package_down_whose_number_is_taken_is_taken_nevertheless(place: Place, box: Box) -> None:
    write(box, "ann", "bob@example.org")
    from_outside(place, "From town")
    down = place.client.post(CARRY, content=bundle(box)).content
    assert carrying.take(box, io.BytesIO(down)).letters == 1
    for n, subject in ((5, "Of an older server"), (6, "Of another one")):
        other = one_down(place, box, 1, incoming(n, f"ann@{DOMAIN}", subject))
        assert carrying.take(box, io.BytesIO(other)).letters == 1
        again = carrying.take(box, io.BytesIO(other))
        assert (again.packages, again.known, again.letters) == (1, 1, 0)
    assert (carrying.take(box, io.BytesIO(down)).letters, inbox(box)) == (
        0,
        ["From town", "Of an older server", "Of another one"],
    )
    with box.ports.database.read() as tx:
        apart = quarantine.list_quarantine(tx, box.tenant)
        epoch = exchange.present_epoch(place.ports)
        kept = packages.find_package_by_seq(tx, box.tenant, epoch, "down", 1)
        assert packages.highest_contiguous(tx, box.tenant, epoch, "down") == (1, [])
        assert all(window.first == 1 for window in held.windows_of_box(tx, box.tenant, box.ports.clock()))
    assert {one.kind for one in apart} == {"restored"}
    assert kept is not None
    assert kept.sha256 in {member.removesuffix(".lkl") for member in members(down)}, "who came first keeps the number"
    # and the server goes on hearing what was taken
    place.client.post(CARRY, content=bundle(box))
    assert place.pending(DOMAIN) == 0


def members(content: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return archive.getnames()


def subject_of(raw: bytes) -> str:
    return str(message_from_bytes(raw)["Subject"])


def test_by_the_line_a_twin_hears_that_its_number_is_taken_whatever_a_carrier_brought(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    letter = Email(sender=Contact(f"ann@{DOMAIN}"), to=(Contact("bob@example.org"),), subject="Hello")
    box.put_sealed([EmailRecord(f"{1:032x}", letter)], seq=5)
    second = EmailRecord(f"{1:032x}", replace(letter, subject="Hello from the twin"))
    other = box.sealed([second], 5)
    assert place.client.post(CARRY, content=other).status_code == 200
    assert [subject_of(one.message) for one in place.world.sent] == ["Hello", "Hello from the twin"]
    assert box.put_sealed([second], seq=5, expect=409).json()["code"] == "seq"
    place_of_it = f"/api/exchange/packages/{body_sha256(other)}"
    assert box.call("HEAD", place_of_it).status_code == 404
    # so it packs anew, and what it says again is known
    box.put_sealed([second], seq=6)
    assert len(place.world.sent) == 2


def test_a_box_does_not_believe_that_the_packages_of_its_twin_are_its_own(
    place: Place, box: Box, tmp_path: Path
) -> None:
    twin = twin_of(box, tmp_path / "twin", 77)
    write(box, "ann", "bob@example.org", "From the first")
    write(twin, "ann", "bob@example.org", "From the second")
    lost = bundle(twin)
    answer = place.client.post(CARRY, content=bundle(box)).content
    carrying.take(twin, io.BytesIO(answer))
    assert waiting(twin) == 1, "its own letter never came to town"
    with twin.ports.database.read() as tx:
        assert {one.kind for one in quarantine.list_quarantine(tx, twin.tenant)} == {"twin"}
    again = bundle(twin)
    assert again != lost
    answer = place.client.post(CARRY, content=again).content
    carrying.take(twin, io.BytesIO(answer))
    assert waiting(twin) == 0
    place.client.post(CARRY, content=lost)  # late, and known by then
    sent = sorted(subject_of(one.message) for one in place.world.sent)
    assert sent == ["From the first", "From the second"]
    twin.ports.database.close()


def test_a_server_does_not_believe_what_was_said_of_its_older_copy(place: Place, box: Box) -> None:
    write(box, "ann", "bob@example.org")
    older = one_down(place, box, 1, incoming(5, f"ann@{DOMAIN}", "Of an older server"))
    carrying.take(box, io.BytesIO(older))
    from_outside(place, "From town")
    epoch = exchange.present_epoch(place.ports)
    down = place.client.post(CARRY, content=bundle(box)).content
    assert place.pending(DOMAIN) == 1, "what the box took under this number was something else"
    assert exchange.present_epoch(place.ports) != epoch
    assert "restored" in kinds(place)
    for _ in range(2):
        carrying.take(box, io.BytesIO(down))
        down = place.client.post(CARRY, content=bundle(box)).content
    assert place.pending(DOMAIN) == 0
    assert inbox(box) == ["From town", "Of an older server"]
