"""Two INSERT statements that SQLite and PostgreSQL write alike and SQLAlchemy Core has only per engine.

The statements are plain text made once, at import, from the table's own names; values always travel as parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table, TextClause, text


def insert_new(table: Table, columns: Sequence[str] | None = None, *, returning: str | None = None) -> TextClause:
    """``INSERT … ON CONFLICT DO NOTHING`` for ``columns`` (all of ``table`` when None).

    With ``returning`` a row comes back only when it was created; without, look at ``rowcount``.
    """
    tail = f' RETURNING "{returning}"' if returning is not None else ""
    return text(f"{_insert(table, columns)} ON CONFLICT DO NOTHING{tail}")


def insert_or_update(
    table: Table,
    key: Sequence[str],
    changes: str,
    columns: Sequence[str] | None = None,
    *,
    returning: str | None = None,
) -> TextClause:
    """``INSERT … ON CONFLICT (key) DO UPDATE SET changes``; ``changes`` is SQL that may name ``excluded.column``."""
    target = ", ".join(f'"{name}"' for name in key)
    tail = f" RETURNING {returning}" if returning is not None else ""
    return text(f"{_insert(table, columns)} ON CONFLICT ({target}) DO UPDATE SET {changes}{tail}")


def _insert(table: Table, columns: Sequence[str] | None) -> str:
    names = [column.name for column in table.columns] if columns is None else list(columns)
    assert all(name in table.columns for name in names)
    quoted = ", ".join(f'"{name}"' for name in names)
    return f'INSERT INTO "{table.name}" ({quoted}) VALUES ({", ".join(f":{name}" for name in names)})'  # noqa: S608 - the names are the schema's own
