"""What the people who look after a box have decided holds in town, too: where somebody writes there, the server asks the same rules.

The box tells the server (protocol 7.7, kind ``limits``) what bounds every letter, and for people with roaming on who are bounded themselves,
what was decided for them; each only when it is another than the last. The server keeps it where :mod:`lokole.mailbox.allowances` looks.
Letters of a day are counted at each end for itself. How much room somebody's letters take up is known at the box alone, and bounds nobody in town.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from lokole.mail.errors import BadPackage
from lokole.mailbox import accounts, outbound
from lokole.mailbox.allowances import BoxLimits, box_limits, set_box_limits
from lokole.mailbox.database import Connection, from_micros, to_micros
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.schema import account, standing
from lokole.mailbox.standing import get_standing, set_local_only, set_paid_until
from lokole.sync.records import RequestRecord

REQUEST = "limits"
_HEARD_OPTION = "limits_heard"
_BOX = ""
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
        if not all(value is None or (type(value) is int and value > 0) for value in numbers.values()):
            raise BadPackage("a limit is no number")
        set_box_limits(tx, tenant_no, replace(BoxLimits(), **numbers))
    else:
        until = told.body.get("paid_until")
        if until is not None and not (type(until) is int and 0 <= until <= _MOST_MICROS):
            raise BadPackage("the end of what was paid is no moment")
        no = accounts.find_account_no(tx, tenant_no, name)
        if no is None:
            return False
        person = accounts.get_account(tx, tenant_no, no)
        set_local_only(tx, person, told.body.get("local_only") is True)
        set_paid_until(tx, person, None if until is None else from_micros(until))
    set_option(tx, tenant_no, _HEARD_OPTION, heard | {name: [epoch, seq]})
    return True
