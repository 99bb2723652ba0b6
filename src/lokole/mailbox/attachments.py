"""The files of letters: rows that name them, and blobs under ``domain/sha256`` that hold their bytes.

The bytes are made durable before the transaction that names them (:func:`put_attachments`); one content is kept once per tenant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from sqlalchemy import bindparam, select, update

from lokole.mail.errors import NotFound
from lokole.mail.model import Attachment
from lokole.mailbox.database import Connection
from lokole.mailbox.fulltext import add_words
from lokole.mailbox.schema import attachment, email
from lokole.mailbox.upsert import insert_new
from lokole.mailbox.words import storable
from lokole.ports.blobs import BlobStore

_INSERT_ATTACHMENT = insert_new(attachment)
_ATTACHMENTS = (
    select(attachment)
    .where(attachment.c.tenant == bindparam("tenant"), attachment.c.email == bindparam("email"))
    .order_by(attachment.c.n)
)


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """A file of a letter without its bytes, which are the blob :func:`blob_key`; ``size`` in bytes."""

    filename: str
    type: str
    cid: str | None
    sha256: str
    size: int


def blob_key(domain: str, sha256: str) -> str:
    """Where a tenant's file is kept, so that nothing tells one tenant what another holds."""
    return f"{domain}/{sha256}"


def aside_key(domain: str, sha256: str) -> str:
    """Where a file is kept for a while that no letter named for long (``unnamed.py``)."""
    return f"{domain}/aside/{sha256}"


def open_file(blobs: BlobStore, domain: str, sha256: str) -> BinaryIO:
    """The bytes of a file as a stream; raises NotFound."""
    try:
        return blobs.open(blob_key(domain, sha256))
    except NotFound:
        return blobs.open(aside_key(domain, sha256))


def read_file(blobs: BlobStore, domain: str, sha256: str) -> bytes:
    """The bytes of a file; raises NotFound."""
    try:
        return blobs.read(blob_key(domain, sha256))
    except NotFound:
        return blobs.read(aside_key(domain, sha256))


def put_attachments(blobs: BlobStore, domain: str, attachments: Iterable[Attachment]) -> list[StoredAttachment]:
    """Make the files durable; call it before the transaction that stores their letter. May be repeated."""
    stored = []
    for one in attachments:
        digest = hashlib.sha256(one.content).hexdigest()
        blobs.put(blob_key(domain, digest), one.content)
        stored.append(StoredAttachment(one.filename, one.type, one.cid, digest, len(one.content)))
    return stored


def note_attachments(tx: Connection, tenant_no: int, email_no: int, attachments: Sequence[StoredAttachment]) -> None:
    """Name the files of a new letter."""
    _INSERT_ATTACHMENT.run_many(tx, [_file_values(tenant_no, email_no, n, one) for n, one in enumerate(attachments)])


def add_attachment_later(tx: Connection, tenant_no: int, email_no: int, one: StoredAttachment) -> int:
    """A file that came apart from its letter; returns its place. The same file under the same name is added once."""
    known = tx.execute(_ATTACHMENTS, {"tenant": tenant_no, "email": email_no}).all()
    for row in known:
        if (row.sha256, row.filename, row.cid) == (one.sha256, storable(one.filename), one.cid):
            return int(row.n)
    n = max((row.n for row in known), default=-1) + 1
    counted = (
        update(email)
        .where(email.c.tenant == tenant_no, email.c.order_no == email_no)
        .values(attachment_count=email.c.attachment_count + 1)
    )
    if tx.execute(counted).rowcount != 1:
        raise NotFound("no such letter")
    _INSERT_ATTACHMENT.run(tx, _file_values(tenant_no, email_no, n, one))
    add_words(tx, email_no, one.filename)
    return n


def load_attachments(blobs: BlobStore, domain: str, attachments: Iterable[StoredAttachment]) -> tuple[Attachment, ...]:
    """The files with their bytes; needs no transaction. Raises NotFound."""
    return tuple(
        Attachment(one.filename, read_file(blobs, domain, one.sha256), one.type, one.cid) for one in attachments
    )


def attachments_of(tx: Connection, tenant_no: int, email_no: int) -> tuple[StoredAttachment, ...]:
    """The files of a letter, in order."""
    rows = tx.execute(_ATTACHMENTS, {"tenant": tenant_no, "email": email_no})
    return tuple(StoredAttachment(row.filename, row.type, row.cid, row.sha256, row.size) for row in rows)


def _file_values(tenant_no: int, email_no: int, n: int, one: StoredAttachment) -> dict[str, Any]:
    return {
        "tenant": tenant_no,
        "email": email_no,
        "n": n,
        "filename": storable(one.filename),
        "type": storable(one.type),
        "cid": None if one.cid is None else storable(one.cid),
        "sha256": one.sha256,
        "size": one.size,
    }
