"""What this database is: its epoch, the counters that ids and flags are made of, and this installation's own secrets.

A restore calls :func:`renew_epoch`, so that no id is ever made twice.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import bindparam, delete, select, update

from lokole.mail.model import EmailId
from lokole.mailbox.database import Connection
from lokole.mailbox.schema import database_identity, lamport, secret
from lokole.mailbox.upsert import insert_new, insert_or_update
from lokole.ports.callables import Entropy
from lokole.sync.ids import email_id

_CREATE = insert_new(database_identity)
_EPOCH = select(database_identity.c.epoch).where(database_identity.c.no == 1)
_NEXT_LETTER = (
    update(database_identity)
    .where(database_identity.c.no == 1)
    .values(next_letter=database_identity.c.next_letter + 1)
    .returning(database_identity.c.next_letter, database_identity.c.epoch)
)
_NEXT_LAMPORT = insert_or_update(lamport, ["tenant"], "last = lamport.last + 1", returning="last")
_OBSERVE = insert_or_update(lamport, ["tenant"], "last = excluded.last WHERE excluded.last > lamport.last")
_SECRET = select(secret.c.value).where(secret.c.name == bindparam("name"))
_NEW_SECRET = insert_new(secret)


def ensure_identity(tx: Connection, entropy: Entropy) -> int:
    """The epoch of this database (63 bits), made at the first call; call it once at start, before anything is written."""
    found = tx.execute(_EPOCH).scalar()
    if found is not None:
        return int(found)
    _CREATE.run(tx, {"no": 1, "epoch": _random_epoch(entropy), "next_letter": 1})
    return int(tx.execute(_EPOCH).scalar_one())


def renew_epoch(tx: Connection, entropy: Entropy) -> int:
    """A new epoch after a restore of an older state; the letters' counter begins anew."""
    epoch = _random_epoch(entropy)
    tx.execute(update(database_identity).where(database_identity.c.no == 1).values(epoch=epoch, next_letter=1))
    return epoch


def next_email_id(tx: Connection, origin: str) -> EmailId:
    """The id of the next letter that this installation makes; ``origin`` is its device id, or ``server``.

    Consecutive calls in one epoch use consecutive counters. Needs :func:`ensure_identity` to have run.
    """
    following, epoch = tx.execute(_NEXT_LETTER).one()
    return email_id(origin, epoch, following - 1)


def next_lamport(tx: Connection, tenant_no: int) -> int:
    """A number above every one that this tenant has used or seen here."""
    return int(_NEXT_LAMPORT.first(tx, {"tenant": tenant_no, "last": 1}))


def observe_lamport(tx: Connection, tenant_no: int, seen: int) -> None:
    """Remember a number seen from the tenant's other end, so that the next one here is above it."""
    _OBSERVE.run(tx, {"tenant": tenant_no, "last": seen})


def get_secret(tx: Connection, name: str, make: Callable[[], bytes]) -> bytes:
    """This installation's secret ``name``, made by ``make`` at the first call. Needs a writing transaction."""
    found = tx.execute(_SECRET, {"name": name}).scalar()
    if found is None:
        _NEW_SECRET.run(tx, {"name": name, "value": make()})
        found = tx.execute(_SECRET, {"name": name}).scalar_one()
    return bytes(found)


def find_secret(tx: Connection, name: str) -> bytes | None:
    """The secret ``name`` when it was made already."""
    found = tx.execute(_SECRET, {"name": name}).scalar()
    return None if found is None else bytes(found)


def forget_secret(tx: Connection, name: str) -> None:
    """As if the secret ``name`` had never been made."""
    tx.execute(delete(secret).where(secret.c.name == name))


def _random_epoch(entropy: Entropy) -> int:
    # 63 bits, because the databases' integers are signed
    return int.from_bytes(entropy(8), "big") >> 1
