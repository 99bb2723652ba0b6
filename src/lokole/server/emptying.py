"""Everything of a server gone: every row of its database and every blob of its stores, as the first Lokole's ``delete-containers`` did.

Rows go first and in one transaction, so that what is interrupted leaves blobs that nobody names; a repeat takes them.
What providers were told of the domains is not taken back: whoever wants that deletes the domains before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import FromClause, func, select

from lokole.mail.errors import Refused
from lokole.mailbox import fulltext, schema
from lokole.mailbox.database import Connection, Database
from lokole.ports.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Contents:
    """What stands in a database; ``waiting`` are letters that no box has acknowledged, ``unread`` packages of boxes, ``work`` rows to do."""

    domains: int
    letters: int
    waiting: int
    unread: int
    work: int

    @property
    def is_idle(self) -> bool:
        """Nothing is on its way."""
        return not (self.waiting or self.unread or self.work)

    @property
    def sentence(self) -> str:
        return (
            f"domains: {self.domains:,}, letters: {self.letters:,}; on their way: letters for boxes {self.waiting:,}, "
            f"packages of boxes {self.unread:,}, work {self.work:,}"
        )


def look_at(database: Database) -> Contents:
    """What would go."""
    with database.read() as tx:
        return _contents(tx)


def empty(database: Database, stores: Sequence[BlobStore], *, with_what_waits: bool = False) -> tuple[Contents, int]:
    """Empty them; returns what went and how many blobs. Raises Refused (``waits``) when anything is on its way, unless told to take it too."""
    with database.write() as tx:
        found = _contents(tx)
        if not found.is_idle and not with_what_waits:
            raise Refused(f"not everything has arrived ({found.sentence})", code="waits")
        fulltext.forget_all(tx)
        for table in reversed(schema.metadata.sorted_tables):
            tx.execute(table.delete())
    blobs = 0
    for store in stores:
        for key in list(store.list()):
            store.delete(key)
            blobs += 1
    return found, blobs


def _contents(tx: Connection) -> Contents:
    waiting, package, job = schema.waiting, schema.package, schema.job

    def count(rows: FromClause) -> int:
        return int(tx.execute(select(func.count()).select_from(rows)).scalar_one())

    return Contents(
        domains=count(schema.tenant),
        letters=count(schema.email),
        waiting=count(select(waiting.c.email).where(waiting.c.state != "delivered").subquery()),
        unread=count(select(package.c.no).where(package.c.direction == "up", package.c.state == "held").subquery()),
        work=count(select(job.c.no).where(job.c.state == "ready").subquery()),
    )
