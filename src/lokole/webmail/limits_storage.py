"""Rate limits in the database: a power cut does not reset them, and all workers share them.

Flask-Limiter counts through this storage; the table belongs to ``mailbox/limits.py``.
The address ``lokole-database://`` names it, and the option ``count_in`` carries the database and the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from limits.storage import Storage

from lokole.mail.errors import Temporary
from lokole.mailbox import limits as table
from lokole.mailbox.database import Database
from lokole.ports.callables import Clock

SCHEME = "lokole-database"


@dataclass(frozen=True, slots=True)
class CountIn:
    """Where and by which clock is counted."""

    database: Database
    clock: Clock


class DatabaseStorage(Storage):
    """Fixed windows, one row per key."""

    STORAGE_SCHEME: ClassVar[list[str]] = [SCHEME]  # type: ignore[misc]

    def __init__(
        self, uri: str | None = None, wrap_exceptions: bool = False, *, count_in: CountIn, **options: Any
    ) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        self._database, self._clock = count_in.database, count_in.clock

    @property
    def base_exceptions(self) -> type[Exception]:
        return Temporary

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with self._database.write() as tx:
            return table.add_count(tx, key, timedelta(seconds=expiry), self._clock(), amount)

    def get(self, key: str) -> int:
        with self._database.read() as tx:
            return table.get_count(tx, key, self._clock())

    def get_expiry(self, key: str) -> float:
        with self._database.read() as tx:
            return table.get_expiry(tx, key, self._clock()).timestamp()

    def check(self) -> bool:
        with self._database.read():
            return True

    def reset(self) -> int | None:
        with self._database.write() as tx:
            return table.reset_counts(tx)

    def clear(self, key: str) -> None:
        with self._database.write() as tx:
            table.clear_count(tx, key)
