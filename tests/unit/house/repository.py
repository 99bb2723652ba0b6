"""Where this repository is, and what its documents say, for the tests of the house itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_SKIPPED = {".venv", "node_modules", ".git", ".lokole", ".pytest_cache"}
_FENCE = re.compile(r"^```(?P<language>[\w-]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    """Every Markdown file of the repository, sorted."""
    return sorted(path for path in ROOT.rglob("*.md") if not _SKIPPED & set(path.relative_to(ROOT).parts))


def fenced(text: str, language: str) -> list[str]:
    """The fenced blocks of that language, in their order."""
    return [match["text"] for match in _FENCE.finditer(text) if match["language"] == language]


def without_fences(text: str) -> str:
    """The prose alone."""
    return _FENCE.sub("", text)


def tables(text: str) -> Iterator[list[str]]:
    """The cells of every body row of every table, stripped; headings and rules are left out."""
    lines = without_fences(text).splitlines()
    for number, line in enumerate(lines):
        is_heading = number + 1 < len(lines) and re.fullmatch(r"\|[\s|:-]+\|", lines[number + 1]) is not None
        if line.startswith("|") and not is_heading and not re.fullmatch(r"\|[\s|:-]+\|", line):
            yield [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def code_spans(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)
