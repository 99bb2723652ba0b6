"""What waits on the box becomes a package: immutable, numbered, named by its digest.

A package is built once and stays as it is until the server has it: after a dropped line the same bytes go again,
and the server knows them by their name. So at most one package is on its way at a time.
A package ends when it is large, so that a line that drops late does not cost everything; what is left goes into the next one.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, cast

from lokole.mail.model import DeliveryState, EmailNo, PackageRef, TenantNo
from lokole.mailbox import accounts, letters, packages, recipients
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.identity import ensure_identity
from lokole.mailbox.options import set_option
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.tenants import TenantRow
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Entropy
from lokole.sync import version1
from lokole.sync.compression import Compression
from lokole.sync.limits import SERVER
from lokole.sync.package import write_package
from lokole.sync.records import AccountRecord, EmailRecord, Record

UP = "up"
#: after this many bytes of letters and files, before compression, a package is closed
ENOUGH_BYTES = 8 * 1024 * 1024
#: which versions of which people the package on its way carries
CARRIED_OPTION = "accounts_on_the_way"
#: what the writer of a letter reads that no package can carry
TOO_LONG = "the letter is too long"
_CHUNK = 64 * 1024


def unsent_package(database: Database, tenant: TenantNo) -> PackageRow | None:
    """The package that was built and of which nobody has said that the server holds it."""
    with database.read() as tx:
        built = packages.packages_after(tx, tenant, UP, 0, states=("built",))
    return built[0] if built else None


def withdraw(database: Database, blobs: BlobStore, package: PackageRow, now: datetime) -> None:
    """A package that the server cannot take (its bytes have suffered here): what it carried waits again."""
    with database.write() as tx:
        packages.unpack_again(tx, package.no)
        packages.set_package_state(tx, package.no, "withdrawn", now)
    blobs.delete(package.blob)  # the same letters make a package of the same name


def build_package(
    *,
    database: Database,
    blobs: BlobStore,
    tenant: TenantRow,
    entropy: Entropy,
    compression: Compression,
    now: datetime,
    spool: Path | None,
    enough_bytes: int = ENOUGH_BYTES,
) -> PackageRow | None:
    """Pack what waits and write it down; None when there is nothing to say.

    The bytes are durable before the rows that name them; letters are one at a time in memory.
    """
    with database.read() as tx:
        waiting = list(packages.waiting_emails(tx, tenant.no, UP))
        people = accounts.accounts_to_send(tx, tenant.no)
    if not waiting and not people:
        return None
    packed: list[EmailNo] = []
    too_long: list[EmailNo] = []

    def records() -> Iterator[Record]:
        size = 0
        for no in waiting:
            with database.read() as tx:
                stored = letters.read_email(tx, tenant.no, no, private=True)
            email = replace(
                stored.email, attachments=letters.load_attachments(blobs, tenant.domain, stored.attachments)
            )
            size += len(email.body) + sum(one.size for one in stored.attachments)
            record = EmailRecord(uid=stored.id.hex(), email=email)
            packed.append(no)
            if version1.what_does_not_fit(record, own_box=True, limits=SERVER) is not None:
                too_long.append(no)
                continue
            yield record
            if size >= enough_bytes:
                break
        yield from people

    with tempfile.TemporaryFile(dir=spool) as file:
        out = cast(IO[bytes], file)
        write_package(out, records(), compression=compression, own_box=True, spool_dir=spool)  # type: ignore[arg-type]
        size = out.tell()
        ref = _digest(out)
        blob = f"{tenant.domain}/pkg-{ref}"
        out.seek(0)
        blobs.put(blob, iter(lambda: out.read(_CHUNK), b""))
    with database.write() as tx:
        epoch = ensure_identity(tx, entropy)
        seq = packages.next_seq(tx, tenant.no, epoch, UP)
        no = packages.add_package(
            tx,
            tenant.no,
            epoch=epoch,
            direction=UP,
            seq=seq,
            sha256=ref,
            size=size,
            type=compression.content_type,
            blob=blob,
            letters=len(packed) - len(too_long),
            state="built",
            now=now,
        )
        packages.mark_packed(tx, no, packed)
        for letter in too_long:  # it waits no longer, and its writer is told
            _refuse(tx, tenant.no, letter)
        set_option(tx, tenant.no, CARRIED_OPTION, {"seq": seq, "accounts": _versions(people)})
        return packages.get_package(tx, tenant.no, no)


def _refuse(tx: Connection, tenant: TenantNo, letter: EmailNo) -> None:
    for delivery in recipients.deliveries(tx, tenant, letter):
        if delivery.state is DeliveryState.WAITING:
            recipients.set_recipient_state(tx, tenant, letter, delivery.address, DeliveryState.REFUSED, TOO_LONG)


def _versions(people: list[AccountRecord]) -> dict[str, int]:
    return {record.address: record.version for record in people}


def _digest(file: IO[bytes]) -> PackageRef:
    file.seek(0)
    return PackageRef(hashlib.file_digest(file, "sha256").hexdigest())  # type: ignore[arg-type]


def carried_accounts(value: object, seq: int) -> dict[str, int]:
    """The versions of people that package ``seq`` carries, from the option's ``value``."""
    if not isinstance(value, dict) or value.get("seq") != seq or not isinstance(value.get("accounts"), dict):
        return {}
    return {str(address): version for address, version in value["accounts"].items() if isinstance(version, int)}
