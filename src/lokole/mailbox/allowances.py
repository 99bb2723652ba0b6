"""What may leave: the limits of the box and what is decided for a person, asked in the one place where letters are written out.

The limits of the box are the option ``limits``: numbers by name, without one there is no bound. Letters that come are never
kept out by any of them (ADR 16).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox import limits
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.standing import Standing, get_standing, used_bytes

LIMITS_OPTION = "limits"
#: in town: by name, what the person's letters took up at the box and here when the box told
TAKEN_UP_OPTION = "taken_up"
_DAY = timedelta(days=1)
#: the letter that begins a day is written in the same moment
_A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class BoxLimits:
    """None is no bound. Sizes in bytes; ``letters_a_day`` is of one person into the world, ``night_bytes`` of the whole box."""

    letter_bytes: int | None = None
    files: int | None = None
    letters_a_day: int | None = None
    night_bytes: int | None = None


def box_limits(tx: Connection, tenant_no: int) -> BoxLimits:
    """What is set; anything that is no positive number counts as no bound."""
    found = get_option(tx, tenant_no, LIMITS_OPTION, {})
    known = found if isinstance(found, dict) else {}
    values = {name: known.get(name) for name in BoxLimits.__dataclass_fields__}
    return BoxLimits(**{name: value if _is_bound(value) else None for name, value in values.items()})


def set_box_limits(tx: Connection, tenant_no: int, wanted: BoxLimits) -> None:
    """From the next letter on."""
    set_option(tx, tenant_no, LIMITS_OPTION, {name: value for name, value in asdict(wanted).items() if value})


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one person may send now. None is no bound: ``letter_bytes`` and ``files`` of a letter into the world, ``letters_left`` of them today,
    ``room_bytes`` of the ``quota_bytes`` that the person's letters may take up. ``shut`` says why none goes into the world, as :func:`check_letter` raises it.
    """

    letter_bytes: int | None = None
    files: int | None = None
    letters_left: int | None = None
    room_bytes: int | None = None
    quota_bytes: int | None = None
    shut: Refused | None = None


def allowed(tx: Connection, writer: Account, now: datetime) -> Allowed:
    """What :func:`check_letter` would let ``writer`` send; counts nothing. Reads all letters of somebody who has a quota."""
    standing, bounds = get_standing(tx, writer), box_limits(tx, writer.tenant)
    left = None
    if bounds.letters_a_day is not None:
        left = max(0, bounds.letters_a_day - limits.get_count(tx, _day_key(writer), now))
    shut = _shut(standing, now)
    if shut is None and left == 0:
        shut = Refused("enough letters for a day", code="letters-a-day", field=str(bounds.letters_a_day))
    quota = standing.quota_bytes
    room = None if quota is None else max(0, quota - taken_up(tx, writer))
    return Allowed(
        letter_bytes=bounds.letter_bytes,
        files=bounds.files,
        letters_left=left,
        room_bytes=room,
        quota_bytes=quota,
        shut=shut,
    )


def check_letter(
    tx: Connection,
    writer: Account,
    *,
    text: str,
    attachments: Sequence[StoredAttachment],
    outwards: bool,
    now: datetime,
) -> None:
    """Whether ``writer`` may send this letter; counts it when it goes ``outwards``, into the world.

    Raises Refused with code ``local-only``, ``unpaid``, ``full``, ``letter-size``, ``letter-files`` or ``letters-a-day``;
    ``field`` is the bound as text, for the sentence.
    """
    standing = get_standing(tx, writer)
    size = len(text.encode("utf-8", "replace")) + sum(one.size for one in attachments)
    if standing.quota_bytes is not None and taken_up(tx, writer) + size > standing.quota_bytes:
        raise Refused("the person's letters take up all their room", code="full", field=str(standing.quota_bytes))
    if not outwards:
        return
    shut = _shut(standing, now)
    if shut is not None:
        raise shut
    bounds = box_limits(tx, writer.tenant)
    if bounds.letter_bytes is not None and size > bounds.letter_bytes:
        raise Refused("the letter is too large for this box", code="letter-size", field=str(bounds.letter_bytes))
    if bounds.files is not None and len(attachments) > bounds.files:
        raise Refused("too many files for this box", code="letter-files", field=str(bounds.files))
    if bounds.letters_a_day is not None:
        written = limits.add_count(tx, _day_key(writer), _DAY, now)
        if written > bounds.letters_a_day:
            raise Refused("enough letters for a day", code="letters-a-day", field=str(bounds.letters_a_day))


def count_from_elsewhere(tx: Connection, writer: Account, written_at: datetime, now: datetime) -> None:
    """A letter that ``writer`` sent into the world from the other end is known here now: it counts in the day it was written in.

    Only for people with roaming on, since nobody else writes at both ends.
    """
    of_today = now - _DAY < written_at <= now + _A_MOMENT
    if not writer.roaming or not of_today or box_limits(tx, writer.tenant).letters_a_day is None:
        return
    key = _day_key(writer)
    # a day that has begun goes on; else it began with this letter
    limits.add_count(tx, key, _DAY, now if limits.get_count(tx, key, now) > 0 else written_at)


def taken_up(tx: Connection, person: Account) -> int:
    """What the letters of ``person`` take up, in bytes: at the box all that it has, in town what the box told and what has come and gone since."""
    here = used_bytes(tx, person)
    told = get_option(tx, person.tenant, TAKEN_UP_OPTION, {})
    found = told.get(person.name) if isinstance(told, dict) else None
    return here if found is None else max(0, found[0] + here - found[1])


def note_taken_up(tx: Connection, person: Account, told: int | None) -> None:
    """In town: at the box the letters of ``person`` take up ``told`` bytes; None when they are bounded no more."""
    known = get_option(tx, person.tenant, TAKEN_UP_OPTION, {})
    kept = {name: value for name, value in known.items() if name != person.name} if isinstance(known, dict) else {}
    if told is not None:
        kept[person.name] = [told, used_bytes(tx, person)]
    set_option(tx, person.tenant, TAKEN_UP_OPTION, kept)


def uncount_letter(tx: Connection, writer: Account, written_at: datetime, now: datetime) -> None:
    """A letter that ``writer`` sent into the world at ``written_at`` does not leave after all: it counts no more in its day."""
    key = _day_key(writer)
    if limits.get_count(tx, key, now) > 0 and written_at > limits.get_expiry(tx, key, now) - _DAY - _A_MOMENT:
        limits.add_count(tx, key, _DAY, now, -1)


def is_unpaid(standing: Standing, now: datetime) -> bool:
    """Whether there was an end and it has passed."""
    return standing.paid_until is not None and now >= standing.paid_until


def _shut(standing: Standing, now: datetime) -> Refused | None:
    if standing.local_only:
        return Refused("this person writes to people here only", code="local-only")
    if standing.paid_until is not None and is_unpaid(standing, now):
        return Refused("the time that was paid is over", code="unpaid", field=standing.paid_until.isoformat())
    return None


def _day_key(writer: Account) -> str:
    return f"letters-a-day:{writer.tenant}:{writer.no}"


def _is_bound(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
