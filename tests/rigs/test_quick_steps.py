"""A store that says no at every single step of an exchange, once: the next exchange brings everything, once.

The same as ``kill.py`` does to processes, without processes: what is refused is one ``put`` of the blob store.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from lokole.adapters.blobs.folder import FolderBlobStore
from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.mail.errors import Temporary
from lokole.mail.model import Attachment, Contact, Email
from lokole.mailbox import lists
from lokole.ports.blobs import BlobStore
from lokole.sync.records import EmailRecord
from lokole.testing import make_box
from tests.unit.device.people import ZSTD, incoming, package_of, person, records_of, write
from tests.unit.server.place import BoxAtPlace, Clock, packed, place_in

PICTURE = Attachment("goat.bin", b"a goat" * 50, "application/octet-stream")


class Refusing:
    """A blob store that refuses its ``n``-th put, and only that."""

    def __init__(self, inner: BlobStore, n: int) -> None:
        self._inner = inner
        self._left = n

    @property
    def has_refused(self) -> bool:
        return self._left <= 0

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        self._left -= 1
        if self._left == 0:
            raise Temporary("the store is full")
        return self._inner.put(key, content)

    def open(self, key: str) -> BinaryIO:
        return self._inner.open(key)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self._inner.read(key, start, length)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def _exchange(folder: Path, migrated: Path, n: int) -> tuple[bool, list[str], list[str], bool]:
    """One box, two exchanges, the ``n``-th put refused: (was it, the inbox, subjects that went up, is all acknowledged)."""
    folder.mkdir()
    shutil.copy(migrated, folder / "lokole.db")
    peer = InProcessExchange()
    blobs = Refusing(FolderBlobStore(folder / "blobs"), 0)
    box = make_box(folder, peer=peer, blobs=blobs)  # type: ignore[arg-type]
    try:
        ann = person(box, "ann")
        write(box, "ann", "bob@example.org", "up", attachments=(PICTURE,))
        for number in (1, 2):
            letter = incoming(number, str(ann.address), f"down {number}", attachments=(PICTURE,))
            other = Attachment("two.bin", bytes([number]) * 40, "application/octet-stream")
            record = EmailRecord(letter.uid, replace(letter.email, attachments=(PICTURE, other)))
            peer.offer(package_of(record), type=ZSTD)
        blobs._left = n
        box.sync()
        refused = blobs.has_refused
        assert box.sync().result == "ok"
        with box.ports.database.read() as tx:
            inbox = sorted(row.subject for row in lists.list_folder(tx, ann, "inbox").rows)
        up = [one.email.subject for sent in peer.uploaded for one in records_of(sent) if isinstance(one, EmailRecord)]
        return refused, inbox, up, peer.acknowledged == {(1, 1), (1, 2)}
    finally:
        box.ports.database.close()


def test_a_box_whose_store_refuses_any_one_step_has_everything_after_the_next_exchange(
    tmp_path: Path, migrated: Path
) -> None:
    n = 0
    refused = True
    while refused:
        n += 1
        refused, inbox, up, acknowledged = _exchange(tmp_path / str(n), migrated, n)
        assert (inbox, up, acknowledged) == (["down 1", "down 2"], ["up"], True), f"put {n} was refused"
    assert n > 5, "nothing was refused"


@pytest.mark.parametrize("n", range(1, 4))
def test_a_server_whose_store_refuses_a_file_reads_the_package_once_more(tmp_path: Path, n: int) -> None:
    clock = Clock()
    with place_in(tmp_path, clock=clock) as place:
        box: BoxAtPlace = place.box("a.lokole.test", ["ann"])
        letters = [
            EmailRecord(
                f"{number:032x}",
                Email(
                    sender=Contact("ann@a.lokole.test"),
                    to=(Contact("bob@example.org"),),
                    subject=f"letter {number}",
                    attachments=(Attachment("a.bin", bytes([number]) * 30, "application/octet-stream"),),
                ),
            )
            for number in range(3)
        ]
        ports = place.ports
        blobs = ports.blobs
        object.__setattr__(ports.bell, "_inline", lambda: None)
        box.put_bytes(packed(letters), seq=2)
        object.__setattr__(ports, "blobs", Refusing(blobs, n))
        place.work()
        object.__setattr__(ports, "blobs", blobs)
        for _ in range(3):
            clock.pass_by(minutes=20)
            place.work()
        assert len(place.world.sent) == 3
        assert place.quarantined() == []
