"""What a second, independent parser (``fast-mail-parser``) reads in a message, in the form that tests compare.

Comparing is only fair where that parser had to repair nothing: :func:`second_reading` answers None for the rest.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from html.parser import HTMLParser

import fast_mail_parser

_WORD = re.compile(r"\w+")
#: a word goes on across these
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "em", "font", "i", "o:p", "s", "small", "span", "strong", "sub", "sup", "tt", "u", "wbr"}
)
#: never shown: these elements with all they hold
_HIDDEN = frozenset({"script", "style", "title", "noscript", "template", "svg", "math", "textarea", "xmp", "iframe"})


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
    if mail.warnings or mail.from_ is None or "=?" in (mail.subject or ""):
        return None
    if any(" " in contact.address or "," in contact.address for contact in (mail.from_, *mail.to, *mail.cc)):
        return None  # it did not find the end of an address
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


class _Text(HTMLParser):
    """Collects what is shown of markup; of a picture its alternative text, as remote pictures are never fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._within.append(tag)
        elif tag == "img":
            self.shown.append(f" {dict(attrs).get('alt') or ''} ")
        elif tag not in _INLINE:
            self.shown.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            del self._within[self._within.index(tag) :]
        elif tag not in _INLINE:
            self.shown.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.shown.append(data)


def words_of_markup(markup: str) -> str:
    """The text that markup shows."""
    parser = _Text()
    parser.feed(markup)
    parser.close()
    return "".join(parser.shown)


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
