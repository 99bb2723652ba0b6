"""The way to the internet."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Uplink(Protocol):
    """``with uplink.up():`` the internet is there; raises Temporary when it cannot be brought up. What was down before is down again after."""

    def up(self) -> AbstractContextManager[None]: ...
