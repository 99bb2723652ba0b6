"""What an administrator edits in the browser: data in the database, not a rewritten file."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Select, bindparam, delete, select

from lokole.mailbox.database import Connection
from lokole.mailbox.schema import option
from lokole.mailbox.upsert import insert_or_update

_FIND = select(option.c.value).where(option.c.tenant == bindparam("tenant"), option.c.name == bindparam("name"))
_SET = insert_or_update(option, ["tenant", "name"], "value = excluded.value")


def get_option(tx: Connection, tenant_no: int, name: str, default: Any = None) -> Any:
    """The value of ``name`` as JSON gives it, or ``default`` when it was never set."""
    found = tx.execute(_FIND, {"tenant": tenant_no, "name": name}).scalar()
    return default if found is None else json.loads(found)


def by_tenant(tx: Connection, name: str, whose: Select[tuple[int]] | None = None) -> dict[int, Any]:
    """The values of ``name`` by the number of the device's row, of all devices or of ``whose``; who never set it is not there."""
    query = select(option.c.tenant, option.c.value).where(option.c.name == name)
    if whose is not None:
        query = query.where(option.c.tenant.in_(whose))
    return {row.tenant: json.loads(row.value) for row in tx.execute(query)}


def set_option(tx: Connection, tenant_no: int, name: str, value: Any) -> None:
    """Keep ``value`` (anything JSON can say) under ``name``."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    _SET.run(tx, {"tenant": tenant_no, "name": name, "value": text})


def forget_option(tx: Connection, tenant_no: int, name: str) -> None:
    """Back to the default."""
    tx.execute(delete(option).where(option.c.tenant == tenant_no, option.c.name == name))
