"""One caller, named in the settings."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from lokole.ports.identity import Caller


@dataclass(frozen=True, slots=True)
class StaticIdentity:
    """Knows one name and one password; ``tokens`` maps bearer tokens to names, for tests and scripts.

    The one caller is the operator and may do everything with every domain.
    """

    username: str
    password: str = field(repr=False)
    tokens: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def by_password(self, username: str, password: str) -> Caller | None:
        """The operator, or None; both halves are compared in constant time, whatever the first says."""
        right_name = hmac.compare_digest(username.encode("utf-8", "replace"), self.username.encode())
        right_password = hmac.compare_digest(password.encode("utf-8", "replace"), self.password.encode())
        return Caller(self.username, may_override=True) if right_name and right_password else None

    def by_token(self, token: str) -> Caller | None:
        """The caller that the settings name for ``token``, who may touch their own domains only."""
        found = None
        for known, name in self.tokens:
            if hmac.compare_digest(token.encode("utf-8", "replace"), known.encode()):
                found = Caller(name)
        return found
