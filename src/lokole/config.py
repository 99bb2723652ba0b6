"""Settings: read once from the environment, checked completely, passed down frozen.

A setting is a field of a frozen dataclass with :func:`setting` metadata.
Secrets may come from a file named by ``<NAME>_FILE``.
Nothing is switched off by being empty; an unknown ``LOKOLE_…`` key stops the start with a sentence that names it.
Nothing else in the project reads the environment.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
PREFIX = "LOKOLE_"
TEST_PREFIX = "LOKOLE_TEST_"


class BadSettings(Exception):
    """One sentence per thing that is wrong with the settings."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Doc:
    name: str
    help: str
    secret: bool
    also: tuple[str, ...]


def setting(
    name: str, help: str, *, default: Any = dataclasses.MISSING, secret: bool = False, also: tuple[str, ...] = ()
) -> Any:
    """A dataclass field read from ``name`` (or one of ``also``, kept from the first Lokole); no default means that it must be there."""
    metadata = {"setting": _Doc(name, help, secret, also)}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
