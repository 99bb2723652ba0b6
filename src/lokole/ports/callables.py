"""Ports with a single verb are callables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from lokole.mail.model import PictureLimits

#: the time now, aware and in UTC.
Clock = Callable[[], datetime]
#: ``n`` random bytes; frozen in tests and simulations.
Entropy = Callable[[int], bytes]

#: tells whoever looks after the server; raises Temporary or Permanent.
Tell = Callable[[Mapping[str, Any]], None]


class Shrink(Protocol):
    """Makes a picture smaller somewhere where it cannot harm us (``adapters/shrink``)."""

    def __call__(self, content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
        """The smaller picture and its media type, or None when it is better left as it is (not a picture, broken, a bomb, already small); never raises."""
