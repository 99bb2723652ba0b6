"""Brings a database to the schema of this release.

Alembic runs in-process inside one transaction, on both engines: a power cut leaves the old schema or the new one.
Two runs at once are told apart by the writer's lock (SQLite) or an advisory lock (PostgreSQL); a repeated run does nothing.
The command line calls :func:`migrate` in a short process of its own, because Alembic's memory would stay with the box.
There is no way down: a step that turned out wrong is mended by the next one.

A database that is ahead of this release is good enough for it, because one release only adds (CONTRIBUTING.md): while one process
after the other is upgraded those of the old release go on, and a box whose update was cut off starts with the version from before.
"""

from __future__ import annotations

import logging

from sqlalchemy import inspect, text

from lokole.mailbox.database import Connection, Database

log = logging.getLogger(__name__)

#: the newest step in ``migrations/versions``
HEAD = "0013"
_LOCK = 0x4C6F6B6F6C65  # "Lokole", any fixed number does


def migrate(url: str) -> None:
    """Bring the database at ``url`` (as SQLAlchemy writes it; made when SQLite and not there) up to date.

    May be repeated and run twice at once; raises Temporary when the database is out of reach.
    """
    # imported here: a box that is only asked `is_current` never pays for Alembic
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "lokole.mailbox:migrations")
    config.set_main_option("path_separator", "os")
    database = Database(url)
    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            if is_ahead(_read_step(connection)):
                return
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def is_current(url: str) -> bool:
    """Whether the database at ``url`` is at this release's step, or ahead of it, which is written down; changes nothing."""
    step = read_step(url)
    if is_ahead(step):
        log.warning("the database is at step %s of a newer release, this one is at %s; it goes on", step, HEAD)
        return True
    return step == HEAD


def is_ahead(step: str | None) -> bool:
    """Whether ``step`` comes after this release's: steps are numbers of four digits, and every release counts on from the one before."""
    return step is not None and len(step) == len(HEAD) and step.isdecimal() and step > HEAD


def read_step(url: str) -> str | None:
    """At which step the database at ``url`` is; None when no release has been there. Changes nothing."""
    database = Database(url)
    try:
        with database.read() as connection:
            return _read_step(connection)
    finally:
        database.close()


def _read_step(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
    return str(found[0]) if len(found) == 1 else None


__all__ = ["HEAD", "is_ahead", "is_current", "migrate", "read_step"]
