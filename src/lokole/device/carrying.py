"""Mail by a carrier: a stick, or a passer-by's phone (protocol 9).

What goes out are sealed packages and nothing else, so it does not matter whose hands they are in; what comes in is taken when it is
for this box, whatever its name, as often as it comes. Handing out acknowledges nothing: acknowledgements ride inside packages.

On a stick a package is a file ``SHA256.lkl``, written beside (``.tmp``), made durable and renamed; such names suit every file system.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lokole.device import packing
from lokole.device.box import Box
from lokole.device.taking import DOWN, take_package
from lokole.mail.errors import BadPackage, NotFound, Refused, Temporary
from lokole.mail.model import PackageRef, SyncReport
from lokole.mailbox import outbound, packages, visits
from lokole.mailbox.packages import PackageRow
from lokole.ports.sync_peer import Offered
from lokole.sync.bundle import BUNDLE_EXTENSION, Bundle, packages_in
from lokole.sync.compression import Compression
from lokole.sync.container import CONTENT_TYPE, EXTENSION, Header, for_exchange, open_sealed

log = logging.getLogger(__name__)
_PIECE = 64 * 1024


@dataclass
class Taken:
    """What a carrier brought: packages for this box (``known`` of them were here already), their letters, and what was for others or no package."""

    packages: int = 0
    known: int = 0
    letters: int = 0
    quarantined: int = 0
    #: the stable words of protocol 6.6, one for each that was refused
    refused: list[str] = field(default_factory=list)


def pack_for_carrier(box: Box) -> list[PackageRow]:
    """Pack what waits; returns every sealed package that nobody has acknowledged, oldest first, and at least one.

    The last of them says what was taken here of the server's packages. When nothing waits it says that alone: the server hands out
    what it has for this box against a package of the box only. Raises Refused (``unregistered``, ``busy``) on a box that cannot seal,
    or while an exchange is under way.
    """
    row = box.row()
    ports = box.ports
    if not can_seal(box):
        raise Refused("this box has no place at a server that takes sealed packages", code="unregistered")

    def build(*, even_empty: bool = False) -> PackageRow | None:
        return packing.build_package(
            database=ports.database,
            blobs=ports.blobs,
            tenant=row,
            entropy=ports.entropy,
            compression=Compression(box.settings.compression.value),
            now=ports.clock(),
            spool=ports.spool,
            seed=box.seed,
            even_empty=even_empty,
        )

    with box.lock.held():
        box.note_health()
        new = False
        packing.withdraw_lost(ports.database, ports.blobs, row.no, ports.clock())
        # people wait until they were heard of, so they alone make a package only when there is none
        while _waits(box) or not (new or _built(box)):
            if build() is None:
                break
            new = True
        with ports.database.read() as tx:
            unheard = packages.packages_after(tx, row.no, DOWN, 0, states=("unpacked",))
        said = max((one.created_at for one in _sealed(box)), default=None)
        # one package for each time that something new was taken, not for each time that somebody asks
        if said is None or (unheard and not new and said <= max(one.changed_at for one in unheard)):
            build(even_empty=True)
        return _sealed(box)


def can_seal(box: Box) -> bool:
    """Whether this box has a place at a server whose key it knows."""
    row = box.row()
    with box.ports.database.read() as tx:
        return row.state == "claimed" and packing.find_server_key(tx, row.no) is not None


def _waits(box: Box) -> bool:
    """Whether a letter, or anything else but a person, is in no package yet."""
    with box.ports.database.read() as tx:
        letters = packages.count_waiting(tx, box.tenant, packing.UP, packed_too=False)
        return letters > 0 or outbound.any_waiting(tx, box.tenant, packing.UP)


def _built(box: Box) -> list[PackageRow]:
    with box.ports.database.read() as tx:
        return packages.packages_after(tx, box.tenant, packing.UP, 0, states=("built",))


def _sealed(box: Box) -> list[PackageRow]:
    return [one for one in _built(box) if one.type == CONTENT_TYPE]


def bundle(box: Box) -> Bundle:
    """One file of what waits, for a passer-by's phone; raises Refused (``unregistered``, ``busy``)."""
    return Bundle.fitting([(one.sha256, one.size, _pieces(box, one)) for one in pack_for_carrier(box)])


def take(box: Box, stream: BinaryIO) -> Taken:
    """Take in a file that a carrier brought, a bundle or one package; raises Refused (``unregistered``, ``busy``)."""
    taken = Taken()
    row = box.row()
    with box.ports.database.read() as tx:
        server_key = packing.find_server_key(tx, row.no)
    if row.state != "claimed" or server_key is None:
        raise Refused("this box has no place at a server that takes sealed packages", code="unregistered")
    maker = for_exchange(lambda _header: server_key, direction=DOWN, tenant=row.domain, device_id=row.device_id)
    with box.lock.held():
        try:
            for package in packages_in(stream, spool_dir=box.ports.spool):
                try:
                    _take_one(box, package, maker, taken)
                except BadPackage as error:
                    taken.refused.append(error.code)
        except BadPackage as error:  # what came before the break is taken
            taken.refused.append(error.code)
    if taken.packages > taken.known:
        with box.ports.database.write() as tx:
            visits.note_carrier(tx, row.no, box.ports.clock())
    return taken


def _take_one(box: Box, package: BinaryIO, maker: Callable[[Header], bytes | None], taken: Taken) -> None:
    header = open_sealed(package, recipient_seed=box.seed, sender_public=maker).header
    package.seek(0)
    ref = PackageRef(hashlib.file_digest(package, "sha256").hexdigest())  # type: ignore[arg-type]
    offered = Offered(ref, header.epoch, header.seq, package.seek(0, os.SEEK_END), CONTENT_TYPE)

    def content() -> Iterator[bytes]:
        package.seek(0)
        return iter(lambda: package.read(_PIECE), b"")

    ports = box.ports
    imported = take_package(
        offered,
        content,
        database=ports.database,
        blobs=ports.blobs,
        clock=ports.clock,
        tenant=box.row(),
        entropy=ports.entropy,
        seed=box.seed,
        by_carrier=True,
    )
    taken.packages += 1
    if imported is None:
        taken.known += 1
    else:
        taken.letters += imported.letters
        taken.quarantined += imported.quarantined


def _pieces(box: Box, package: PackageRow) -> Iterator[bytes]:
    with box.ports.blobs.open(package.blob) as content:
        while piece := content.read(_PIECE):
            yield piece


@dataclass(frozen=True, slots=True)
class Carrier:
    """What the pages of ``box`` ask for whoever carries its mail (``webmail.parts.Carrier``)."""

    box: Box

    def is_ready(self) -> bool:
        return can_seal(self.box)

    def town(self) -> str | None:
        url = self.box.server_url()
        return None if url is None else url.rstrip("/") + "/carry"

    def pack(self) -> Bundle:
        return bundle(self.box)

    def take(self, stream: BinaryIO) -> Taken:
        return take(self.box, stream)


# --- a stick -------------------------------------------------------------------------------------


def sync_via(box: Box, folder: Path) -> SyncReport:
    """Take every package in ``folder`` that is for this box, then write what waits; never raises for what a carrier brings.

    Only files that this box wrote and that were acknowledged are removed. Raises Temporary when the folder cannot be used.
    """
    started = box.ports.clock()
    taken = Taken()
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name.lower().endswith((EXTENSION, BUNDLE_EXTENSION)) and not _is_ours(box, path):
                with path.open("rb") as stream:
                    found = take(box, stream)
                taken.packages += found.packages
                taken.letters += found.letters
                taken.quarantined += found.quarantined
                if found.refused:
                    log.info("%s holds what is not for this box", path.name)
        rows = pack_for_carrier(box)
        bytes_up = sum(one.size for one in rows if _write(box, folder, one))
        _remove_acknowledged(box, folder)
    except OSError as error:
        raise Temporary(f"the folder cannot be used: {error.strerror}") from error
    except Refused as error:
        return SyncReport(started, result=error.code, detail=str(error))
    with box.ports.database.read() as tx:
        waiting = packages.count_waiting(tx, box.tenant, packing.UP)
    return SyncReport(
        started=started,
        seconds=max(0.0, (box.ports.clock() - started).total_seconds()),
        letters_up=sum(one.letters for one in rows),
        letters_down=taken.letters,
        bytes_up=bytes_up,
        quarantined=taken.quarantined,
        waiting=waiting,
    )


def _is_ours(box: Box, path: Path) -> bool:
    return _own(box, path) is not None


def _own(box: Box, path: Path) -> PackageRow | None:
    with box.ports.database.read() as tx:
        return packages.find_package(tx, box.tenant, path.name.lower().removesuffix(EXTENSION), packing.UP)


def _write(box: Box, folder: Path, package: PackageRow) -> bool:
    """Have ``package`` in ``folder``, durable; False when it was there."""
    path = folder / f"{package.sha256}{EXTENSION}"
    if path.exists() and path.stat().st_size == package.size:
        return False
    beside = folder / f"{package.sha256}.tmp"
    try:
        with beside.open("wb") as file:
            for piece in _pieces(box, package):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except NotFound as error:
        raise Temporary("a package is not where it was kept") from error
    finally:
        beside.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _remove_acknowledged(box: Box, folder: Path) -> None:
    for path in folder.glob(f"*{EXTENSION}"):
        own = _own(box, path)
        if own is not None and own.state in ("acknowledged", "withdrawn"):
            path.unlink(missing_ok=True)
