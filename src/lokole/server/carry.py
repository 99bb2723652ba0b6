"""A carrier brings packages of a box and takes its packages home (protocol 9.3).

The sealed package is its own proof: nothing is handed out without one that the box itself has signed, and nothing of any other box.
Handing out acknowledges nothing; the same file may be asked for again by the next passer-by.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import BinaryIO

from lokole.mail.errors import BadPackage, Refused
from lokole.mailbox import packages, tenants
from lokole.mailbox.tenants import CLAIMED, TenantRow
from lokole.server import exchange, offer, reconcile
from lokole.server.keys import server_seed
from lokole.server.offer import ENOUGH, Enough
from lokole.server.ports import ServerPorts
from lokole.server.visits import hand_out
from lokole.sync.bundle import MAX_BUNDLE_BYTES, Bundle, packages_in
from lokole.sync.container import CONTENT_TYPE, Header, for_exchange, open_sealed


@dataclass
class Brought:
    """What a carrier brought: the box of its first good package, how many were good, how many of them new, and why others were refused."""

    row: TenantRow | None = None
    packages: int = 0
    new: int = 0
    refused: list[str] = field(default_factory=list)


def take(ports: ServerPorts, stream: BinaryIO) -> Brought:
    """Hold every package of ``stream`` (a bundle, or one package) that a box of ours has signed; the rest changes nothing."""
    brought = Brought()
    try:
        for package in packages_in(stream):
            try:
                _take_one(ports, package, brought)
            except BadPackage as error:
                brought.refused.append(error.code)
    except BadPackage as error:  # a bundle that breaks off is good up to its last whole member
        brought.refused.append(error.code)
    return brought


def _take_one(ports: ServerPorts, package: BinaryIO, brought: Brought) -> None:
    rows: list[TenantRow] = []

    def key_of(header: Header) -> bytes | None:
        with ports.database.read() as tx:
            row = tenants.find_tenant(tx, device_id=header.device_id)
            known = tenants.find_credential(tx, header.device_id)
        if row is None or known is None or known.revoked or row.state != CLAIMED or row.domain != header.tenant:
            return None
        rows.append(row)
        return known.public_key

    opened = open_sealed(package, recipient_seed=server_seed(ports), sender_public=for_exchange(key_of, direction="up"))
    size = package.seek(0, os.SEEK_END)
    if size > ports.settings.max_package_bytes:
        raise BadPackage("the package is too long", code="too-large")
    package.seek(0)
    sha256 = hashlib.file_digest(package, "sha256").hexdigest()  # type: ignore[arg-type]
    row = rows[0]
    # the seal was right: this box made the package, whatever else is wrong with it
    brought.row = brought.row or row
    new = exchange.take(
        ports,
        row,
        package,
        sha256=sha256,
        size=size,
        epoch=opened.header.epoch,
        seq=opened.header.seq,
        type=CONTENT_TYPE,
        by_carrier=True,
    )
    brought.packages += 1
    brought.new += new


def give(
    ports: ServerPorts, row: TenantRow, *, new: bool, max_bytes: int = MAX_BUNDLE_BYTES, enough: Enough = ENOUGH
) -> Bundle:
    """The bundle for the box of ``row``, of ``max_bytes`` at most: what it has not acknowledged, the last saying what came up.

    ``new`` says that something came up that no package down can have said yet.
    """
    reconcile.withdraw_where(ports, row, lambda one: not Bundle.holds(one.size, max_bytes=max_bytes))
    made = offer.build_pending(ports, row, enough=enough) > 0
    with ports.database.read() as tx:
        waiting = packages.packages_after(tx, row.no, "down", 0, states=(exchange.BUILT,))
    if not waiting or (new and not made):
        with offer.builder_lock(ports, row):
            made = offer.build_one(ports, row, even_empty=True) or made
        with ports.database.read() as tx:
            waiting = packages.packages_after(tx, row.no, "down", 0, states=(exchange.BUILT,))
    sealed = [one for one in waiting if one.type == CONTENT_TYPE]
    if sealed and made:  # what was there before, the box may have already
        with ports.database.write() as tx:
            hand_out(tx, row.no, sealed[-1])
    return Bundle.fitting([(one.sha256, one.size, exchange.chunks(ports, one)) for one in sealed], max_bytes=max_bytes)


def hand_in(ports: ServerPorts, stream: BinaryIO) -> tuple[str, Bundle]:
    """Take a carrier's file; the domain of its box and what that gets in return.

    Raises Refused with a word of protocol 6.6 when no package of it could be opened.
    """
    brought = take(ports, stream)
    if brought.row is None:
        code = next(iter(brought.refused), "not-sealed")
        raise Refused("no package of this file is one that a box of ours has made", code=code)
    return brought.row.domain, give(ports, brought.row, new=brought.new > 0)
