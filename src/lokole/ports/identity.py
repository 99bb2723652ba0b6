"""Who is calling the registration API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """A person as the identity provider knows them; ``may_override`` is the sudo team of the first Lokole."""

    name: str
    may_override: bool = False


class Identity(Protocol):
    """Turns what a request carries into a person."""

    def by_password(self, username: str, password: str) -> Caller | None:
        """The caller, or None when the pair is not right; compares in constant time."""

    def by_token(self, token: str) -> Caller | None:
        """The caller behind a bearer token, or None.

        Raises Refused with code ``team`` for somebody who is known and may nothing here, Temporary when the provider is out of reach.
        """
