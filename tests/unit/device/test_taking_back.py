"""A letter is taken back while the box packs, before it, and after it: it leaves whole or not at all, and is never in two places."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device import packing
from lokole.device.box import Box
from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Attachment, DeliveryState, EmailNo
from lokole.mailbox import accounts, drafts, letters, lists, packages, recipients, taking_back
from lokole.mailbox.allowances import BoxLimits, set_box_limits
from lokole.mailbox.identity import next_email_id
from lokole.sync.compression import Compression
from lokole.sync.package import read_package
from lokole.sync.records import EmailRecord
from lokole.testing import FrozenClock, make_box
from tests.unit.device.people import Flaky, person, subjects_of, write


def take_back(box: Box, name: str, no: int, form: str = "1" * 32) -> int:
    writer = person(box, name)
    with box.ports.database.write() as tx:
        return taking_back.take_back(tx, writer, no, new_form=lambda: form, origin="test", now=box.ports.clock())


def build(box: Box, blobs: object = None) -> packages.PackageRow | None:
    return packing.build_package(
        database=box.ports.database,
        blobs=blobs or box.ports.blobs,  # type: ignore[arg-type]
        tenant=box.row(),
        entropy=box.ports.entropy,
        compression=Compression.ZSTD,
        now=box.ports.clock(),
        spool=None,
    )


def carried(box: Box, package: packages.PackageRow | None) -> list[EmailRecord]:
    assert package is not None
    content = io.BytesIO(box.ports.blobs.read(package.blob))
    return [one for one in read_package(content) if isinstance(one, EmailRecord)]


def kept(box: Box, name: str) -> list[drafts.StoredDraft]:
    writer = person(box, name)
    with box.ports.database.read() as tx:
        return [found for one in drafts.list_drafts(tx, writer) if (found := drafts.get_draft(tx, writer, one.no))]


def states(box: Box, no: int) -> dict[str, DeliveryState]:
    with box.ports.database.read() as tx:
        return {one.address: one.state for one in recipients.deliveries(tx, box.tenant, no)}


class Meanwhile:
    """The blobs of a box, with something that happens whenever a package is written down."""

    def __init__(self, box: Box, happens: Callable[[], object]) -> None:
        self._blobs, self._happens = box.ports.blobs, happens
        self.gone: list[str] = []

    def put(self, key: str, content: bytes | Iterable[bytes]) -> None:
        self._blobs.put(key, content)
        self._happens()

    def delete(self, key: str) -> None:
        self.gone.append(key)
        self._blobs.delete(key)

    def open(self, key: str) -> BinaryIO:
        return self._blobs.open(key)

    def read(self, key: str) -> bytes:
        return self._blobs.read(key)


def once(act: Callable[[], object]) -> Callable[[], object]:
    left = [act]
    return lambda: left.pop()() if left else None


def test_what_was_taken_back_is_a_draft_and_does_not_leave(box: Box, peer: InProcessExchange) -> None:
    photo = Attachment("a.png", b"\x89PNG", "image/png")
    no = write(box, "ann", "bob@example.org,eve@example.org", "Roof", (photo,), "<p>Four <b>beams</b></p>")
    write(box, "ann", "bob@example.org", "Stays")
    take_back(box, "ann", no)
    box.sync()
    assert subjects_of(peer.uploaded[0]) == ["Stays"]
    (draft,) = kept(box, "ann")
    assert (draft.typed.to, draft.typed.subject, draft.typed.format) == (
        "bob@example.org, eve@example.org",
        "Roof",
        "html",
    )
    assert "<b>beams</b>" in draft.typed.body
    assert [(one.filename, one.size) for one in draft.typed.files] == [("a.png", 4)]
    assert states(box, no) == {}
    with box.ports.database.read() as tx:
        assert lists.get_entry(tx, person(box, "ann"), no) is None
        counted = lists.counts(tx, person(box, "ann"))
        assert (counted.totals["sent"], counted.waiting) == (1, 0)
        assert letters.read_email(tx, box.tenant, no).email.subject == ""


def test_taken_back_while_it_is_packed_it_is_in_no_package(box: Box) -> None:
    no, other = write(box, "ann", "bob@example.org", "Mistake"), write(box, "ann", "bob@example.org", "Good")
    blobs = Meanwhile(box, once(lambda: take_back(box, "ann", no)))
    package = build(box, blobs)
    assert [one.email.subject for one in carried(box, package)] == ["Good"]
    assert len(blobs.gone) == 1, "what was written first is gone"
    assert package is not None
    assert package.seq == 1
    with box.ports.database.read() as tx:
        assert [one.email for one in packages.emails_of(tx, package.no)] == [other]
    assert [draft.typed.subject for draft in kept(box, "ann")] == ["Mistake"]


def test_the_only_letter_taken_back_while_it_is_packed_leaves_nothing(box: Box) -> None:
    no = write(box, "ann", "bob@example.org", "Mistake")
    build(box)  # tells the people
    with box.ports.database.write() as tx:
        packing.held_by_server(tx, box.tenant, packages.packages_after(tx, box.tenant, "up", 0)[0], box.ports.clock())
    no = write(box, "ann", "bob@example.org", "Mistake")
    assert build(box, Meanwhile(box, once(lambda: take_back(box, "ann", no)))) is None
    assert [draft.typed.subject for draft in kept(box, "ann")] == ["Mistake"]


def test_taken_back_just_before_it_is_read_it_is_in_no_package(box: Box) -> None:
    """The list of what waits is made, then the first letter is read: the second one goes between."""
    write(box, "ann", "bob@example.org", "With a photo", (Attachment("a.png", b"\x89PNG", "image/png"),))
    last = write(box, "ann", "bob@example.org", "Mistake")
    taken = once(lambda: take_back(box, "ann", last))

    class Reading(Meanwhile):
        def read(self, key: str) -> bytes:
            taken()
            return super().read(key)

    blobs = Reading(box, lambda: None)
    assert [one.email.subject for one in carried(box, build(box, blobs))] == ["With a photo"]
    assert blobs.gone == [], "it had not been read, so nothing was built anew"
    assert [draft.typed.subject for draft in kept(box, "ann")] == ["Mistake"]


def test_packed_first_it_cannot_be_taken_back_and_leaves(box: Box, peer: InProcessExchange) -> None:
    no = write(box, "ann", "bob@example.org", "Roof")
    build(box)
    with pytest.raises(Refused, match="package") as told:
        take_back(box, "ann", no)
    assert told.value.code == "packed"
    assert kept(box, "ann") == []
    box.sync()
    assert subjects_of(peer.uploaded[0]) == ["Roof"]
    with pytest.raises(Refused) as told:
        take_back(box, "ann", no)
    assert told.value.code == "left"


def test_what_was_offered_once_is_not_taken_back_although_it_waits_again(tmp_path: Path, clock: FrozenClock) -> None:
    """The answer of the server was lost, then the disk lost the package: the server may have it."""
    peer = Flaky("upload", after=True)
    box = make_box(tmp_path, peer=peer, clock=clock)
    no = write(box, "ann", "bob@example.org", "Roof")
    box.sync()
    with box.ports.database.read() as tx:
        (built,) = packages.packages_after(tx, box.tenant, "up", 0, states=("built",))
    box.ports.blobs.delete(built.blob)
    packing.withdraw_lost(box.ports.database, box.ports.blobs, box.tenant, clock())
    with pytest.raises(Refused) as told:
        take_back(box, "ann", no)
    assert told.value.code == "packed"
    box.ports.database.close()


def test_people_of_the_box_keep_what_they_have(box: Box, peer: InProcessExchange) -> None:
    person(box, "joe")
    no = write(box, "ann", f"joe@{box.row().domain},bob@example.org", "Roof")
    take_back(box, "ann", no)
    (draft,) = kept(box, "ann")
    assert draft.typed.to == "bob@example.org"
    assert states(box, no) == {f"joe@{box.row().domain}": DeliveryState.LOCAL}
    for name in ("ann", "joe"):
        with box.ports.database.read() as tx:
            entry = lists.get_entry(tx, person(box, name), no)
        assert entry is not None
        assert [one.address for one in entry.letter.email.to] == [f"joe@{box.row().domain}"]
        assert entry.letter.email.body == "<p>text</p>"
    box.sync()
    assert [subject for package in peer.uploaded for subject in subjects_of(package)] == []


def roams(box: Box, name: str) -> None:
    someone = person(box, name)
    with box.ports.database.write() as tx:
        accounts.set_password(tx, someone, "$2b$10$" + "x" * 53)
        accounts.set_roaming(tx, someone, True)


@pytest.mark.parametrize("meanwhile", [False, True], ids=["before packing", "while it is packed"])
def test_for_who_reads_in_town_it_travels_without_those_it_was_taken_from(box: Box, *, meanwhile: bool) -> None:
    roams(box, "joe")
    no = write(box, "ann", f"joe@{box.row().domain},bob@example.org", "Roof")
    if meanwhile:
        package = build(box, Meanwhile(box, once(lambda: take_back(box, "ann", no))))
    else:
        take_back(box, "ann", no)
        package = build(box)
    (record,) = carried(box, package)
    # without an envelope the server brings a letter to all whom it names
    named = (*record.email.to, *record.email.cc, *record.email.bcc, *record.email.recipients)
    assert {str(getattr(one, "address", one)) for one in named} == {f"joe@{box.row().domain}"}


def test_an_answer_stays_an_answer(box: Box) -> None:
    writer = person(box, "ann")
    first = write(box, "joe", f"ann@{box.row().domain}", "Roof?")
    with box.ports.database.read() as tx:
        asked = letters.read_email(tx, box.tenant, first).email
    no = write(box, "ann", "bob@example.org", "Re: Roof?")
    with box.ports.database.write() as tx:
        mine = letters.read_email(tx, box.tenant, no).email
        again = letters.write_letter(
            tx, box.tenant, writer,
            replace(mine, in_reply_to=asked.message_id, references=(asked.message_id,), message_id="", sent_at=None),
            id=next_email_id(tx, "test"), now=box.ports.clock(),
        )  # fmt: skip
    take_back(box, "ann", again)
    (draft,) = kept(box, "ann")
    assert (draft.typed.action, draft.typed.answers, draft.typed.quote) == ("reply", first, False)


def test_nobody_takes_back_what_somebody_else_wrote(box: Box) -> None:
    no = write(box, "ann", "bob@example.org")
    with pytest.raises(NotFound):
        take_back(box, "joe", no)
    assert set(states(box, no).values()) == {DeliveryState.WAITING}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_order_each_letter_is_in_one_place(tmp_path: Path, clock: FrozenClock, seed: int) -> None:
    """Letters are written, taken back and packed in a random order, also in the middle of one another."""
    rng, peer = random.Random(seed), InProcessExchange()
    box = make_box(tmp_path, peer=peer, clock=clock)
    person(box, "joe")
    numbers: list[EmailNo] = []

    def one_back() -> None:
        if numbers and rng.random() < 0.7:
            with suppress(Refused, NotFound):
                no = rng.choice(numbers)
                take_back(box, "ann", no, hashlib.sha256(f"{no}".encode()).hexdigest()[:32])

    for n in range(12):
        numbers.append(write(box, "ann", "bob@example.org", f"letter {n}"))
        if rng.random() < 0.5:
            one_back()
        if rng.random() < 0.4:
            build(box, Meanwhile(box, one_back))
    box.sync()
    left = [subject for package in peer.uploaded for subject in subjects_of(package)]
    drafted = [draft.typed.subject for draft in kept(box, "ann")]
    assert sorted(left + drafted) == sorted(f"letter {n}" for n in range(12))
    box.ports.database.close()


def test_a_letter_taken_back_counts_no_more_in_its_day(box: Box) -> None:
    with box.ports.database.write() as tx:
        set_box_limits(tx, box.tenant, BoxLimits(letters_a_day=2))
    first = write(box, "ann", "bob@example.org")
    write(box, "ann", "bob@example.org")
    take_back(box, "ann", first)
    write(box, "ann", "bob@example.org")
    with pytest.raises(Refused, match="enough"):
        write(box, "ann", "bob@example.org")
