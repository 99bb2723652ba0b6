"""What the people who look after a box have decided holds in town, too: where somebody writes there, the server asks the same rules.

The box tells the server (protocol 7.7, kind ``limits``) what bounds every letter, and for people with roaming on who are bounded themselves,
what was decided for them; each only when it is another than the last. The server keeps it where :mod:`lokole.mailbox.allowances` looks.
A letter counts in its day at the end where it is written, and at the other one as soon as that hears of it: nobody can know more.
How much room somebody's letters take up the box tells as well, roughly while there is plenty of it, so that not every night costs a record.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from lokole.mail.errors import BadPackage
from lokole.mailbox import accounts, outbound
from lokole.mailbox.allowances import BoxLimits, box_limits, note_taken_up, set_box_limits
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.schema import account, standing
from lokole.mailbox.standing import get_standing, set_local_only, set_paid_until, set_quota, used_bytes
from lokole.sync.records import RequestRecord

REQUEST = "limits"
_HEARD_OPTION = "limits_heard"
_BOX = ""
#: so many steps from empty to nearly full are told
_STEPS = 16
#: what a column holds
_LARGEST = 2**63 - 1
_NUMBERS = ("letter_bytes", "files", "letters_a_day")
_MOST_MICROS = to_micros(datetime.max.replace(tzinfo=from_micros(0).tzinfo))


def note_limits(tx: Connection, tenant_no: int) -> int:
    """At the box: let what holds now travel with the next package; returns how many records are new."""
    bounds = box_limits(tx, tenant_no)
    told: dict[str, dict[str, Any]] = {
        _BOX: {name: getattr(bounds, name) for name in _NUMBERS if getattr(bounds, name) is not None}
    }
    # whoever has a row: what was decided for them may be taken back meanwhile
    query = (
        select(account.c.no)
        .join(standing, standing.c.account == account.c.no)
        .where(account.c.tenant == tenant_no, account.c.roaming.is_(True))
        .order_by(account.c.name)
    )
    for no in tx.execute(query).scalars().all():
        person = accounts.get_account(tx, tenant_no, no)
        decided = get_standing(tx, person)
        told[person.name] = {
            **({"local_only": True} if decided.local_only else {}),
            **({"paid_until": to_micros(decided.paid_until)} if decided.paid_until is not None else {}),
            **(_room(decided.quota_bytes, used_bytes(tx, person)) if decided.quota_bytes is not None else {}),
        }
    new = 0
    for name, body in told.items():
        record = RequestRecord(REQUEST, name, {"account": name, **body})
        if body or outbound.is_told(tx, tenant_no, "up", record):
            new += outbound.put(tx, tenant_no, "up", record)
    return new


def take_limits(tx: Connection, tenant_no: int, epoch: int, seq: int, told: RequestRecord) -> bool:
    """At the server: keep what package (``epoch``, ``seq``) says; False when a later one was heard, or nobody is meant.

    Raises BadPackage when it is not what the protocol says.
    """
    name = told.body.get("account")
    if not isinstance(name, str):
        raise BadPackage("limits are not told as they should be")
    known = get_option(tx, tenant_no, _HEARD_OPTION, {})
    heard: dict[str, list[int]] = dict(known) if isinstance(known, dict) else {}
    before = heard.get(name, [epoch, -1])
    if before[0] == epoch and before[1] > seq:
        return False
    if name == _BOX:
        numbers = {one: told.body.get(one) for one in _NUMBERS}
        if not all(value is None or _is_size(value) for value in numbers.values()):
            raise BadPackage("a limit is no number")
        set_box_limits(tx, tenant_no, replace(BoxLimits(), **numbers))
    else:
        until = told.body.get("paid_until")
        if until is not None and not (type(until) is int and 0 <= until <= _MOST_MICROS):
            raise BadPackage("the end of what was paid is no moment")
        quota, used = told.body.get("quota_bytes"), told.body.get("used_bytes", 0)
        if not (quota is None or _is_size(quota)) or not (used == 0 or _is_size(used)):
            raise BadPackage("the room of somebody's letters is no number")
        no = accounts.find_account_no(tx, tenant_no, name)
        if no is None:
            return False
        person = accounts.get_account(tx, tenant_no, no)
        set_quota(tx, person, quota)
        note_taken_up(tx, person, None if quota is None else used)
        set_local_only(tx, person, told.body.get("local_only") is True)
        set_paid_until(tx, person, None if until is None else from_micros(until))
    set_option(tx, tenant_no, _HEARD_OPTION, heard | {name: [epoch, seq]})
    return True


def _room(quota: int, used: int) -> dict[str, Any]:
    """What a person may fill and has filled: to the byte where it is nearly full, else in steps, so that it is told seldom."""
    step = max(1, quota // _STEPS)
    told = used if used > quota - step else used // step * step
    return {"quota_bytes": quota, "used_bytes": told} if told else {"quota_bytes": quota}


def _is_size(value: object) -> bool:
    return type(value) is int and 0 < value <= _LARGEST
