"""The disk of one machine: a SQLite database and a blob store, whose every durable step may fail or be the last.

Faults fall between steps: a transaction is there or not, a blob is there or not. Half-written pages are the business of
SQLite and of the rigs that cut the power of a real file system; so nothing is synced here, which is what makes nights short.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, event

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mailbox.database import Database

#: a step of a disk, by name; raises PowerCut or Temporary when it fails
Step = Callable[[str], None]


@dataclass
class Disk:
    """What stays when the power goes: the file of the database and the blobs."""

    path: Path
    blobs: MemoryBlobStore = field(default_factory=MemoryBlobStore)

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"

    def copy(self, path: Path) -> Disk:
        """The same content under another path, as a backup or a copied card has it."""
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
        copied = Disk(path)
        for key in self.blobs.list():
            copied.blobs.put(key, self.blobs.read(key))
        return copied

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What stands in the database, read without the code under test."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query, values).fetchall()

    def remove(self) -> None:
        """Forget it."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


class FaultyDatabase(Database):
    """The database of a machine; its step is asked before and after each commit.

    It is kept from one start of the machine to the next, because what SQLAlchemy learns of our statements is dear;
    a transaction that was begun before a power cut stays with the step of its own time.
    """

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.url)
        self._step: Step = _off
        event.listen(self.engine, "connect", _never_sync)

    def switch_on(self, step: Step) -> None:
        """A new start: connections of the last one are closed."""
        self.close()
        self._step = step

    @contextmanager
    def write(self, *, brief: bool = False) -> Iterator[Connection]:
        step = self._step
        with super().write(brief=brief) as tx:
            yield tx
            step("commit")
        step("committed")


def _off(_where: str) -> None:
    raise AssertionError("this machine was never switched on")


def _never_sync(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    record.info["synchronous"] = "OFF"


class FaultyBlobs:
    """The blob store of a machine that is switched on."""

    def __init__(self, disk: Disk, step: Step) -> None:
        self._kept = disk.blobs
        self._step = step

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        whole = content if isinstance(content, bytes) else b"".join(content)
        self._step("put")
        new = self._kept.put(key, whole)
        self._step("kept")
        return new

    def open(self, key: str) -> BinaryIO:
        return self._kept.open(key)

    def read(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self._kept.read(key, start, length)

    def size(self, key: str) -> int:
        return self._kept.size(key)

    def delete(self, key: str) -> None:
        self._step("delete")
        self._kept.delete(key)
        self._step("deleted")

    def list(self, prefix: str = "") -> Iterator[str]:
        return self._kept.list(prefix)
