"""Packages of which some bytes are there: what a box has sent of an upload before its line dropped (protocol 4.12).

``upload`` says what is coming, ``upload_part`` holds its bytes, row after row from 0 without a gap.
One request at a time may add to an upload: the newest one. Each takes a *turn*, and whoever has lost it can add nothing more,
in this process or another one. Nothing here is read as a package before the digest of the whole is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from lokole.mail.errors import Refused
from lokole.mail.model import PackageRef
from lokole.mailbox.database import Connection, Database, to_micros
from lokole.mailbox.schema import upload, upload_part
from lokole.mailbox.tenants import lock

#: what one box may have begun and not finished; the oldest gives way
MOST_UNFINISHED = 4


class LostTurn(Refused):
    """A newer request adds to this upload, or it was thrown away."""

    def __init__(self) -> None:
        super().__init__("another request for this package came later", code="offset")


@dataclass(frozen=True, slots=True)
class Upload:
    """An unfinished upload; ``offset`` bytes of it are there for good, ``length`` is that of the whole or None."""

    sha256: PackageRef
    offset: int
    length: int | None
    epoch: int
    seq: int
    type: str
    turn: int


def begin(
    tx: Connection, tenant_no: int, *, sha256: str, length: int | None, epoch: int, seq: int, type: str, now: datetime
) -> Upload:
    """Start from the first byte, whatever was there; the oldest of too many others gives way."""
    lock(tx, tenant_no)
    known = _row(tx, tenant_no, sha256)
    turn = to_micros(now) if known is None else max(to_micros(now), known.turn + 1)
    drop(tx, tenant_no, sha256)
    others = (
        select(upload.c.sha256)
        .where(upload.c.tenant == tenant_no)
        .order_by(upload.c.changed_at.desc(), upload.c.sha256)
    )
    for old in tx.execute(others).scalars().all()[MOST_UNFINISHED - 1 :]:
        drop(tx, tenant_no, old)
    values = {
        "tenant": tenant_no,
        "sha256": sha256,
        "length": length,
        "epoch": epoch,
        "seq": seq,
        "type": type,
        "created_at": to_micros(now),
        "changed_at": turn,
    }
    tx.execute(insert(upload).values(**values))
    return Upload(PackageRef(sha256), 0, length, epoch, seq, type, turn)


def resume(tx: Connection, tenant_no: int, sha256: str, now: datetime) -> Upload | None:
    """Take the turn of an upload that is there, so that an older request adds nothing to it any more; None when it is not."""
    lock(tx, tenant_no)
    known = _row(tx, tenant_no, sha256)
    if known is None:
        return None
    turn = max(to_micros(now), known.turn + 1)
    tx.execute(update(upload).where(upload.c.tenant == tenant_no, upload.c.sha256 == sha256).values(changed_at=turn))
    return Upload(known.sha256, known.offset, known.length, known.epoch, known.seq, known.type, turn)


def find(tx: Connection, tenant_no: int, sha256: str) -> Upload | None:
    """What is there, without taking the turn."""
    return _row(tx, tenant_no, sha256)


def set_length(tx: Connection, tenant_no: int, sha256: str, length: int) -> None:
    """The length of the whole, as soon as somebody has said it."""
    tx.execute(update(upload).where(upload.c.tenant == tenant_no, upload.c.sha256 == sha256).values(length=length))


def add_part(tx: Connection, tenant_no: int, one: Upload, offset: int, content: bytes) -> None:
    """Keep ``content`` behind the ``offset`` bytes that are there; raises :class:`LostTurn`."""
    lock(tx, tenant_no)
    known = _row(tx, tenant_no, one.sha256)
    if known is None or known.turn != one.turn or known.offset != offset:
        raise LostTurn
    tx.execute(insert(upload_part).values(tenant=tenant_no, sha256=one.sha256, offset=offset, content=content))


def content(database: Database, tenant_no: int, sha256: str) -> Iterator[bytes]:
    """What is there, row by row, in order."""
    after = -1
    while True:
        query = (
            select(upload_part.c.offset, upload_part.c.content)
            .where(upload_part.c.tenant == tenant_no, upload_part.c.sha256 == sha256, upload_part.c.offset > after)
            .order_by(upload_part.c.offset)
            .limit(1)
        )
        with database.read() as tx:
            row = tx.execute(query).first()
        if row is None:
            return
        after = row.offset
        yield bytes(row.content)


def drop(tx: Connection, tenant_no: int, sha256: str) -> bool:
    """Throw away what is there; False when nothing was."""
    tx.execute(delete(upload_part).where(upload_part.c.tenant == tenant_no, upload_part.c.sha256 == sha256))
    statement = delete(upload).where(upload.c.tenant == tenant_no, upload.c.sha256 == sha256)
    return tx.execute(statement).rowcount == 1


def forget_before(tx: Connection, moment: datetime) -> int:
    """Throw away what nobody has added to since ``moment``; returns how many uploads."""
    old = select(upload.c.tenant, upload.c.sha256).where(upload.c.changed_at < to_micros(moment))
    rows = tx.execute(old).all()
    for row in rows:
        drop(tx, row.tenant, row.sha256)
    return len(rows)


def _row(tx: Connection, tenant_no: int, sha256: str) -> Upload | None:
    row = tx.execute(select(upload).where(upload.c.tenant == tenant_no, upload.c.sha256 == sha256)).first()
    if row is None:
        return None
    last = (
        select(upload_part.c.offset + func.length(upload_part.c.content))
        .where(upload_part.c.tenant == tenant_no, upload_part.c.sha256 == sha256)
        .order_by(upload_part.c.offset.desc())
        .limit(1)
    )
    offset = int(tx.execute(last).scalar() or 0)
    return Upload(PackageRef(row.sha256), offset, row.length, row.epoch, row.seq, row.type, row.changed_at)
