"""Ports with a single verb are callables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from lokole.mail.model import PictureLimits

#: the time now, aware and in UTC.
Clock = Callable[[], datetime]
#: ``n`` random bytes; frozen in tests and simulations.
Entropy = Callable[[int], bytes]


class Shrink(Protocol):
    """Makes a picture smaller somewhere where it cannot harm us (``adapters/shrink``)."""

    def __call__(self, content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
        """The smaller picture and its media type, or None when it is better left as it is (not a picture, broken, a bomb, already small); never raises."""
