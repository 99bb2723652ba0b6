"""A box of ours meets the server: who it is, its package up, the packages that wait for it, and what it has stored for good.

Every call may be repeated. Nothing but the acknowledgement lets the server forget (protocol 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import jobs, packages, tenants
from lokole.mailbox.identity import ensure_identity
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.tenants import CLAIMED, TenantRow, WrongCounter
from lokole.server.ports import ServerPorts
from lokole.server.reconcile import ASKED_AGAIN, hear_acknowledgement
from lokole.server.twins import tell_twin
from lokole.server.visits import note_visit
from lokole.sync.records import AckRecord
from lokole.sync.signing import parse_authorization, verify

_CHUNK = 256 * 1024
#: Until the box acknowledges them, packages are in this state.
BUILT = "built"


def authenticate(
    ports: ServerPorts,
    *,
    authorization: str,
    method: str,
    target: str,
    body_sha256: str,
    headers: Mapping[str, str],
) -> TenantRow:
    """The box that signed this request; its counter is used up by it.

    ``target`` is path and query as sent, ``headers`` those that the signature covers besides (protocol 4.2).
    Raises Refused: ``authorization`` or ``signature`` (nobody we know signed this), ``revoked``, or :class:`WrongCounter`,
    which marks a possible twin and locks nobody out.
    """
    signed = parse_authorization(authorization)
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, device_id=signed.device_id)
        known = tenants.find_credential(tx, signed.device_id)
    if (
        row is None
        or known is None
        or not verify(
            known.public_key, signed, method=method, path_and_query=target, body_sha256=body_sha256, headers=headers
        )
    ):
        raise Refused("the signature is not that of a box we know", code="signature")
    if known.revoked or row.state != CLAIMED:
        raise Refused("the key of this box was taken back", code="revoked")
    try:
        with ports.database.write() as tx:
            tenants.use_counter(tx, known.no, signed.counter)
    except WrongCounter:
        with ports.database.write() as tx:
            tenants.mark_twin(tx, known.no, ports.clock())
        raise
    return row


def take(
    ports: ServerPorts,
    row: TenantRow,
    content: BinaryIO,
    *,
    sha256: str,
    size: int,
    epoch: int,
    seq: int,
    type: str,
    by_carrier: bool = False,
) -> bool:
    """Hold a package of the box for good and queue its reading; ``content`` has the digest ``sha256``.

    Returns False when it was held already. Raises Refused with code ``seq`` when the number belongs to another package;
    one that came ``by_carrier``, whose maker hears no answer, is taken nevertheless, and its twin warned of (protocol 8.7).
    """
    now = ports.clock()
    key = f"{row.domain}/packages/{sha256}"
    content.seek(0)
    ports.blobs.put(key, iter(lambda: content.read(_CHUNK), b""))
    with ports.database.write() as tx:
        # two uploads of one package at once: the second waits here for the first
        packages.next_seq(tx, row.no, epoch, "up")
        known = packages.find_package(tx, row.no, sha256, "up")
        if known is not None and known.seq < 1 and not by_carrier:
            raise Refused("this number belongs to another package", code="seq", field="seq")
        if known is not None and known.state != ASKED_AGAIN:
            return False
        if known is not None:
            packages.take_again(tx, known.no, key, now)
        elif by_carrier and packages.find_package_by_seq(tx, row.no, epoch, "up", seq) is not None:
            tell_twin(tx, row, f"{epoch}:{seq}", "another package came under the number of an earlier one", now)
            seq = packages.number_aside(tx, row.no, epoch, "up")
        no = packages.add_package(
            tx,
            row.no,
            epoch=epoch,
            direction="up",
            seq=seq,
            sha256=sha256,
            size=size,
            type=type,
            blob=key,
            letters=0,
            state="held",
            now=now,
        )
        jobs.enqueue(tx, "unpack", f"{row.no}:{no}", {"package": no}, tenant=row.no, now=now, again=known is not None)
    ports.bell.ring()
    return True


def offered(ports: ServerPorts, row: TenantRow, after: int, *, news: bool = True) -> list[PackageRow]:
    """The packages that the box has not acknowledged, oldest first, those up to ``after`` left out; changes nothing.

    The box counts within our epoch. After a restore here it cannot know the new one, so that ``after`` means nothing
    until it has acknowledged something of it. Without ``news`` the box has more to tell than we have heard:
    who is a stranger there is not known yet.
    """
    with ports.database.write() as tx:
        epoch = ensure_identity(tx, ports.entropy)
        heard = packages.packages_after(tx, row.no, "down", 0, epoch=epoch, states=("acknowledged",))
        waiting = packages.packages_after(tx, row.no, "down", 0, states=(BUILT,))
        rings = news and note_visit(tx, row.no, ports.clock())
    if rings:
        ports.bell.ring()
    return [one for one in waiting if one.epoch != epoch or not heard or one.seq > after]


def present_epoch(ports: ServerPorts) -> int:
    """The epoch in which packages are made now."""
    with ports.database.write() as tx:
        return ensure_identity(tx, ports.entropy)


def find(ports: ServerPorts, row: TenantRow, sha256: str) -> PackageRow:
    """One of the box's own packages; raises NotFound for everybody else's."""
    with ports.database.read() as tx:
        found = packages.find_package(tx, row.no, sha256, "down")
    if found is None:
        raise NotFound("no such package")
    return found


def chunks(ports: ServerPorts, package: PackageRow, start: int = 0) -> Iterator[bytes]:
    """The bytes of a package from ``start``."""
    at = start
    while at < package.size:
        piece = ports.blobs.read(package.blob, at, min(_CHUNK, package.size - at))
        if not piece:
            return
        at += len(piece)
        yield piece


def acknowledge(ports: ServerPorts, row: TenantRow, said: AckRecord) -> int:
    """The box has what ``said`` names for good; returns how many letters wait no longer.

    Raises Refused with code ``check`` when other packages have these numbers here: then nothing is believed (protocol 4.8).
    """
    with ports.database.write() as tx:
        delivered = hear_acknowledgement(ports, tx, row, said)
    if delivered is None:
        raise Refused("other packages have these numbers here", code="check", field="check")
    ports.events.count("emails_delivered_to_client", delivered)
    return delivered
