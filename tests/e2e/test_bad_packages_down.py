"""A bad package from the server, each way: nothing of it is used, the server hears of it, and its letters come in another one, once."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from lokole.mailbox import lists, packages, quarantine, schema
from lokole.mailbox.options import get_option
from lokole.mailbox.packages import PackageRow
from lokole.server import offer
from lokole.server.keys import server_seed
from lokole.sync.container import Header, PayloadKind
from lokole.sync.records import UnknownRecord
from lokole.sync.sealed import write_sealed
from lokole.sync.signing import new_key, public_key
from lokole.testing import Village, village
from tests.unit.device.people import person

pytestmark = pytest.mark.e2e

DOMAIN = "village.lokole.test"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Village]:
    with village(tmp_path) as found:
        person(found.box, "ann")
        assert found.box.sync().result == "ok"
        yield found


def sealed(
    place: Village, package: PackageRow, *, device: str = "", seq: int = 0, seed: bytes = b"", to: bytes = b""
) -> bytes:
    out = io.BytesIO()
    header = Header("down", DOMAIN, device or place.row().device_id, package.epoch, seq or package.seq, PayloadKind.GZ)
    write_sealed(
        out,
        header,
        [UnknownRecord(99, b"of nobody")],
        sender_seed=seed or server_seed(place.server.ports),
        recipient_public=public_key(to or place.box.seed),
        entropy=random.Random(1).randbytes,
    )
    return out.getvalue()


OTHER = new_key(random.Random(2).randbytes)
Make = Callable[[Village, PackageRow, bytes], bytes]
BAD: dict[str, tuple[Make, str]] = {
    "truncated": (lambda place, package, good: good[:-20], "truncated"),
    "altered": (lambda place, package, good: good[:-20] + bytes([good[-20] ^ 1]) + good[-19:], "altered"),
    "forged": (lambda place, package, good: sealed(place, package, seed=OTHER), "forged"),
    "for another box": (lambda place, package, good: sealed(place, package, to=OTHER), "not-for-us"),
    "of another box": (lambda place, package, good: sealed(place, package, device="another"), "unknown-sender"),
    "of another number": (lambda place, package, good: sealed(place, package, seq=99), "number"),
    "of a future version": (lambda place, package, good: b"LKL\x03" + good[4:], "future-version"),
    "none": (lambda place, package, good: b"hello", "not-sealed"),
}


@pytest.mark.parametrize("name", BAD)
def test_nothing_of_it_is_used_and_its_letters_come_in_another_one(place: Village, tmp_path: Path, name: str) -> None:
    make, code = BAD[name]
    raw = f"From: bob@example.org\r\nTo: ann@{DOMAIN}\r\nSubject: Hello\r\n\r\nHello\r\n".encode()
    place.write_from_outside(raw, sender="bob@example.org", recipients=[f"ann@{DOMAIN}"])
    row, database = place.row(), place.server.ports.database
    offer.build_pending(place.server.ports, row)
    with database.write() as tx:
        (package,) = packages.packages_after(tx, row.no, "down", 0, states=("built",))
        path = tmp_path / "server" / "blobs" / package.blob
        content = make(place, package, path.read_bytes())
        path.write_bytes(content)
        values = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        tx.execute(update(schema.package).where(schema.package.c.no == package.no).values(values))
    assert place.box.sync().result == "bad-package"
    assert place.box.sync().result == "bad-package"
    assert place.box.sync().result == "ok"
    ann = person(place.box, "ann")
    with place.box.ports.database.read() as tx:
        assert [one.subject for one in lists.list_folder(tx, ann, "inbox").rows] == ["Hello"]
        assert get_option(tx, place.box.tenant, "held_together")["missing"] == 0
    with database.read() as tx:
        (told,) = quarantine.list_quarantine(tx, row.no)
    assert (told.kind, told.reason.partition(":")[0]) == ("told", code)
