"""Files that neither a letter nor a draft names: chosen for a letter that was never sent, or of a letter that is forgotten.

A file may be named again at any moment: the same photo is chosen once more, and it is there already, so nothing is written.
So it goes in two steps. Unnamed for ``age``, it is laid aside as ``domain/aside/sha256``, where reading still finds it
(``attachments.py``); named again meanwhile, it comes back; unnamed for as long once more, it is deleted.
Since when is a row of ``seen``: stores keep no time that can be relied on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import BinaryIO

from sqlalchemy import select

from lokole.mail.errors import NotFound
from lokole.mailbox.attachments import aside_key, blob_key
from lokole.mailbox.database import Database, to_micros
from lokole.mailbox.schema import attachment, draft_file
from lokole.mailbox.seen import forget, noted, remember
from lokole.ports.blobs import BlobStore

#: A form that is left open lives as long as a session at most; a file laid aside is found for as long again.
AGE = timedelta(days=15)

_UNNAMED, _ASIDE = "unnamed", "aside"
_FILE = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


def sweep_unnamed(
    database: Database, blobs: BlobStore, tenant_no: int, domain: str, now: datetime, age: timedelta = AGE
) -> int:
    """Look at every file of one tenant once; returns how many were deleted. Once a day is enough; may be broken off anywhere."""
    with database.read() as tx:
        named = {
            sha256
            for table in (attachment, draft_file)
            for sha256 in tx.execute(select(table.c.sha256).where(table.c.tenant == tenant_no).distinct()).scalars()
        }
        since = {kind: noted(tx, tenant_no, kind) for kind in (_UNNAMED, _ASIDE)}
    files = set(_below(blobs, f"{domain}/"))
    aside = set(_below(blobs, f"{domain}/{_ASIDE}/"))
    long_ago = to_micros(now - age)
    gone = 0
    for sha256 in sorted(aside):
        if sha256 in named:
            _move(blobs, aside_key(domain, sha256), blob_key(domain, sha256))
        elif since[_ASIDE].get(sha256, long_ago + 1) <= long_ago:
            blobs.delete(aside_key(domain, sha256))
            gone += 1
    _note(database, tenant_no, _ASIDE, aside - named, set(since[_ASIDE]) - (aside - named), now)
    unnamed = files - named
    for sha256 in sorted(unnamed):
        if since[_UNNAMED].get(sha256, long_ago + 1) <= long_ago:
            # noted first: what is aside without a note would be looked at as new
            _note(database, tenant_no, _ASIDE, {sha256}, {sha256}, now)
            _move(blobs, blob_key(domain, sha256), aside_key(domain, sha256))
            unnamed = unnamed - {sha256}
    _note(database, tenant_no, _UNNAMED, unnamed, set(since[_UNNAMED]) - unnamed, now)
    return gone


def _below(blobs: BlobStore, prefix: str) -> Iterator[str]:
    """The names of files directly below ``prefix``."""
    for key in blobs.list(prefix):
        name = key.removeprefix(prefix)
        if _FILE.fullmatch(name):
            yield name


def _note(database: Database, tenant_no: int, kind: str, new: set[str], over: set[str], now: datetime) -> None:
    if not new and not over:
        return
    with database.write() as tx:
        for sha256 in over:
            forget(tx, tenant_no, kind, sha256)
        for sha256 in new:
            remember(tx, tenant_no, kind, sha256, now)


def _move(blobs: BlobStore, source: str, target: str) -> None:
    try:
        with blobs.open(source) as stream:
            blobs.put(target, _pieces(stream))
    except NotFound:
        return  # another process was faster
    blobs.delete(source)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_CHUNK):
        yield piece
