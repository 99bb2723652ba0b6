"""The connection to the one database: WAL and synchronous=FULL on SQLite (NORMAL for leases, ADR 20), plain PostgreSQL elsewhere.

Reading and writing transactions are told apart, because SQLite has one writer:
``write`` takes the writer's lock at its begin and waits for it, so that a transaction never fails half-way with "locked".
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lokole.mail.errors import Temporary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: how long a writer waits for another one (SQLite)
BUSY_TIMEOUT = timedelta(seconds=30)


def to_micros(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware ``moment``."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The aware UTC time of :func:`to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)


class Database:
    """One database; safe to share between threads. ``url`` as SQLAlchemy writes it: ``sqlite:////path`` or ``postgresql://…``."""

    def __init__(self, url: str, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> None:
        self.url = url
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self.engine = create_engine(
                parsed,
                connect_args={"timeout": busy_timeout.total_seconds(), "check_same_thread": False},
                hide_parameters=True,  # an error's text may reach a log, and parameters are somebody's letter
            )
            if parsed.database and parsed.database != ":memory:":
                event.listen(self.engine, "do_connect", _keep_private(Path(parsed.database)))
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
            self._writing: Engine = self.engine.execution_options(lokole_write=True)
            self._noting: Engine = self.engine.execution_options(lokole_write=True, lokole_brief=True)
            self._reading: Engine = self.engine
        else:
            if parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg")
            self.engine = create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
            self._writing = self._noting = self.engine
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._busy_timeout = busy_timeout
        # writers of one process queue here: SQLite lets them sleep and look again, up to a tenth of a second too long
        self._writer = threading.Lock() if self.is_sqlite else None
        driver: Any = self.engine.dialect.loaded_dbapi
        # the driver's own too, for statements that went past Core (upsert.py)
        self._out_of_reach = (OperationalError, PoolTimeout, driver.OperationalError)

    @contextmanager
    def write(self, *, brief: bool = False) -> Iterator[Connection]:
        """A transaction that may change things; commits at the end of the block, rolls back on any exception.

        ``brief`` is for what means nothing to whoever starts after a power cut, as a lease: a single machine's database
        does not wait for the disk then. One that several machines share always does, since they may outlive it.
        Raises Temporary when the database is out of reach, locked for longer than the timeout, or full.
        """
        engine = self._noting if brief else self._writing
        with self._translated(), self._turn(), engine.connect() as connection:
            try:
                with connection.begin():
                    yield connection
            except self._out_of_reach as error:
                if _can_only_read(error):
                    connection.invalidate()
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._translated(), self._reading.connect() as connection, connection.begin():
            yield connection

    def time(self) -> datetime | None:
        """What the clock of the database's machine says; None where that is this machine. Raises Temporary."""
        if self.is_sqlite:
            return None
        with self.read() as tx:
            told: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
        return told.astimezone(UTC)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._writer is None:
            yield
            return
        if not self._writer.acquire(timeout=self._busy_timeout.total_seconds()):
            raise Temporary("the database did not take it: others write")
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._out_of_reach as error:
            # the statement stays out of the message: its parameters are somebody's letter
            cause = error.orig if isinstance(error, OperationalError) else error
            raise Temporary(f"the database did not take it: {type(cause).__name__}") from error

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _keep_private(path: Path) -> Callable[..., None]:
    """Makes the file before SQLite does: keys, hashes and letters are its owner's alone, whatever folder it lies in.

    SQLite gives what it writes beside the file the same mode.
    """

    def before_connecting(*_: object) -> None:
        # never opened here: closing a file takes away the locks that SQLite holds on it in this process
        with suppress(OSError):  # what is wrong with the folder, SQLite says as well
            try:
                os.mknod(path, stat.S_IFREG | 0o600)
            except FileExistsError:
                found = path.stat()
                if found.st_mode & 0o077 and found.st_uid == os.geteuid():
                    path.chmod(0o600)

    return before_connecting


def _can_only_read(error: Exception) -> bool:
    """Whether SQLite opened the file for reading only, as it does by itself when the disk refuses more at that moment.

    Such a connection stays so when the disk is well again: it must not go back to the others.
    """
    cause = error.orig if isinstance(error, OperationalError) else error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    driver: Any = connection.connection.dbapi_connection
    if not options.get("lokole_write", False):
        driver.execute("BEGIN")
        return
    wanted, info = "NORMAL" if options.get("lokole_brief", False) else "FULL", connection.info
    if info.get("synchronous", "FULL") not in (wanted, "OFF"):  # off: in a simulation
        driver.execute(f"PRAGMA synchronous={wanted}")
        info["synchronous"] = wanted
    driver.execute("BEGIN IMMEDIATE")


__all__ = ["Connection", "Database", "Engine", "from_micros", "to_micros"]
