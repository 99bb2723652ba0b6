"""Who is signed in: the database keeps only the SHA-256 of each token, so that a copy of it opens nothing."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select

from lokole.mail.model import Account, AccountNo, TenantNo
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import account, session, tenant
from lokole.ports.callables import Entropy

_INSERT = insert(session)
_FIND = (
    select(account, tenant.c.domain)
    .select_from(session)
    .join(account, account.c.no == session.c.account)
    .join(tenant, tenant.c.no == account.c.tenant)
    .where(session.c.token_hash == bindparam("hash"), session.c.expires_at > bindparam("now"))
    .where(account.c.suspended.is_(False))
)


def create_session(tx: Connection, person: Account, now: datetime, lifetime: timedelta, entropy: Entropy) -> str:
    """Sign a person in; returns the token (43 characters, safe in a cookie), which is kept nowhere here."""
    token = base64.urlsafe_b64encode(entropy(32)).decode("ascii").rstrip("=")
    values = {
        "token_hash": _hash(token),
        "tenant": person.tenant,
        "account": person.no,
        "created_at": to_micros(now),
        "seen_at": to_micros(now),
        "expires_at": to_micros(now + lifetime),
    }
    tx.execute(_INSERT, values)
    return token


def find_session(tx: Connection, token: str, now: datetime) -> Account | None:
    """Who holds ``token``; None when it is unknown, over, or the person is suspended. Changes nothing."""
    row = tx.execute(_FIND, {"hash": _hash(token), "now": to_micros(now)}).first()
    return None if row is None else account_of(row)


def end_session(tx: Connection, token: str) -> None:
    """Sign out; an unknown token is no error."""
    tx.execute(delete(session).where(session.c.token_hash == _hash(token)))


def end_all_sessions(tx: Connection, person: Account) -> None:
    """Sign a person out everywhere."""
    tx.execute(delete(session).where(session.c.tenant == person.tenant, session.c.account == person.no))


def forget_expired(tx: Connection, now: datetime) -> int:
    """Drop what is over; returns how many."""
    return tx.execute(delete(session).where(session.c.expires_at <= to_micros(now))).rowcount


def account_of(row: Row[Any]) -> Account:
    """The person in a row of ``account`` joined with the ``domain`` of its tenant."""
    return Account(
        no=AccountNo(row.no),
        tenant=TenantNo(row.tenant),
        name=row.name,
        domain=row.domain,
        language=row.language,
        time_zone=row.time_zone,
        is_admin=row.is_admin,
        suspended=row.suspended,
        must_change_password=row.must_change_password,
        roaming=row.roaming,
        last_login_at=None if row.last_login_at is None else from_micros(row.last_login_at),
        display_name=row.display_name,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
