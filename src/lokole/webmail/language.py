"""Languages, and how times, sizes and numbers are said in them.

A language is offered when its catalogue in ``translations`` was compiled, so that adding one needs no programmer
(docs/translate.md); ``make check`` refuses a compiled catalogue with a sentence missing.
What an address asks for (``?lang=fr``) wins, then the choice of this browser's session, then a person's own, then what the browser asks for,
then the site's default.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_datetime
from flask import g, request, session
from flask_login import current_user

from lokole.mail.model import Account
from lokole.mailbox.words import fold
from lokole.webmail.parts import parts
from lokole.webmail.site import site
from lokole.webmail.words import gettext, locale, mark, ngettext

#: what the code itself is written in; it has no catalogue
SOURCE = "en"
#: from here on the digits of a number stand in groups
_GROUPED = 10_000
_CATALOGUES = Path(__file__).parent / "translations"
#: Swahili counts the hours from dawn: the first hour of the day is the seventh on the clock's face.
_SWAHILI_HOURS = (
    "saa sita", "saa saba", "saa nane", "saa tisa", "saa kumi", "saa kumi na moja",
    "saa kumi na mbili", "saa moja", "saa mbili", "saa tatu", "saa nne", "saa tano",
)  # fmt: skip


@cache
def complete() -> dict[str, str]:
    """The code of each language of these pages with its name in itself: English, then the compiled catalogues by name."""
    # Translators: the name of your language in your language, as it stands in the menu of languages.
    own_name = mark("English")
    found = {}
    for path in _CATALOGUES.glob("*/LC_MESSAGES/messages.mo"):
        code = path.parent.parent.name
        name = _one_sentence(path.read_bytes(), own_name)
        found[code] = name if name != own_name else _name_in_itself(code)
    return {SOURCE: own_name, **dict(sorted(found.items(), key=lambda one: one[1].casefold()))}


def _one_sentence(catalogue: bytes, sentence: str) -> str:
    """``sentence`` as a compiled catalogue says it (format of GNU gettext): reading all of each for one word costs a small box megabytes."""
    order = "<" if catalogue[:4] == b"\xde\x12\x04\x95" else ">"
    count, originals, translations = struct.unpack(f"{order}3I", catalogue[8:20])
    for n in range(count):
        size, start = struct.unpack_from(f"{order}2I", catalogue, originals + 8 * n)
        if catalogue[start : start + size] == sentence.encode():
            size, start = struct.unpack_from(f"{order}2I", catalogue, translations + 8 * n)
            return catalogue[start : start + size].decode() or sentence
    return sentence


def _name_in_itself(code: str) -> str:
    try:
        name = Locale.parse(code).get_display_name()
    except (UnknownLocaleError, ValueError):
        return code
    return name[:1].upper() + name[1:] if name else code


def choose() -> str:
    """The language of this request."""
    mine = getattr(current_user, "language", None) if current_user else None
    here = offered()
    for wish in (request.args.get("lang"), session.get("language"), mine):
        if wish in here:
            return str(wish)
    return request.accept_languages.best_match(list(here)) or of_the_box()


def of_the_box() -> str:
    """The language of whoever has asked for none."""
    here, usual = offered(), site().language or parts().settings.default_language
    return usual if usual in here else next(iter(here))


def of_the_door(person: Account) -> str | None:
    """The language in which somebody read the door, when it is to be theirs: they were never here, and it is what they touched,
    or what their browser asks for and nobody has chosen another one for them. Else None."""
    if person.last_login_at is not None:
        return None
    if session.get("touched_language"):
        return choose()
    usual = site().language or parts().settings.default_language
    # what somebody else left at the door is not looked at
    return request.accept_languages.best_match(list(offered())) if person.language == usual else None


def offered() -> dict[str, str]:
    """The languages that this box offers: all that are complete, or those of them that its people chose."""
    chosen = site().languages
    return {code: name for code, name in complete().items() if code in chosen} or complete()


def named(text: str) -> str | None:
    """The code of the offered language that somebody wrote: its code, or its name in itself or in English, however accents were typed."""
    wanted, english = fold(text.strip()), Locale.parse(SOURCE).languages
    for code, name in offered().items():
        if wanted in (fold(code), fold(name), fold(english.get(code, code))):
            return code
    return None


def known_zone(name: str) -> bool:
    """Whether ``name`` is a time zone such as ``Africa/Kinshasa``."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def zone() -> tzinfo:
    """The time zone of the person who looks, else of the site."""
    name = getattr(current_user, "time_zone", None) or parts().settings.time_zone
    return _zone(name)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if known_zone(name) else UTC


def now() -> datetime:
    """The time of this request in the zone of the person who looks."""
    if "lokole_now" not in g:
        g.lokole_now = parts().ports.clock()
    moment: datetime = g.lokole_now
    return moment.astimezone(zone())


@lru_cache(maxsize=512)
def _format(moment: datetime, pattern: str, in_language: str) -> str:
    return format_datetime(moment, pattern, locale=Locale.parse(in_language))


def _said(moment: datetime, pattern: str) -> str:
    return _format(moment.replace(tzinfo=None), pattern, locale())


def clock_time(moment: datetime) -> str:
    """``07:10``."""
    return moment.astimezone(zone()).strftime("%H:%M")


def _spoken_time(moment: datetime) -> str:
    """The time of day as one says it within a sentence; in Swahili its own count and the clock's."""
    shown = clock_time(moment)
    if not locale().startswith("sw"):
        return shown
    there = moment.astimezone(zone())
    minutes = f" na dakika {there.minute}" if there.minute else ""
    return f"{_SWAHILI_HOURS[there.hour % 12]}{minutes} ({shown})"


def short_when(moment: datetime | None) -> str:
    """As a list shows it: ``07:10`` today, then "yesterday", then the day, then the day with its year."""
    if moment is None:
        return ""
    there, today = moment.astimezone(zone()), now()
    days = (today.date() - there.date()).days
    if days == 0:
        return clock_time(moment)
    if days == 1:
        return gettext("yesterday")
    return _said(there, "d MMM" if there.year == today.year else "d MMM y")


def long_when(moment: datetime | None) -> str:
    """As a letter shows it: ``Monday 23 November, 07:10``, with the year when it is another one."""
    if moment is None:
        return gettext("without a date")
    there = moment.astimezone(zone())
    return _said(there, "EEEE d MMMM, HH:mm" if there.year == now().year else "EEEE d MMMM y, HH:mm")


def day(moment: datetime) -> str:
    """As a table shows a night: ``Sun 22``."""
    return _said(moment.astimezone(zone()), "EEE d")


def date(moment: datetime) -> str:
    """A day with its year: ``3 November 2026``."""
    return _said(moment.astimezone(zone()), "d MMMM y")


def last_day(until: datetime) -> datetime:
    """The day that is over at ``until``: what is paid until the end of a day names that day, not the next one."""
    return (until - timedelta(seconds=1)).astimezone(zone())


def departure(moment: datetime) -> str:
    """When something leaves, to stand within a sentence: "tonight at 02:00", "today at 14:00", "on Monday at 02:00"."""
    there, today = moment.astimezone(zone()), now()
    time = _spoken_time(moment)
    morning = today.replace(hour=5, minute=0, second=0, microsecond=0)
    if today >= morning:
        morning += timedelta(days=1)
    at_night = there.hour >= 20 or there.hour < 5
    if at_night and there < morning:
        return gettext("tonight at %(time)s", time=time)
    if there.date() == today.date():
        return gettext("today at %(time)s", time=time)
    if (there.date() - today.date()).days == 1:
        return gettext("tomorrow at %(time)s", time=time)
    if (there.date() - today.date()).days < 7:
        return gettext("on %(day)s at %(time)s", day=_said(there, "EEEE"), time=time)
    return gettext("on %(day)s at %(time)s", day=_said(there, "EEEE d MMMM"), time=time)


def size(count: int) -> str:
    """A file's size: ``820 B``, ``42 kB``, ``1.2 MB``, ``4 GB`` with the language's decimal sign."""
    if count < 1000:
        return gettext("%(n)s B", n=count)
    if count < 999_500:
        return gettext("%(n)s kB", n=round(count / 1000))
    if count < 999_950_000:
        return gettext("%(n)s MB", n=decimal(count / 1_000_000))
    return gettext("%(n)s GB", n=decimal(count / 1_000_000_000))


def decimal(value: float) -> str:
    """A number with at most one decimal place, in the language's writing: ``1.5``, ``15,241,481``."""
    symbols = Locale.parse(locale()).number_symbols.get("latn", {})
    written = f"{value:,.1f}" if value >= _GROUPED else f"{value:.1f}"
    marks = {",": symbols.get("group", ","), ".": symbols.get("decimal", ".")}
    return "".join(marks.get(one, one) for one in written.removesuffix(".0"))


def file_count(count: int) -> str:
    """``1 file``, ``3 files``."""
    return ngettext("%(num)s file", "%(num)s files", count)
