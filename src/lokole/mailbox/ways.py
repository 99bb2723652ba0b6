"""How people sign in besides with a password: with a PIN, or with a sequence of pictures.

Both are short and only good enough where few tries a minute are possible, so their hashes never leave this database,
and roaming, which is the internet, needs a password (``accounts.set_roaming``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import delete, insert, select

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox.accounts import password_hash, shut_out
from lokole.mailbox.database import Connection
from lokole.mailbox.days import today
from lokole.mailbox.schema import way_in

PASSWORD, PIN, PICTURES_WAY = "password", "pin", "pictures"  # the kinds, not secrets
#: the nine pictures, in the order in which they stand
PICTURES = ("fish", "sun", "palm", "hut", "log", "bird", "pot", "moon", "boat")
MIN_PICTURES, MAX_PICTURES = 3, 9
MIN_PIN, MAX_PIN = 4, 12
_PIN = re.compile(rf"[0-9]{{{MIN_PIN},{MAX_PIN}}}")
_ROWS = ("01234567890", "09876543210", "147258369", "2580", "0852")


def normal_pin(text: str) -> str:
    """The digits of a PIN; raises Refused, field ``pin``: ``digits`` when it is none, ``weak`` when it is among the first that anybody tries."""
    pin = re.sub(r"[\s-]", "", text)
    if not _PIN.fullmatch(pin):
        raise Refused("a PIN has 4 to 12 digits", code="digits", field="pin")
    repeated = any(pin == pin[:part] * (len(pin) // part) for part in (1, 2, 3) if len(pin) % part == 0)
    year = len(pin) == 4 and pin[:2] in ("19", "20")
    if repeated or year or any(pin in row for row in _ROWS):
        raise Refused("anybody would try this PIN", code="weak", field="pin")
    return pin


def is_pin(text: str) -> bool:
    """Whether somebody may have meant a PIN."""
    return _PIN.fullmatch(text.strip()) is not None


def known_pictures(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are pictures, in order, at most nine."""
    return [name for name in names if name in PICTURES][:MAX_PICTURES]


def as_secret(pictures: Sequence[str]) -> str:
    """What is hashed of a sequence; raises Refused, field ``pictures``: ``few`` below three, ``weak`` when all are the same."""
    if not MIN_PICTURES <= len(pictures) <= MAX_PICTURES:
        raise Refused("a sequence has three to nine pictures", code="few", field="pictures")
    if len(set(pictures)) == 1:
        raise Refused("anybody would try this sequence", code="weak", field="pictures")
    return " ".join(pictures)


def hashes(tx: Connection, person: Account) -> Mapping[str, str]:
    """The hash of each way this person has, by kind; the password is one of them."""
    rows = tx.execute(
        select(way_in.c.kind, way_in.c.hash).where(
            way_in.c.tenant == person.tenant, way_in.c.account == person.no, way_in.c.kind.in_((PIN, PICTURES_WAY))
        )
    )
    found = {row.kind: row.hash for row in rows}
    known = password_hash(tx, person)
    return found if known is None else found | {PASSWORD: known}


def set_way(tx: Connection, person: Account, kind: str, hashed: str) -> None:
    """A new PIN or new pictures; every session of the person ends, and a slip's errand is done."""
    assert kind in (PIN, PICTURES_WAY)
    forget_ways(tx, person, kind)
    tx.execute(
        insert(way_in).values(
            tenant=person.tenant, account=person.no, kind=kind, hash=hashed, day=today(tx, person.tenant)
        )
    )
    shut_out(tx, person)


def forget_ways(tx: Connection, person: Account, *kinds: str) -> None:
    """Take ways besides the password away."""
    tx.execute(
        delete(way_in).where(way_in.c.tenant == person.tenant, way_in.c.account == person.no, way_in.c.kind.in_(kinds))
    )


def give_up(tx: Connection, person: Account, kind: str) -> None:
    """The person does without ``kind`` from now on; raises Refused, field ``way``, code ``last`` when there is no other way."""
    if set(hashes(tx, person)) <= {kind}:
        raise Refused("nobody may be left without a way in", code="last", field="way")
    forget_ways(tx, person, kind)
