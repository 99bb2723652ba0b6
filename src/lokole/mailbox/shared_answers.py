"""Answers of services that hang on the board of a box: one for each question, and who was told where it hangs.

An answer is a letter as any other with a row of ``post`` here too, which says until when it hangs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from lokole.mail.model import EmailNo
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.options import forget_option, get_option, set_option
from lokole.mailbox.posting import make_post
from lokole.mailbox.schema import option, post

#: before the name of the option that keeps one question
_PREFIX = "shared:"
#: an answer that hangs no more is kept so much longer, then its letter goes as others do
_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Hanging:
    """An answer on the board: its letter, since and until when it hangs, the accounts that know of it."""

    email: EmailNo
    since: datetime
    until: datetime
    told: frozenset[int]


def find_hanging(tx: Connection, tenant_no: int, service: str, key: str, now: datetime) -> Hanging | None:
    """The answer of ``service`` to the question ``key`` while it hangs; one from a time ahead of the clock's counts as gone."""
    kept = get_option(tx, tenant_no, _name(service, key), None)
    if kept is None:
        return None
    found = Hanging(
        EmailNo(kept["email"]), from_micros(kept["since"]), from_micros(kept["until"]), frozenset(kept["told"])
    )
    return found if found.since <= now < found.until else None


def hang(
    tx: Connection, tenant_no: int, service: str, key: str, no: EmailNo, *, now: datetime, until: datetime, asker: int
) -> None:
    """The letter ``no`` is the answer from now on; ``asker`` has it."""
    _forget_old(tx, tenant_no, now)
    make_post(tx, tenant_no, no, now, account=None, public=False, expires_at=until)
    _keep(tx, tenant_no, service, key, Hanging(no, now, until, frozenset((asker,))))


def note_told(tx: Connection, tenant_no: int, service: str, key: str, found: Hanging, account: int) -> None:
    """``account`` was told that the answer hangs."""
    _keep(tx, tenant_no, service, key, Hanging(found.email, found.since, found.until, found.told | {account}))


def hangs_until(tx: Connection, tenant_no: int, no: int) -> datetime | None:
    """Until when a letter of this tenant hangs on the board because a service has answered with it; None when none has."""
    query = select(post.c.expires_at).where(
        post.c.tenant == tenant_no, post.c.email == no, post.c.account.is_(None), post.c.removed.is_(False)
    )
    found = tx.execute(query).scalar()
    return None if found is None else from_micros(found)


def _keep(tx: Connection, tenant_no: int, service: str, key: str, one: Hanging) -> None:
    value = {
        "email": one.email,
        "since": to_micros(one.since),
        "until": to_micros(one.until),
        "told": sorted(one.told),
    }
    set_option(tx, tenant_no, _name(service, key), value)


def _forget_old(tx: Connection, tenant_no: int, now: datetime) -> None:
    names = select(option.c.name).where(option.c.tenant == tenant_no, option.c.name.startswith(_PREFIX))
    for name in list(tx.execute(names).scalars()):
        kept = get_option(tx, tenant_no, name)
        if from_micros(kept["until"]) <= now:
            forget_option(tx, tenant_no, name)
    over = [post.c.tenant == tenant_no, post.c.account.is_(None), post.c.expires_at < to_micros(now - _KEPT)]
    tx.execute(update(post).where(*over).values(removed=True))


def _name(service: str, key: str) -> str:
    return _PREFIX + hashlib.sha256(f"{service}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
