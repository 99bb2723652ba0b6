"""Five fields of cron, as people type them and boxes tell them.

The classic ones: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday, or names); numbers, ``*``, lists, ranges, steps.
"""

from __future__ import annotations

import re
from datetime import date

from lokole.mail.errors import Refused

_MONTHS = {
    name: n
    for n, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
_DAYS = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
#: name, lowest, highest, names
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?:(\*)|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:/([0-9]+))?")


def read_cron(text: str) -> list[set[int]]:
    """The five fields as sets of numbers (Sunday is 0); raises Refused with field ``cron``."""
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise Refused("five fields are needed", code="schedule", field="cron")
    return [
        _read_field(field, low, high, names) for field, (_name, low, high, names) in zip(fields, _FIELDS, strict=True)
    ]


def _read_field(field: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise _bad(item)
        star, first, last, step = match.groups()
        begin = low if star else _number(first, low, high, names)
        if star or (step and last is None):
            end = high
        else:
            end = begin if last is None else _number(last, low, high, names)
        if end < begin or (step is not None and int(step) == 0):
            raise _bad(item)
        found.update(range(begin, end + 1, int(step or 1)))
    return {0 if n == 7 else n for n in found} if names is _DAYS else found


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    value = names.get(text, int(text) if text.isdecimal() and text.isascii() else -1)
    if not low <= value <= high:
        raise _bad(text)
    return value


def _bad(item: str) -> Refused:
    return Refused(f"not understood: {item[:20]}", code="schedule", field="cron")


def falls_on(fields: list[set[int]], day: date) -> bool:
    """Whether ``day`` is one of what :func:`read_cron` gave; where both kinds of day are named, either of them counts."""
    _minutes, _hours, days, months, weekdays = fields
    if day.month not in months:
        return False
    in_month, in_week = day.day in days, day.isoweekday() % 7 in weekdays
    if len(days) == 31 or len(weekdays) == 7:
        return in_month and in_week
    return in_month or in_week
