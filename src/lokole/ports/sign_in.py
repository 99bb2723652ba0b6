"""Signing in at somebody else's page, for a browser that has no secret of ours: the device flow of OAuth 2.0 (RFC 8628)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Begun:
    """What a person types (``user_code``) and where; ``device_code`` asks for the token, every ``interval`` seconds for ``expires_in`` seconds."""

    user_code: str
    device_code: str = field(repr=False)
    verification_uri: str = ""
    interval: int = 5
    expires_in: int = 900


@dataclass(frozen=True, slots=True)
class Answer:
    """``token`` once the person has typed the code, None before; then ask again after ``interval`` seconds."""

    token: str | None = field(repr=False)
    interval: int = 5


class SignIn(Protocol):
    """Keeps nothing: whoever has the device code has begun it."""

    def begin(self) -> Begun:
        """Ask for a code; raises Temporary when the provider is out of reach, Permanent when it does not know us."""

    def finish(self, device_code: str) -> Answer:
        """Whether the code was typed; raises Refused (it ran out, or the person said no), Temporary and Permanent."""
