"""One line of JSON (RFC 8259), read strictly and without being overrun.

The standard parser is right about the grammar but for ``NaN`` and ``Infinity``; around it stand the bounds:
nesting, numbers of a million digits, and a line that is short but stands for millions of objects.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from lokole.mail.errors import BadPackage
from lokole.sync.limits import Limits

#: Below this many bytes a line cannot hold enough values to matter.
_COUNT_VALUES_FROM = 64 * 1024
#: Longer lines are searched for contents to lift; a shorter one may be in memory nine times.
_LIFT_FROM = 1024 * 1024
#: A content shorter than this many characters is not lifted.
LONG_CONTENT = 65_536
_LONG_CONTENT = re.compile(rb'"content"[ \t\r]*:[ \t\r]*"([ !#-\[\]-~]{%d,})"' % LONG_CONTENT)
_UNFIT = re.compile("[\0\ud800-\udfff]")


def _no_such_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _integer(digits: str) -> int | float:
    # int() takes quadratic time and refuses beyond 4,300 digits; nothing of ours is that large.
    return int(digits) if len(digits) <= 20 else float(digits)


_decoder = json.JSONDecoder(parse_constant=_no_such_number, parse_int=_integer)
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(slots=True)
class Lifted:
    """Stands for a long string without escapes that stayed where it is, as bytes of the line."""

    text: memoryview


def read_line(line: bytes | bytearray, *, limits: Limits) -> dict[str, Any]:
    """The object that ``line`` is (UTF-8, no byte order mark).

    The value of a ``content`` that is long and plain ASCII is a :class:`Lifted` piece of ``line`` instead of text:
    a file of a letter is in memory once, and text, which may take four bytes a character, stays short.
    Raises :class:`BadPackage` with a reason that holds nothing of the content.
    """
    if len(line) <= _LIFT_FROM:
        return read_object(_decode(line, limits.max_line_values))
    # A quote inside a string is escaped, so in JSON this pattern is a key and its value, or (with the first quote escaped)
    # the end of another key and its value; a number in place of the value keeps right what was right and wrong what was wrong.
    view = memoryview(line)
    lifted: list[Lifted] = []
    spans: list[tuple[int, int]] = []
    text_bytes = len(line)
    for match in _LONG_CONTENT.finditer(line):
        start, end = match.span(1)
        lifted.append(Lifted(view[start:end]))
        spans.append((start - 1, end + 1))  # with its quotes
        text_bytes -= end - start
    if text_bytes > limits.max_text_bytes:
        raise BadPackage("the line holds too much text")
    rest = bytearray()
    at = 0
    for n, (start, end) in enumerate(spans):
        rest += view[at:start]
        rest += b"%d" % n
        at = end
    rest += view[at:]
    fields = read_object(_decode(rest, limits.max_line_values))
    _put_back(fields, lifted)
    for item in fields["attachments"] if isinstance(fields.get("attachments"), list) else ():
        _put_back(item, lifted)
    return fields


def read_whole(line: bytes, *, limits: Limits) -> dict[str, Any]:
    """The object that ``line`` is, with every string as text: for what is bounded by ``limits.max_text_bytes`` and holds no files.

    Raises :class:`BadPackage` with a reason that holds nothing of the content.
    """
    if len(line) > limits.max_text_bytes:
        raise BadPackage("it holds too much text")
    return read_object(_decode(line, limits.max_line_values))


def _put_back(item: object, lifted: list[Lifted]) -> None:
    if isinstance(item, dict):
        n = item.get("content")
        if type(n) is int and 0 <= n < len(lifted):
            item["content"] = lifted[n]


def _decode(line: bytes | bytearray, max_values: int) -> str:
    if len(line) > _COUNT_VALUES_FROM:
        _refuse_too_many_values(line, max_values)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPackage("the line is not UTF-8") from None


def read_object(text: str) -> dict[str, Any]:
    """The object that ``text`` is; of equal keys the last counts, as in the first Lokole.

    Raises :class:`BadPackage` with a reason that holds nothing of the content.
    """
    try:
        value = _decoder.decode(text)
    except RecursionError:
        raise BadPackage("the line is nested too deeply") from None
    except ValueError as error:
        # `from None`: the parser's error carries the whole line.
        at = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadPackage(f"the line is not JSON{at}") from None
    if not isinstance(value, dict):
        raise BadPackage("the line is JSON, but not an object")
    return value


def _refuse_too_many_values(line: bytes | bytearray, max_values: int) -> None:
    """An empty list is three bytes on the line and seventy in memory: count what stands outside of strings."""
    if sum(line.count(mark) for mark in (b",", b"[", b"{")) <= max_values:
        return
    without_escapes = line.replace(b"\\\\", b"").replace(b'\\"', b"")
    if without_escapes.count(b'"') <= 4 * max_values:
        outside = without_escapes.split(b'"')[::2]
        if sum(part.count(mark) for part in outside for mark in (b",", b"[", b"{")) <= max_values:
            return
    raise BadPackage("the line holds too many values")


def write(value: object) -> bytes:
    """``value`` as the first Lokole wrote it: sorted keys, no spaces, everything beyond ASCII escaped.

    Escaping costs a byte here and there, but a line that is ASCII takes one byte a character in memory however long its attachments are.
    """
    return _encoder.encode(value).encode("ascii")


def fit_text(text: str) -> str:
    """``text`` that every store and every protocol can hold: NUL and lone surrogates become U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNFIT.sub("\ufffd", text)
