"""What a second, independent parser (``fast-mail-parser``) reads in a message, in the form that tests compare.

Comparing is only fair where that parser had to repair nothing: :func:`second_reading` answers None for the rest.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass

import fast_mail_parser

_WORD = re.compile(r"\w+")
_HIDDEN = re.compile(r"<(script|style|title|head)\b.*?</\1\s*>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Reading:
    """``text`` is what a person would read, as words; ``files`` the SHA-256 of each file's bytes."""

    subject: str
    sender: str
    to: frozenset[str]
    cc: frozenset[str]
    text: tuple[str, ...]
    files: tuple[str, ...]
    pictures: int


def second_reading(raw: bytes) -> Reading | None:
    """The second parser's reading of ``raw``, or None when it had to repair or gave up."""
    try:
        mail = fast_mail_parser.parse_email(raw)
    except fast_mail_parser.ParseError:
        return None
    if mail.warnings or mail.from_ is None:
        return None
    text = " ".join(words_of_markup(part) for part in mail.text_html) or " ".join(mail.text_plain)
    files = [part for part in mail.attachments if not part.mimetype.startswith("image/")]
    return Reading(
        subject=one_line(mail.subject or ""),
        sender=mail.from_.address.casefold(),
        to=frozenset(contact.address.casefold() for contact in mail.to),
        cc=frozenset(contact.address.casefold() for contact in mail.cc),
        text=words(text),
        files=tuple(sorted(hashlib.sha256(part.content).hexdigest() for part in files)),
        pictures=len(mail.attachments) - len(files),
    )


def words_of_markup(markup: str) -> str:
    """The text between the tags, without what is never shown."""
    return html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", markup)))


def words(text: str) -> tuple[str, ...]:
    """The words of ``text``, case-folded."""
    return tuple(_WORD.findall(text.casefold()))


def one_line(text: str) -> str:
    """``text`` with every run of white space as one blank."""
    return " ".join(text.split())


def agreement(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """How alike two lists of words are: 1.0 when they hold the same words equally often, whatever their order."""
    counts: dict[str, int] = {}
    for word in one:
        counts[word] = counts.get(word, 0) + 1
    common = 0
    for word in other:
        if counts.get(word, 0):
            counts[word] -= 1
            common += 1
    longest = max(len(one), len(other))
    return common / longest if longest else 1.0
