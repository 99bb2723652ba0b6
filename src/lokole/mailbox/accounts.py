"""The people of a device: their names, how they sign in, and what of it travels to the other end.

``version`` rises with every change that the other end should know; ``sent_version`` is what it has acknowledged.
A password's hash leaves the box only for a person with roaming on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, exists, func, insert, literal, select, update

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account, AccountNo
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.days import today
from lokole.mailbox.entries import deliver_kept
from lokole.mailbox.schema import account, alias, email, entry, recipient, standing, tenant, waiting
from lokole.mailbox.sessions import account_of, end_all_sessions
from lokole.mailbox.upsert import insert_new

#: names that mean somebody else everywhere (RFC 2142), or a service of this network
RESERVED_NAMES = frozenset(
    [
        "abuse",
        "admin",
        "administrator",
        "billing",
        "daemon",
        "dmarc",
        "echo",
        "help",
        "hostmaster",
        "info",
        "lokole",
        "mailer-daemon",
        "marketing",
        "news",
        "no-reply",
        "nobody",
        "noc",
        "noreply",
        "postmaster",
        "root",
        "sales",
        "security",
        "service",
        "spam",
        "support",
        "system",
        "usenet",
        "uucp",
        "webmaster",
        "wikipedia",
        "www",
    ]
)
_NAME = re.compile(r"[a-z0-9]+(?:[.-]+[a-z0-9]+)*")
_MAX_NAME = 64
#: so many letters of neighbours go to town when somebody turns roaming on
_NEWEST = 200

#: so many days of the box (``days.py``) nobody gets the name of somebody who left
NAME_RESTS_DAYS = 180
MAX_DISPLAY_NAME = 60

EVERY_ACCOUNT: Select[Any] = select(account, tenant.c.domain).join(tenant, tenant.c.no == account.c.tenant)
#: neither left for good nor become one with somebody else
_IS_SOMEBODY = (account.c.removed_day.is_(None), ~exists().where(alias.c.account == account.c.no))
_WITH_DOMAIN = EVERY_ACCOUNT.where(*_IS_SOMEBODY)
_BY_NAME = _WITH_DOMAIN.where(account.c.tenant == bindparam("tenant"), account.c.name == bindparam("name"))
_BY_NO = _WITH_DOMAIN.where(account.c.tenant == bindparam("tenant"), account.c.no == bindparam("no"))
_NO_BY_NAME = select(account.c.no).where(
    account.c.tenant == bindparam("tenant"), account.c.name == bindparam("name"), *_IS_SOMEBODY
)
_NO_BY_OLD_NAME = select(alias.c.target).where(
    alias.c.tenant == bindparam("tenant"),
    alias.c.account
    == select(account.c.no)
    .where(account.c.tenant == bindparam("tenant"), account.c.name == bindparam("name"))
    .scalar_subquery(),
)
INSERT_ACCOUNT = insert_new(account, [column.name for column in account.columns if column.name != "no"], returning="no")


def normal_name(text: str) -> str:
    """The name as it is kept: lower case, letters a-z, digits, dot and dash inside.

    Raises Refused, field ``name``: code ``name`` when it breaks that rule or has more than 64 characters, ``reserved`` when it means somebody else.
    """
    name = text.strip().casefold()
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name) or ".." in name:
        raise Refused("a name is made of letters a-z, digits, dots and dashes", code="name", field="name")
    if name in RESERVED_NAMES or name.startswith("bounce-"):  # protocol 8.3
        raise Refused("this name is kept for a purpose of its own", code="reserved", field="name")
    return name


def create_account(
    tx: Connection,
    tenant_no: int,
    name: str,
    *,
    password_hash: str | None,
    now: datetime,
    language: str = "en",
    time_zone: str = "UTC",
    is_admin: bool = False,
    must_change_password: bool = False,
    allow_reserved: bool = False,
    display_name: str = "",
) -> Account:
    """A new person; raises Refused, field ``name``, with code ``taken``, ``resting``, ``name`` or ``reserved``.

    ``allow_reserved`` is for the command line, which may make ``admin``.
    """
    wanted = (
        name.strip().casefold() if allow_reserved and name.strip().casefold() in RESERVED_NAMES else normal_name(name)
    )
    values = new_values(tenant_no, wanted, now) | {
        "version": _make_room(tx, tenant_no, wanted),
        "display_name": normal_display_name(display_name),
        "password_hash": password_hash,
        "language": language,
        "time_zone": time_zone,
        "is_admin": is_admin,
        "must_change_password": must_change_password,
    }
    no = INSERT_ACCOUNT.first(tx, values)
    if no is None:
        raise Refused("somebody has this name already", code="taken", field="name")
    made = get_account(tx, tenant_no, no)
    # a box that was reset gets its letters again before its people have signed up again
    deliver_kept(tx, tenant_no, made.no, made.address.key)
    return made


def normal_display_name(text: str) -> str:
    """How somebody writes their own name, on one line and without what would break a header; at most 60 characters."""
    plain = "".join(letter if letter.isprintable() and letter not in '<>"@\\' else " " for letter in text)
    return " ".join(plain.split())[:MAX_DISPLAY_NAME].strip()


def check_free(tx: Connection, tenant_no: int, name: str) -> None:
    """Raises Refused, field ``name``: code ``taken`` when somebody has ``name``, ``resting`` when they left not long ago."""
    row = row_of(tx, tenant_no, name)
    if row is None:
        return
    if row.removed_day is None:
        raise Refused("somebody has this name already", code="taken", field="name")
    if row.removed_day > today(tx, tenant_no) - NAME_RESTS_DAYS:
        raise Refused("somebody had this name not long ago", code="resting", field="name")


def find_account(tx: Connection, tenant_no: int, name: str) -> Account | None:
    """The person with this name (case does not count), also one that they had before they became one with somebody; or None."""
    asked = {"tenant": tenant_no, "name": name.strip().casefold()}
    row = tx.execute(_BY_NAME, asked).first()
    if row is None:
        target = tx.execute(_NO_BY_OLD_NAME, asked).scalar()
        row = None if target is None else tx.execute(_BY_NO, {"tenant": tenant_no, "no": target}).first()
    return None if row is None else account_of(row)


def find_account_no(tx: Connection, tenant_no: int, name: str) -> AccountNo | None:
    """Only the number of :func:`find_account`; for imports, which ask for it with every letter."""
    asked = {"tenant": tenant_no, "name": name.strip().casefold()}
    no = tx.execute(_NO_BY_NAME, asked).scalar()
    if no is None and tx.execute(_NO_BY_OLD_NAME, asked).scalar() is not None:
        person = find_account(tx, tenant_no, name)
        no = None if person is None else person.no
    return None if no is None else AccountNo(no)


def has_left(tx: Connection, tenant_no: int, name: str) -> bool:
    """Whether somebody had this name who has left for good, and nobody has it now."""
    left = select(account.c.no).where(
        account.c.tenant == tenant_no, account.c.name == name.strip().casefold(), account.c.removed_day.is_not(None)
    )
    return tx.execute(left).first() is not None and find_account_no(tx, tenant_no, name) is None


def get_account(tx: Connection, tenant_no: int, no: int) -> Account:
    """The person with this number at this device; raises NotFound."""
    row = tx.execute(_BY_NO, {"tenant": tenant_no, "no": no}).first()
    if row is None:
        raise NotFound("no such person")
    return account_of(row)


def list_accounts(tx: Connection, tenant_no: int) -> list[Account]:
    """Everybody of a device, by name."""
    return [
        account_of(row)
        for row in tx.execute(_WITH_DOMAIN.where(account.c.tenant == tenant_no).order_by(account.c.name))
    ]


def count_accounts(tx: Connection, tenant_no: int) -> int:
    """How many people a device has."""
    here = (account.c.tenant == tenant_no, *_IS_SOMEBODY)
    return int(tx.execute(select(func.count()).select_from(account).where(*here)).scalar_one())


def count_by_tenant(tx: Connection, whose: Select[tuple[int]] | None = None) -> dict[int, int]:
    """How many people each device has, by the number of its row, of all devices or of ``whose``; without anybody it is not there."""
    query = select(account.c.tenant, func.count().label("people")).where(*_IS_SOMEBODY).group_by(account.c.tenant)
    if whose is not None:
        query = query.where(account.c.tenant.in_(whose))
    return {row.tenant: row.people for row in tx.execute(query)}


def count_admins(tx: Connection, tenant_no: int) -> int:
    """How many look after a device and are not shut out."""
    here = (account.c.tenant == tenant_no, account.c.is_admin.is_(True), account.c.suspended.is_(False), *_IS_SOMEBODY)
    return int(tx.execute(select(func.count()).select_from(account).where(*here)).scalar_one())


def some_accounts(
    tx: Connection, tenant_no: int, *, words: str = "", only_listed: bool = False, offset: int = 0, limit: int = 50
) -> tuple[list[Account], int]:
    """People by name whose name or display name holds ``words``, ``limit`` of them from ``offset`` on, and how many there are in all.

    ``only_listed`` leaves out whoever is suspended or did not say yes to the directory.
    """
    query = _WITH_DOMAIN.where(account.c.tenant == tenant_no)
    wanted = words.strip()
    if wanted:
        query = query.where(
            account.c.name.icontains(wanted, autoescape=True)
            | account.c.display_name.icontains(wanted, autoescape=True)
        )
    if only_listed:
        query = query.join(standing, standing.c.account == account.c.no).where(
            standing.c.listed.is_(True), account.c.suspended.is_(False)
        )
    total = int(tx.execute(select(func.count()).select_from(query.subquery())).scalar_one())
    rows = tx.execute(query.order_by(account.c.name).offset(offset).limit(limit))
    return [account_of(row) for row in rows], total


def password_hash(tx: Connection, person: Account) -> str | None:
    """The hash that a sign-in is compared with, or None when there is none here."""
    found: str | None = tx.execute(select(account.c.password_hash).where(account.c.no == person.no)).scalar()
    return found


def set_password(tx: Connection, person: Account, hashed: str | None, *, must_change: bool = False) -> None:
    """A new password, or none; every session of the person ends. Who does without one for good does without roaming."""
    roaming = {"roaming": False} if hashed is None and not must_change else {}
    _change(tx, person, password_hash=hashed, must_change_password=must_change, **roaming)
    end_all_sessions(tx, person)


def shut_out(tx: Connection, person: Account) -> None:
    """Every session of the person ends because they chose a new way in, so that they need not choose one any more."""
    end_all_sessions(tx, person)
    here = (account.c.tenant == person.tenant, account.c.no == person.no)
    tx.execute(update(account).where(*here).values(must_change_password=False))


def rehash_password(tx: Connection, person: Account, hashed: str) -> None:
    """The same password hashed anew (higher cost); sessions stay."""
    _change(tx, person, password_hash=hashed)


def set_suspended(tx: Connection, person: Account, suspended: bool) -> None:
    """Shut a person out (their sessions end), or let them in again; their letters stay and still arrive."""
    _change(tx, person, suspended=suspended)
    if suspended:
        end_all_sessions(tx, person)


def set_admin(tx: Connection, person: Account, is_admin: bool) -> None:
    """Make a person an administrator, or take it back.

    Raises Refused, code ``last-admin``, when nobody would be left who looks after the device.
    """
    if not is_admin and person.is_admin and not person.suspended and count_admins(tx, person.tenant) < 2:
        raise Refused("somebody has to look after the box", code="last-admin")
    _change(tx, person, is_admin=is_admin)


def set_language(tx: Connection, person: Account, language: str) -> None:
    """The language of the pages and of notes to this person, as a code such as ``fr``."""
    _change(tx, person, language=language)


def set_time_zone(tx: Connection, person: Account, time_zone: str) -> None:
    """The zone in which the person is shown times, by its name in the tz database."""
    _change(tx, person, time_zone=time_zone)


def set_display_name(tx: Connection, person: Account, name: str) -> None:
    """The name that stands beside the address on letters; empty for none."""
    _change(tx, person, display_name=normal_display_name(name))


def mark_removed(tx: Connection, person: Account, day: int) -> None:
    """The person has left on ``day`` of the box; nothing of them stays in the row but the name, and the other end is told."""
    nothing = {"password_hash": None, "display_name": "", "is_admin": False, "roaming": False, "last_login_at": None}
    _change(tx, person, removed_day=day, **nothing)


def set_roaming(tx: Connection, person: Account, roaming: bool) -> None:
    """Whether the person may read their mail in town: only then does the password's hash travel.

    The newest letters that they have of their neighbours, which nobody but this box knows, travel from then on too.
    Raises Refused, field ``roaming``, code ``password`` without one: a PIN or pictures are too weak for the internet.
    """
    if roaming and password_hash(tx, person) is None:
        raise Refused("roaming needs a password", code="password", field="roaming")
    _change(tx, person, roaming=roaming)
    if roaming:
        echo = f"echo@{person.domain}"  # what is written to it, and its answers, never leave the box
        to_echo = exists().where(recipient.c.email == entry.c.email, recipient.c.address == echo)
        to_others = exists().where(recipient.c.email == entry.c.email, recipient.c.address != echo)
        here_only = (
            select(entry.c.tenant, entry.c.email, literal("up"), literal("waiting"))
            .join(email, email.c.order_no == entry.c.email)
            .where(
                entry.c.account == person.no,
                entry.c.deleted.is_(False),
                email.c.uid.is_(None),
                email.c.sender_address.endswith(f"@{person.domain}", autoescape=True),
                ~exists().where(waiting.c.email == entry.c.email),
                email.c.sender_address != echo,
                ~to_echo | to_others,
            )
            .order_by(entry.c.email.desc())
            .limit(_NEWEST)
        )
        tx.execute(insert(waiting).from_select(["tenant", "email", "direction", "state"], here_only))


def any_roaming(tx: Connection, tenant_no: int, numbers: Iterable[int]) -> bool:
    """Whether one of these people has roaming on."""
    mine = (account.c.tenant == tenant_no, account.c.no.in_(list(numbers)), account.c.roaming.is_(True))
    return tx.execute(select(account.c.no).where(*mine).limit(1)).first() is not None


def record_login(tx: Connection, person: Account, now: datetime) -> None:
    """Somebody signed in; nothing of it travels."""
    statement = update(account).where(account.c.no == person.no)
    tx.execute(statement.values(last_login_at=to_micros(now), login_count=account.c.login_count + 1))


def new_values(tenant_no: int, name: str, now: datetime) -> dict[str, Any]:
    """The columns of a person who is new here."""
    return {
        "tenant": tenant_no,
        "name": name,
        "password_hash": None,
        "language": "en",
        "time_zone": "UTC",
        "is_admin": False,
        "suspended": False,
        "must_change_password": False,
        "roaming": False,
        "version": 1,
        "sent_version": 0,
        "created_at": to_micros(now),
        "last_login_at": None,
        "login_count": 0,
        "display_name": "",
        "removed_day": None,
    }


def row_of(tx: Connection, tenant_no: int, name: str) -> Row[Any] | None:
    """The row with this name, of somebody who has left as well."""
    return tx.execute(EVERY_ACCOUNT.where(account.c.tenant == tenant_no, account.c.name == name)).first()


def _make_room(tx: Connection, tenant_no: int, name: str) -> int:
    """The first version of a new person; the row of one who left long ago gives its name up and keeps its number.

    The versions go on where the other one ended, since the other end knows that one.
    """
    row = row_of(tx, tenant_no, name)
    if row is None or row.removed_day is None:
        return 1
    check_free(tx, tenant_no, name)
    no_name = f"~{row.no}"  # no person can have it
    here = (account.c.tenant == tenant_no, account.c.no == row.no)
    tx.execute(update(account).where(*here).values(name=no_name, sent_version=account.c.version))
    return int(row.version) + 1


def _change(tx: Connection, person: Account, **values: Any) -> None:
    statement = update(account).where(account.c.tenant == person.tenant, account.c.no == person.no)
    if tx.execute(statement.values(version=account.c.version + 1, **values)).rowcount != 1:
        raise NotFound("no such person")
