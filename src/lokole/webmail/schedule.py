"""The hours of the exchange as an administrator types and reads them.

Two written forms, kept as data under the option ``schedule``: hours of the day with days of the week, or five cron fields.
How cron reads stands in ``mail/cron.py``.
Whether the hours can be kept, and when the next one is, the device decides; here is only what can be said without a clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from babel import Locale

from lokole.mail.cron import read_cron
from lokole.mail.errors import Refused
from lokole.webmail.parts import Schedule
from lokole.webmail.words import gettext, locale


def from_form(kind: str, hours: str, days: Iterable[str], cron: str) -> Schedule:
    """The schedule that a form describes; raises Refused with field ``hours`` (code ``minutes`` for a time such as 6:30) or ``cron``."""
    if kind == "cron":
        text = " ".join(cron.split()).lower()
        read_cron(text)
        return {"cron": text}
    found = sorted({_hour(part) for part in re.split(r"[,;\s]+", hours.strip()) if part})
    if not found:
        raise Refused("no hour", code="schedule", field="hours")
    chosen = sorted({int(day) for day in days if re.fullmatch("[0-6]", day)})
    return {"hours": found, "days": chosen if 0 < len(chosen) < 7 else None}


def as_form(kept: Schedule) -> dict[str, list[str]]:
    """What the form shows for the schedule that is kept, as it comes back when nobody has touched it."""
    cron, hours, days = kept.get("cron"), kept.get("hours"), kept.get("days")
    return {
        "kind": ["cron" if cron else "hours"],
        "hours": [", ".join(map(str, hours)) if isinstance(hours, list) else ""],
        "days": [str(day) for day in (days if isinstance(days, list) else range(7))],
        "cron": [str(cron or "")],
    }


def decided(kind: str, typed: Mapping[str, list[str]], shown: Mapping[str, list[str]]) -> str:
    """Which of both ways a form means: ``hours`` or ``cron``, an empty text when both were changed and nothing was chosen.

    The choice counts when somebody has made it; where it stands as it was ``shown``, the field does that was changed and not emptied.
    """
    if kind != shown["kind"][0]:
        return kind
    changed = {name: typed[name] != shown[name] for name in ("hours", "days", "cron")}
    hours = changed["days"] or (changed["hours"] and any(typed["hours"]))
    cron = changed["cron"] and any(typed["cron"])
    if hours and cron:
        return ""
    return "hours" if hours else "cron" if cron else kind


def _hour(text: str) -> int:
    if re.fullmatch(r"\d{1,2}[:hH.](?!00)\d\d", text):
        raise Refused("not a whole hour", code="minutes", field="hours")
    match = re.fullmatch(r"(\d{1,2})(?:[:hH](?:00)?)?", text)
    if match is None or int(match[1]) > 23:
        raise Refused("not an hour", code="schedule", field="hours")
    return int(match[1])


def explain(schedule: Schedule) -> str:
    """What the schedule means, in one sentence of the reader's language."""
    cron = schedule.get("cron")
    if isinstance(cron, str):
        try:
            minutes, hours, days, months, weekdays = read_cron(cron)
        except Refused:
            return gettext("These hours cannot be read. Choose new ones.")
        return _sentence(
            times=_times(minutes, hours),
            weekdays=None if len(weekdays) == 7 else [(day - 1) % 7 for day in sorted(weekdays)],
            days=None if len(days) == 31 else sorted(days),
            months=None if len(months) == 12 else sorted(months),
        )
    hours_of_day, chosen = schedule.get("hours"), schedule.get("days")
    times = [f"{hour:02d}:00" for hour in hours_of_day] if isinstance(hours_of_day, list) else []
    return _sentence(times=_listed(times), weekdays=chosen if isinstance(chosen, list) else None)


def _times(minutes: set[int], hours: set[int]) -> str:
    if len(hours) == 24:
        if len(minutes) == 60:
            return gettext("every minute")
        return gettext(
            "every hour at minute %(minutes)s", minutes=_listed([f"{minute:02d}" for minute in sorted(minutes)])
        )
    if len(hours) * len(minutes) > 12:
        return gettext(
            "at minutes %(minutes)s of the hours %(hours)s",
            minutes=_listed([f"{minute:02d}" for minute in sorted(minutes)]),
            hours=_listed([str(hour) for hour in sorted(hours)]),
        )
    return _listed([f"{hour:02d}:{minute:02d}" for hour in sorted(hours) for minute in sorted(minutes)])


def _sentence(
    *, times: str, weekdays: list[int] | None, days: list[int] | None = None, months: list[int] | None = None
) -> str:
    named_in = Locale.parse(locale())
    if weekdays is None and days is None:
        when = gettext("Every day: %(times)s.", times=times)
    else:
        named = [named_in.days["format"]["wide"][day] for day in sorted(weekdays)] if weekdays is not None else []
        named += [gettext("the %(n)s of the month", n=n) for n in days or []]
        when = gettext("On %(days)s: %(times)s.", days=_listed(named), times=times)
    if months is not None:
        when += " " + gettext(
            "Only in %(months)s.", months=_listed([named_in.months["format"]["wide"][n] for n in months])
        )
    return when


def _listed(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return gettext("%(words)s and %(last)s", words=", ".join(words[:-1]), last=words[-1])


def weekday_names() -> list[str]:
    """Monday to Sunday, in the reader’s language."""
    names = Locale.parse(locale()).days["stand-alone"]["wide"]  # short ones are riddles in Lingala
    return [names[day] for day in range(7)]
