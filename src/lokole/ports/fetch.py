"""Something is asked for on the web, by those who must not be led anywhere by what somebody has written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the other side answered, whatever its status below 500; ``type`` is its media type in lower case, without parameters."""

    status: int
    type: str
    content: bytes

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class Fetch(Protocol):
    """GET, bounded in time and bytes; one host and no other, and none of a private network that the operator has not named."""

    def __call__(self, url: str, *, accept: str = "*/*", max_bytes: int = 4 * 1024 * 1024) -> Fetched:
        """What is at ``url``.

        Raises Temporary when nobody answers in time, or with 429 or 5xx (``retry_after`` in seconds when it was named),
        and Permanent when the address is not allowed, leads to another host, or has more than ``max_bytes``.
        """
