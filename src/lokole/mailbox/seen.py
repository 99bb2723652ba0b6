"""What came before, so that a repeat is one letter: (tenant, kind, key), durable with the transaction that took it in."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import bindparam, delete, select

from lokole.mail.model import EmailNo
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.schema import seen
from lokole.mailbox.upsert import insert_new

_INSERT = insert_new(seen)
_EMAIL = select(seen.c.email).where(
    seen.c.tenant == bindparam("tenant"), seen.c.kind == bindparam("kind"), seen.c.key == bindparam("key")
)
_LETTER = (
    select(seen.c.kind, seen.c.email)
    .where(seen.c.tenant == bindparam("tenant"), seen.c.kind == "print", seen.c.key == bindparam("print"))
    .union_all(
        select(seen.c.kind, seen.c.email).where(
            seen.c.tenant == bindparam("tenant"), seen.c.kind == "uid", seen.c.key == bindparam("uid")
        )
    )
)
_MAX_KEY = 200


def remember(tx: Connection, tenant_no: int, kind: str, key: str, now: datetime, email: int | None = None) -> bool:
    """Note (``kind``, ``key``); True the first time, False when it was noted before (which stays as it was).

    ``kind`` is for example ``incoming`` (key: SHA-256 of the raw message, then the envelope recipient) or ``uid``.
    """
    values = {"tenant": tenant_no, "kind": kind, "key": _short(key), "at": to_micros(now), "email": email}
    return _INSERT.run(tx, values) == 1


def noted(tx: Connection, tenant_no: int, kind: str) -> dict[str, int]:
    """Every key that was noted under ``kind``, with when that was in microseconds."""
    rows = tx.execute(select(seen.c.key, seen.c.at).where(seen.c.tenant == tenant_no, seen.c.kind == kind))
    return {row.key: row.at for row in rows}


def find_noted(tx: Connection, tenant_no: int, kind: str, start: str) -> str | None:
    """One key noted under ``kind`` that begins with ``start``, or None."""
    query = select(seen.c.key).where(
        seen.c.tenant == tenant_no, seen.c.kind == kind, seen.c.key.startswith(start, autoescape=True)
    )
    found: str | None = tx.execute(query.limit(1)).scalar()
    return found


def forget(tx: Connection, tenant_no: int, kind: str, key: str) -> None:
    """As if (``kind``, ``key``) had never been noted."""
    tx.execute(delete(seen).where(seen.c.tenant == tenant_no, seen.c.kind == kind, seen.c.key == _short(key)))


def was_seen(tx: Connection, tenant_no: int, kind: str, key: str) -> bool:
    """Whether (``kind``, ``key``) was noted."""
    return tx.execute(_EMAIL, {"tenant": tenant_no, "kind": kind, "key": _short(key)}).first() is not None


def seen_email(tx: Connection, tenant_no: int, kind: str, key: str) -> EmailNo | None:
    """The letter that a noted key stands for, or None."""
    found = tx.execute(_EMAIL, {"tenant": tenant_no, "kind": kind, "key": _short(key)}).scalar()
    return None if found is None else EmailNo(found)


def find_by_uid(tx: Connection, tenant_no: int, uid: str) -> EmailNo | None:
    """The letter that the other end calls ``uid``; such a name is unique under its device only."""
    return seen_email(tx, tenant_no, "uid", uid)


def find_letter(tx: Connection, tenant_no: int, uid: str, print_: bytes) -> tuple[EmailNo | None, bool]:
    """The letter that the other end calls ``uid`` and that has this print (protocol 8.8), or None.

    The second is True when another letter is known by that name: then this one must be taken under a name of ours.
    """
    keys = {"tenant": tenant_no, "print": _print_key(uid, print_), "uid": _short(uid)}
    named = {row.kind: EmailNo(row.email) for row in tx.execute(_LETTER, keys) if row.email is not None}
    if "print" in named:
        return named["print"], False
    known = named.get("uid")
    if known is None:
        return None, False
    others = select(seen.c.key).where(
        seen.c.tenant == tenant_no, seen.c.kind == "print", seen.c.key.startswith(_print_key(uid, b""), autoescape=True)
    )
    if tx.execute(others.limit(1)).first() is None:
        return known, False  # from before prints were noted
    return None, True


def letters_named(tx: Connection, tenant_no: int, uid: str) -> list[EmailNo]:
    """Every letter that the other end calls ``uid``: several after it was restored (protocol 8.8)."""
    query = select(seen.c.email).where(
        seen.c.tenant == tenant_no,
        seen.c.kind == "print",
        # a range of equally long keys, which an index answers and every collation orders alike
        seen.c.key.between(_print_key(uid, bytes(16)), _print_key(uid, b"\xff" * 16)),
        seen.c.email.is_not(None),
    )
    return [EmailNo(no) for no in tx.execute(query.order_by(seen.c.email)).scalars()]


def remember_letter(tx: Connection, tenant_no: int, uid: str, print_: bytes, now: datetime, email: int) -> None:
    """``email`` is the letter that the other end calls ``uid`` and that has this print; the first one keeps the name."""
    at = to_micros(now)
    names = (("uid", _short(uid)), ("print", _print_key(uid, print_)))
    _INSERT.run_many(
        tx, [{"tenant": tenant_no, "kind": kind, "key": key, "at": at, "email": email} for kind, key in names]
    )


def print_of(tx: Connection, tenant_no: int, email: int) -> bytes:
    """The print (16 bytes, protocol 8.8) under which the other end sent the letter; empty when it did not, or before prints were noted."""
    query = select(seen.c.key).where(seen.c.tenant == tenant_no, seen.c.kind == "print", seen.c.email == email)
    found = tx.execute(query.limit(1)).scalar()
    return b"" if found is None else bytes.fromhex(found.rpartition(":")[2])


def _print_key(uid: str, print_: bytes) -> str:
    return f"{hashlib.sha256(uid.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}:{print_.hex()}"


def forget_before(tx: Connection, kind: str, moment: datetime) -> int:
    """Drop what was noted before ``moment``, for all tenants; returns how many."""
    return tx.execute(delete(seen).where(seen.c.kind == kind, seen.c.at < to_micros(moment))).rowcount


def _short(key: str) -> str:
    # the other end chooses some of the keys, whatever their length and letters
    if len(key) <= _MAX_KEY and key.isprintable() and key.isascii():
        return key
    return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
