"""Who is signed in: the database keeps only the SHA-256 of each token, so that a copy of it opens nothing."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, insert, not_, or_, select, update

from lokole.mail.model import Account, AccountNo, TenantNo
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.schema import account, session, tenant
from lokole.mailbox.words import storable
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
#: how much older than now the last use that is noted may be; not every page shall write to the card
_SEEN_EVERY = timedelta(minutes=15)
#: on a shared telephone the note also says whether the session is over, so it has to be nearer to the truth
_SHARED_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Where somebody is signed in, for their own eyes. ``id`` names it and opens nothing; ``before`` is the sign-in before it."""

    id: str
    started: datetime
    seen: datetime
    way: str
    browser: str
    place: str
    own: bool
    before: datetime | None
    wrong_tries: int


@dataclass(frozen=True, slots=True)
class HowEntered:
    """What a new session notes: the way in, the kind of browser and its address, and whether it is the person's own telephone."""

    way: str = "password"
    browser: str = ""
    place: str = ""
    own: bool = True
    wrong_tries: int = 0


def create_session(
    tx: Connection,
    person: Account,
    now: datetime,
    lifetime: timedelta,
    entropy: Entropy,
    how: HowEntered | None = None,
) -> str:
    """Sign a person in; returns the token (43 characters, safe in a cookie), which is kept nowhere here."""
    how = how or HowEntered()
    token = base64.urlsafe_b64encode(entropy(32)).decode("ascii").rstrip("=")
    values = {
        "token_hash": _hash(token),
        "tenant": person.tenant,
        "account": person.no,
        "created_at": to_micros(now),
        "seen_at": to_micros(now),
        "expires_at": to_micros(now + lifetime),
        "way": how.way,
        "browser": storable(how.browser)[:60],
        "place": storable(how.place)[:64],
        "own": how.own,
        "before_at": None if person.last_login_at is None else to_micros(person.last_login_at),
        "wrong_tries": how.wrong_tries,
    }
    tx.execute(_INSERT, values)
    return token


def find_session(tx: Connection, token: str, now: datetime) -> Account | None:
    """Who holds ``token``; None when it is unknown, over, or the person is suspended. Changes nothing."""
    row = tx.execute(_FIND, {"hash": _hash(token), "now": to_micros(now)}).first()
    return None if row is None else account_of(row)


def seen_every(*, own: bool) -> timedelta:
    """How old the note of the last use may be, on somebody's own telephone or on a shared one."""
    return _SEEN_EVERY if own else _SHARED_SEEN_EVERY


def was_seen(tx: Connection, token: str, now: datetime, every: timedelta = _SEEN_EVERY) -> bool:
    """Whether the last use that is noted is younger than ``every``, so that nothing has to be written."""
    noted = tx.execute(select(session.c.seen_at).where(session.c.token_hash == _hash(token))).scalar()
    return noted is None or abs(to_micros(now) - noted) < every // timedelta(microseconds=1)


def note_seen(tx: Connection, token: str, now: datetime) -> None:
    """The session was used."""
    tx.execute(update(session).where(session.c.token_hash == _hash(token)).values(seen_at=to_micros(now)))


def list_sessions(tx: Connection, person: Account, now: datetime, idle: timedelta) -> list[OpenSession]:
    """Where a person is signed in and still comes in, the latest sign-in first; a shared telephone forgets after ``idle``."""
    rows = tx.execute(
        select(session)
        .where(session.c.tenant == person.tenant, session.c.account == person.no, not_(_over(now, idle)))
        .order_by(session.c.created_at.desc(), session.c.token_hash)
    )
    return [
        OpenSession(
            id=bytes(row.token_hash)[:8].hex(),
            started=from_micros(row.created_at),
            seen=from_micros(row.seen_at),
            way=row.way,
            browser=row.browser,
            place=row.place,
            own=row.own,
            before=None if row.before_at is None else from_micros(row.before_at),
            wrong_tries=row.wrong_tries,
        )
        for row in rows
    ]


def id_of(token: str) -> str:
    """The ``id`` under which :func:`list_sessions` shows the session of ``token``."""
    return _hash(token)[:8].hex()


def end_other_sessions(tx: Connection, person: Account, token: str) -> None:
    """Sign a person out everywhere but here."""
    tx.execute(
        delete(session).where(
            session.c.tenant == person.tenant, session.c.account == person.no, session.c.token_hash != _hash(token)
        )
    )


def end_session(tx: Connection, token: str) -> None:
    """Sign out; an unknown token is no error."""
    tx.execute(delete(session).where(session.c.token_hash == _hash(token)))


def end_all_sessions(tx: Connection, person: Account) -> None:
    """Sign a person out everywhere."""
    tx.execute(delete(session).where(session.c.tenant == person.tenant, session.c.account == person.no))


def end_everybodys_sessions(tx: Connection, tenant_no: int) -> None:
    """Sign everybody of a tenant out."""
    tx.execute(delete(session).where(session.c.tenant == tenant_no))


def forget_over(tx: Connection, tenant_no: int, now: datetime, idle: timedelta) -> int:
    """Drop the sessions of a tenant that open nothing any more; a shared telephone forgets after ``idle``. Returns how many."""
    return tx.execute(delete(session).where(session.c.tenant == tenant_no, _over(now, idle))).rowcount


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
        display_name=row.display_name,
        removed=row.removed_day is not None,
        last_login_at=None if row.last_login_at is None else from_micros(row.last_login_at),
    )


def _over(now: datetime, idle: timedelta) -> ColumnElement[bool]:
    # the note of the last use lags by a minute: what may still open something is never taken for over
    untouched = and_(not_(session.c.own), session.c.seen_at <= to_micros(now - idle - _SHARED_SEEN_EVERY))
    return or_(session.c.expires_at <= to_micros(now), untouched)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
