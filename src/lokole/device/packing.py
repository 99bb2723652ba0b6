"""What waits on the box becomes a package: immutable, numbered, named by its digest.

A package is built once and stays as it is until the server has it: after a dropped line the same bytes go again,
and the server knows them by their name. So at most one package is on its way at a time.
A package ends when it is large, so that a line that drops late does not cost everything; what is left goes into the next one.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO, cast

from lokole.device.night import for_tonight
from lokole.mail.errors import NotFound
from lokole.mail.model import Attachment, DeliveryState, EmailNo, PackageRef, TenantNo
from lokole.mailbox import account_records, attachments, letters, outbound, packages, recipients
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.held import PackedLetter, note_packed_letters
from lokole.mailbox.identity import ensure_identity
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.options import get_option
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.recipients import move_waiting
from lokole.mailbox.repacking import letters_at_once
from lokole.mailbox.tenants import TenantRow, lock
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Entropy
from lokole.sync import payload2, version1
from lokole.sync.compression import Compression
from lokole.sync.container import CONTENT_TYPE, Header, PayloadKind
from lokole.sync.limits import SERVER
from lokole.sync.package import write_package
from lokole.sync.records import AckRecord, AnyRecord, EmailRecord, Record
from lokole.sync.sealed import write_sealed
from lokole.sync.signing import decode_key

log = logging.getLogger(__name__)

UP = "up"
#: states of a package of the server that is here for good
TAKEN = ("unpacked", "acknowledged", "withdrawn")
#: after this many bytes of frames, before compression, a package is closed; with one letter more it stays far below the 64 MiB
#: from which the server counts how much it expands (protocol 5)
ENOUGH_BYTES = 8 * 1024 * 1024
#: the server's public key as it was given at the claim, base64url
SERVER_KEY_OPTION = "server_key"
#: what the writer of a letter reads that no package can carry
TOO_LONG = "the letter is too long"
_CHUNK = 64 * 1024


class _TakenBack(Exception):
    """A letter that was read for a package is no longer in the bag as it was read."""


def unsent_package(database: Database, tenant: TenantNo) -> PackageRow | None:
    """The package that was built and of which nobody has said that the server holds it."""
    with database.read() as tx:
        built = packages.packages_after(tx, tenant, UP, 0, states=("built",))
    return built[0] if built else None


def withdraw(database: Database, blobs: BlobStore, package: PackageRow, now: datetime) -> None:
    """A package that the server cannot take (its bytes have suffered here, its number is taken): what it carried waits again."""
    with database.write() as tx:
        packages.withdraw_package(tx, package.no, now)
    blobs.delete(package.blob)  # the same letters may make a package of the same name


def withdraw_lost(database: Database, blobs: BlobStore, tenant: TenantNo, now: datetime) -> None:
    """Packages that wait and whose bytes the disk has lost: what they carried waits again, and no other is kept back by them."""
    with database.read() as tx:
        built = packages.packages_after(tx, tenant, UP, 0, states=("built",))
    for one in built:
        try:
            whole = blobs.size(one.blob) == one.size
        except NotFound:
            whole = False
        if not whole:
            withdraw(database, blobs, one, now)


def held_by_server(tx: Connection, tenant: TenantNo, package: PackageRow, now: datetime) -> None:
    """The server holds ``package`` for good: its letters wait no longer, its people are known there."""
    carried_letters = [one.email for one in packages.emails_of(tx, package.no)]
    move_waiting(tx, tenant, carried_letters, DeliveryState.AT_SERVER)
    packages.acknowledge(tx, tenant, package.epoch, UP, 0, [package.seq], now)


def find_server_key(tx: Connection, tenant: TenantNo) -> bytes | None:
    """The Ed25519 key that the server gave at the claim (32 bytes); None for a server that knows no sealed packages."""
    found = get_option(tx, tenant, SERVER_KEY_OPTION, None)
    return decode_key(found) if isinstance(found, str) else None


def build_package(
    *,
    database: Database,
    blobs: BlobStore,
    tenant: TenantRow,
    entropy: Entropy,
    compression: Compression,
    now: datetime,
    spool: Path | None,
    seed: bytes = b"",
    enough_bytes: int = ENOUGH_BYTES,
    even_empty: bool = False,
) -> PackageRow | None:
    """Pack what waits and write it down; None when there is nothing to say (``even_empty``: then what was taken is said).

    Sealed to the server when its key is known (``seed`` is this box's), else an archive of version 1.
    The bytes are durable before the rows that name them; letters are one at a time in memory.

    A letter that its writer takes back meanwhile (``mailbox/taking_back.py``) is in no package: what was written then goes,
    and a package of the others is built. How often anybody may take back is limited (``webmail/views/taking_back.py``), so there is a last round.
    """
    while True:
        try:
            return _build_once(
                database, blobs, tenant, entropy, compression, now, spool, seed, enough_bytes, even_empty
            )
        except _TakenBack:
            log.info("a letter was taken back while it was packed: the package is built anew")


def _build_once(
    database: Database,
    blobs: BlobStore,
    tenant: TenantRow,
    entropy: Entropy,
    compression: Compression,
    now: datetime,
    spool: Path | None,
    seed: bytes,
    enough_bytes: int,
    even_empty: bool,
) -> PackageRow | None:
    """:func:`build_package`; raises _TakenBack, and nothing is built, when that happened to a letter in it meanwhile."""
    with database.write() as tx:
        server_key = find_server_key(tx, tenant.no) if seed else None
        epoch = ensure_identity(tx, entropy)
        seq = packages.next_seq(tx, tenant.no, epoch, UP)
        waiting = for_tonight(tx, tenant.no, list(packages.waiting_emails(tx, tenant.no, UP)), now)
        most = letters_at_once(tx, tenant.no, UP, waiting[0]) if waiting else None
        people = account_records.accounts_to_send(tx, tenant.no)
        besides = outbound.waiting_records(tx, tenant.no, UP) if server_key is not None else []
        acks = _acknowledgements(tx, tenant.no) if server_key is not None else []
    if not (waiting or people or besides or (even_empty and server_key is not None)):
        return None
    packed: dict[EmailNo, frozenset[str]] = {}  # with those for whom each of them was read
    too_long: list[EmailNo] = []
    carried: list[PackedLetter] = []
    # people first, so that the server knows whose the letters are
    first_frame = 1 + len(people)

    def some_letters() -> Iterator[EmailRecord]:
        size, frame = 0, first_frame
        for no in waiting:
            with database.read() as tx:
                whom = packages.still_waiting(tx, tenant.no, UP, [no]).get(no)
                if whom is None:  # taken back
                    continue
                stored = letters.read_email(tx, tenant.no, no, private=True)
            email = replace(stored.email, attachments=tuple(_files(blobs, tenant, stored)))
            record = EmailRecord(uid=stored.id.hex(), email=email)
            packed[no] = whom
            if _does_not_fit(record, sealed=server_key is not None):
                too_long.append(no)
                continue
            carried.append(PackedLetter(frame, stored.id, no))
            frame += payload2.frames_of(record)
            size += payload2.size_of(record)
            yield record
            if size >= enough_bytes or len(carried) == most:
                break

    def archived() -> Iterator[Record]:
        yield from some_letters()
        yield from people

    def sealed() -> Iterator[AnyRecord]:
        yield from people
        yield from some_letters()
        yield from (one.record for one in besides)
        yield from acks

    with tempfile.TemporaryFile(dir=spool) as file:
        out = cast(IO[bytes], file)
        if server_key is None:
            type_ = compression.content_type
            write_package(out, archived(), compression=compression, own_box=True, spool_dir=spool)  # type: ignore[arg-type]
        else:
            type_ = CONTENT_TYPE
            payload = PayloadKind.GZ if compression is Compression.GZ else PayloadKind.ZSTD
            header = Header(UP, tenant.domain, tenant.device_id, epoch, seq, payload)
            write_sealed(
                cast(BinaryIO, file),
                header,
                sealed(),
                sender_seed=seed,
                recipient_public=server_key,
                entropy=entropy,
            )
        size = out.tell()
        ref = _digest(out)
        blob = f"{tenant.domain}/pkg-{ref}"
        out.seek(0)
        blobs.put(blob, iter(lambda: out.read(_CHUNK), b""))
    with database.write() as tx:
        lock(tx, tenant.no)  # keeps who takes back and who packs apart
        whole = packages.still_waiting(tx, tenant.no, UP, list(packed)) == packed and bool(packed or not waiting)
        if not whole:
            blobs.delete(blob)
            raise _TakenBack
        no = packages.add_package(
            tx,
            tenant.no,
            epoch=epoch,
            direction=UP,
            seq=seq,
            sha256=ref,
            size=size,
            type=type_,
            blob=blob,
            letters=len(carried),
            state="built",
            now=now,
        )
        packages.mark_packed(tx, no, packed)
        outbound.mark_packed(tx, no, besides)
        outbound.note_accounts(tx, tenant.no, UP, no, people)
        if server_key is not None:
            note_packed_letters(tx, tenant.no, no, carried)
        for letter in too_long:  # it waits no longer, and its writer is told
            _refuse(tx, tenant.no, letter)
        return packages.get_package(tx, tenant.no, no)


def _files(blobs: BlobStore, tenant: TenantRow, stored: StoredEmail) -> Iterator[Attachment]:
    """The files of a letter; for one that the disk has lost a few words, or no letter would leave any more."""
    for one in stored.attachments:
        try:
            yield from attachments.load_attachments(blobs, tenant.domain, [one])
        except NotFound:
            log.error("a file of a letter that waits is gone")
            yield Attachment(f"{one.filename}.txt", b"This file was lost before it could be sent.\n", "text/plain")


def _does_not_fit(record: EmailRecord, *, sealed: bool) -> bool:
    if sealed:
        return payload2.what_does_not_fit(record, limits=SERVER) is not None
    return version1.what_does_not_fit(record, own_box=True, limits=SERVER) is not None


def _acknowledgements(tx: Connection, tenant: TenantNo) -> list[AckRecord]:
    """What was taken of the server's packages and the server may not know yet (protocol 7.9)."""
    unheard = packages.packages_after(tx, tenant, "down", 0, states=("unpacked",))
    epochs = sorted({one.epoch for one in unheard})
    return [packages.acknowledgement(tx, tenant, epoch, "down", TAKEN) for epoch in epochs]


def _refuse(tx: Connection, tenant: TenantNo, letter: EmailNo) -> None:
    for delivery in recipients.deliveries(tx, tenant, letter):
        if delivery.state is DeliveryState.WAITING:
            recipients.set_recipient_state(tx, tenant, letter, delivery.address, DeliveryState.REFUSED, TOO_LONG)


def _digest(file: IO[bytes]) -> PackageRef:
    file.seek(0)
    return PackageRef(hashlib.file_digest(file, "sha256").hexdigest())  # type: ignore[arg-type]
