"""Where what was done is told beside the log, for a system that draws it: requests, work and events, as they end."""

from __future__ import annotations

from typing import Protocol


class Telemetry(Protocol):
    """Is never given a word of a letter, an address, a domain, a path or a secret. Nothing here raises or waits but :meth:`close`."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has been answered; ``route`` is one of the server's own words for it, ``status`` 0 when the answer broke."""

    def work(self, kind: str, attempt: int, seconds: float, failed: str | None) -> None:
        """A piece of work has ended; ``failed`` is the type of the failure and its place in the code, None without one."""

    def count(self, event: str, times: int) -> None:
        """An event (``server/counting.py``) happened."""

    def close(self) -> None:
        """Hand over what is still here, for a few seconds at most; may be repeated."""
