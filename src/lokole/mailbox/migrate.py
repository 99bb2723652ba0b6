"""Brings a database to the schema of this release.

Alembic runs in-process inside one transaction, on both engines: a power cut leaves the old schema or the new one.
Two runs at once are told apart by the writer's lock (SQLite) or an advisory lock (PostgreSQL); a repeated run does nothing.
The command line calls :func:`migrate` in a short process of its own, because Alembic's memory would stay with the box.
There is no way down: a step that turned out wrong is mended by the next one.
"""

from __future__ import annotations

from sqlalchemy import inspect, text

from lokole.mailbox.database import Database

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
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def is_current(url: str) -> bool:
    """Whether the database at ``url`` is at this release's step; changes nothing."""
    database = Database(url)
    try:
        with database.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
            return list(found) == [HEAD]
    finally:
        database.close()


__all__ = ["HEAD", "is_current", "migrate"]
