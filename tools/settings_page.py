"""Writes docs/settings.md from the settings themselves; ``--check`` only says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from lokole.config import describe
from lokole.device.settings import DeviceSettings
from lokole.server.settings import FirstStoreKeys, ServerSettings

PAGE = Path(__file__).resolve().parents[1] / "docs/settings.md"
INTRODUCTION = """\
# Settings

Settings are environment variables, read once at the start.
Nothing is switched off by being empty: an empty, missing or unknown one stops the start with a sentence that names it.
A secret may come from a file: `NAME_FILE` names the file instead of `NAME`.
A line that begins with `#NAME=` shows the default; one without it must be given.
`lokole config check device` and `lokole config check server` say what is wrong; `lokole config describe` prints this page's blocks.
This page is written by `make docs`, and a test fails when it is not up to date.
What an administrator changes in the browser, the schedule first, is data in the database and not here.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for title, cls in (
        ("A box", DeviceSettings),
        ("A server", ServerSettings),
        ("Moving from the first Lokole", FirstStoreKeys),
    ):
        parts.append(f"## {title}\n\n```sh\n{describe(cls).strip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.exists() and PAGE.read_text() == page() else "docs/settings.md is not up to date: make docs")
    PAGE.write_text(page())
