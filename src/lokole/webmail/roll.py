"""A list of people as somebody typed it, or a spreadsheet wrote it: a line for each, a name, a full name, a language."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

#: each costs a hash of a password, which takes a while on a small machine
MOST_LINES = 100
_HEADS = frozenset({"name", "nom", "nkombo", "jina"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One person to be; ``language`` is a code, or empty."""

    name: str
    display_name: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Line ``n`` of the list as it was written; ``entry`` is None when it is no person."""

    n: int
    text: str
    entry: Entry | None


def read(text: str) -> list[Line]:
    """Every line that is not empty, in order; a first line of headings is left out."""
    found: list[Line] = []
    for n, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").splitlines(), start=1):
        if not line.strip():
            continue
        cells = _cells(line)
        if not found and cells and cells[0].casefold() in _HEADS:
            continue
        is_person = 1 <= len(cells) <= 3 and bool(cells[0])
        filled = [*cells, "", ""]
        entry = Entry(filled[0].partition("@")[0], filled[1], filled[2].casefold()) if is_person else None
        found.append(Line(n, line.strip()[:120], entry))
    return found


def decoded(content: bytes) -> str:
    """A file's text: UTF-8, or what spreadsheets of Windows write."""
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
