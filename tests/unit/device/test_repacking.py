"""A server that cannot read a package to its end gets its letters in smaller ones, until only the letter to blame is left."""

from __future__ import annotations

import io

from lokole.adapters.sync_peer.in_process import InProcessExchange, Uploaded
from lokole.device import control_records
from lokole.device.box import Box
from lokole.device.importing import import_package
from lokole.device.packing import SERVER_KEY_OPTION, build_package
from lokole.mail.model import DeliveryState
from lokole.mailbox import held, outbound, packages, recipients
from lokole.mailbox.options import set_option
from lokole.sync.compression import Compression
from lokole.sync.records import EmailRecord, ToldRecord
from lokole.sync.sealed import read_sealed
from lokole.sync.signing import encode_key, public_key
from lokole.testing import FrozenClock
from tests.unit.device.people import incoming, person, write


def test_a_letter_that_the_server_never_reads_keeps_no_other_back_and_its_writer_is_told(
    box: Box, peer: InProcessExchange, clock: FrozenClock
) -> None:
    seed = bytes(range(32))
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, SERVER_KEY_OPTION, encode_key(public_key(seed)))

    def subjects_of(package: Uploaded) -> list[str]:
        opened = read_sealed(
            io.BytesIO(package.content), recipient_seed=seed, sender_public=lambda _header: public_key(box.seed)
        )
        return [record.email.subject for record in opened.records if isinstance(record, EmailRecord)]

    numbers = {subject: write(box, "ann", "bob@example.org", subject) for subject in ("a", "bad", "c", "d")}
    nights: list[list[list[str]]] = []
    for _ in range(6):
        before = len(peer.uploaded)
        box.sync()
        night = peer.uploaded[before:]
        nights.append([subjects_of(one) for one in night])
        for package in night:
            if "bad" in subjects_of(package):
                told = ToldRecord(package.ref, 0, "damaged", "it breaks off")
                with box.ports.database.write() as tx:
                    control_records.apply(tx, box.row(), told, clock(), box.ports.entropy)
        clock.advance(minutes=30)
    # alone it goes twice, because a line may be to blame once; what went beside it goes once more without it
    assert nights == [[["a", "bad", "c", "d"]], [["a", "bad"], ["c", "d"]], [["a"], ["bad"]], [["bad"]], [[]], []]
    with box.ports.database.read() as tx:
        found = {
            subject: [(one.state, one.reason) for one in recipients.deliveries(tx, box.tenant, no)]
            for subject, no in numbers.items()
        }
        assert packages.count_waiting(tx, box.tenant, "up") == 0
    assert found.pop("bad") == [(DeliveryState.REFUSED, control_records.NOT_TAKEN)]
    assert all(states == [(DeliveryState.AT_SERVER, "")] for states in found.values())


def test_a_letter_that_its_recipient_has_is_not_refused_by_a_server_that_was_restored(
    box: Box, clock: FrozenClock
) -> None:
    no = write(box, "ann", "bob@example.org,carl@example.org", "a")
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, SERVER_KEY_OPTION, encode_key(public_key(bytes(range(32)))))
    package = build_package(
        database=box.ports.database,
        blobs=box.ports.blobs,
        tenant=box.row(),
        entropy=box.ports.entropy,
        compression=Compression.ZSTD,
        now=clock(),
        spool=None,
        seed=box.seed,
    )
    assert package is not None
    with box.ports.database.write() as tx:
        recipients.change_state(tx, box.tenant, no, "bob@example.org", DeliveryState.ACCEPTED)
        (carried,) = held.packed_letters(tx, package.no)
        told = ToldRecord(package.sha256, carried.record, "record", "not storable")
        control_records.apply(tx, box.row(), told, clock(), box.ports.entropy)
        states = [one.state for one in recipients.deliveries(tx, box.tenant, no)]
    assert states == [DeliveryState.ACCEPTED, DeliveryState.REFUSED]


def test_a_package_is_measured_by_what_is_written_of_its_letters(box: Box, clock: FrozenClock) -> None:
    many = ",".join(f"somebody-with-a-long-name-{n}@example.org" for n in range(30))
    for subject in ("a", "b"):
        write(box, "ann", many, subject, body="")
    package = build_package(
        database=box.ports.database,
        blobs=box.ports.blobs,
        tenant=box.row(),
        entropy=box.ports.entropy,
        compression=Compression.ZSTD,
        now=clock(),
        spool=None,
        enough_bytes=1000,
    )
    assert package is not None
    assert package.letters == 1


def test_a_letter_that_was_taken_after_all_is_not_told(box: Box, clock: FrozenClock) -> None:
    person(box, "ann")
    name = "a" * 64
    with box.ports.database.write() as tx:
        no = packages.add_package(
            tx,
            box.tenant,
            epoch=1,
            direction="down",
            seq=1,
            sha256=name,
            size=1,
            type="x",
            blob="b",
            letters=0,
            state="held",
            now=clock(),
        )
        for record in (1, 2):
            outbound.put(tx, box.tenant, "up", ToldRecord(name, record, "record", "of the first time"))
    import_package(
        [(1, incoming(1, "ann@village.lokole.test"))],
        name=name,
        database=box.ports.database,
        blobs=box.ports.blobs,
        tenant=box.row(),
        clock=clock,
        entropy=box.ports.entropy,
        package_no=no,
    )
    with box.ports.database.read() as tx:
        assert outbound.told_of(tx, box.tenant, "up", name) == {2}
