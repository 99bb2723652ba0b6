"""A list of people as somebody typed it, or a spreadsheet wrote it: a line for each, a name, a full name, a language."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass

from lokole.mailbox.words import fold

#: each costs a hash of a password, which takes a while on a small machine
MOST_LINES = 100
#: how a heading begins in the languages of the pages; no name has a second word
_HEADS = frozenset({"name", "nom", "kombo", "nkombo", "jina"})
#: what stands in pictures and programs and in no text
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One person to be; ``language`` is as it was written, or empty."""

    name: str
    display_name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Line ``n`` of the list as it was written; ``entry`` is None when it is no person, as with a heading."""

    n: int
    text: str
    entry: Entry | None
    is_heading: bool = False


def read(text: str) -> list[Line]:
    """Every line that is not empty, in order; only the first may be a heading."""
    found: list[Line] = []
    for n, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").splitlines(), start=1):
        if not line.strip():
            continue
        cells = _cells(line)
        if not found and cells and fold(cells[0]).partition(" ")[0] in _HEADS:
            found.append(Line(n, line.strip()[:120], None, is_heading=True))
            continue
        is_person = 1 <= len(cells) <= 3 and bool(cells[0])
        filled = [*cells, "", ""]
        entry = Entry(filled[0].partition("@")[0], filled[1], filled[2]) if is_person else None
        found.append(Line(n, line.strip()[:120], entry))
    return found


def is_text(content: bytes) -> bool:
    """Whether a file can be a list, and not a picture that somebody chose by mistake."""
    return content.startswith(_UTF_16) or _NO_TEXT.search(content) is None


def decoded(content: bytes) -> str:
    """A file's text: UTF-8, or what spreadsheets of Windows write."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _cells(line: str) -> list[str]:
    mark = next((one for one in "\t;," if one in line), ",")
    try:
        row = next(csv.reader(io.StringIO(line), delimiter=mark), [])
    except csv.Error:
        return []
    cells = [" ".join(cell.split()) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells
