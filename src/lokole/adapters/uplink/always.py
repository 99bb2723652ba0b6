"""The internet is simply there: Ethernet, or somebody else's router."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class AlwaysUplink:
    """Implements :class:`lokole.ports.uplink.Uplink`; does nothing, neither before nor after."""

    @contextmanager
    def up(self) -> Iterator[None]:
        yield
